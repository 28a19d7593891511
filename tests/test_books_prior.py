"""The prior over several books: what it may see, and that it is a distribution."""

from __future__ import annotations

import itertools

import pytest
import torch

from vq.priors.books import BooksPrior, BooksPriorConfig

CONFIG = BooksPriorConfig(num_codes=4, books=3, layers=3, channels=8, head=8)


def build(**fields: int) -> BooksPrior:
    torch.manual_seed(0)
    values = {**vars(CONFIG), **fields}
    return BooksPrior(BooksPriorConfig(**values)).eval()


def test_a_code_depends_on_those_before_it_and_on_no_other() -> None:
    """Every place and book in turn: changing it changes all later scores near it, none earlier."""
    prior = build()
    h, w, books = 3, 4, 3
    codes = torch.randint(0, 4, (1, h, w, books), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = prior(codes).flatten(1, 3)
        for place, index in enumerate(itertools.product(range(h), range(w), range(books))):
            other = codes.clone()
            other[0, *index] = (other[0, *index] + 1) % 4
            changed = (prior(other).flatten(1, 3) - before).abs().amax(-1)[0] > 1e-7
            assert not changed[: place + 1].any(), index
            # The rest of its position, and the position to its right, do see it.
            seen = changed[place + 1 : min(place - place % books + 2 * books, h * w * books)]
            in_row = seen if index[1] < w - 1 else seen[: books - 1 - index[2]]
            assert in_row.all(), index


def test_probabilities_of_all_maps_sum_to_one() -> None:
    prior = build(num_codes=2, books=2)
    maps = torch.tensor(list(itertools.product(range(2), repeat=8))).view(-1, 2, 2, 2)
    with torch.no_grad():
        bits = prior.bits(maps).double().flatten(1).sum(1)
    assert float((2**-bits).sum()) == pytest.approx(1, abs=1e-5)


def test_it_learns_that_books_depend_on_each_other() -> None:
    """The second book repeats the first: half of the bits can be saved, and are."""
    prior = build(books=2)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(prior.parameters(), 1e-2)
    for _ in range(60):
        first = torch.randint(0, 4, (8, 4, 4, 1), generator=generator)
        loss = prior.bits(first.expand(-1, -1, -1, 2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 0.95 < float(loss.detach()) < 1.2


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="kernel must be odd"):
        BooksPriorConfig(kernel=4)
    with pytest.raises(ValueError, match="books must be from 1 to 64"):
        BooksPriorConfig(books=0)
