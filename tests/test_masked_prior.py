"""The masked prior as a network: what it may see, what its loss measures."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from vq.evaluation import bits_per_code
from vq.objectives import MaskedPriorObjective, hide, random_rectangle
from vq.priors import OrderAgnosticPrior, label_index
from vq.priors.masked import MaskedPrior, MaskedPriorConfig, rotary_table, rotate

TINY = MaskedPriorConfig(
    num_codes=5,
    map_size=(4, 6),
    labels=("sea", "forest"),
    channels=8,
    local_blocks=1,
    merge=2,
    width=16,
    depth=2,
    heads=2,
)


def model(config: MaskedPriorConfig = TINY, seed: int = 0) -> MaskedPrior:
    """Random weights large enough that every input matters."""
    torch.manual_seed(seed)
    m = MaskedPrior(config).eval()
    with torch.no_grad():
        for p in m.parameters():
            if p.ndim > 1:
                p.normal_(std=p[0].numel() ** -0.5)
    return m


def example(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(2)
    codes = torch.randint(0, 5, (batch, 4, 6), generator=g)
    return codes, torch.rand(batch, 4, 6, generator=g) < 0.5


@pytest.mark.parametrize("merge", [1, 2])
def test_hidden_codes_are_never_seen(merge: int) -> None:
    m = model(dataclasses.replace(TINY, merge=merge))
    codes, known = example()
    changed = torch.where(known, codes, (codes + 1) % 5)
    assert torch.equal(m.logits(codes, known), m.logits(changed, known))


def test_every_known_code_and_the_class_are_seen_everywhere() -> None:
    m = model()
    codes, known = example(1)
    base = m.logits(codes, known).reshape(24, 5)
    for row, column in known[0].nonzero().tolist():
        other = codes.clone()
        other[0, row, column] = (other[0, row, column] + 1) % 5
        moved = (m.logits(other, known).reshape(24, 5) - base).abs().amax(1)
        assert moved.min() > 1e-6, (row, column)
    logits = [m.logits(codes, known, torch.tensor([c])) for c in (-1, 0, 1)]
    for a, b in itertools.combinations(logits, 2):
        assert (a - b).abs().amax(1).min() > 1e-6
    assert torch.equal(logits[0], m.logits(codes, known))


def test_wanted_positions_are_rows_of_the_whole() -> None:
    m = model()
    codes, known = example()
    at = ~known
    whole = m.logits(codes, known).reshape(3, 4, 6, 5)
    assert torch.allclose(m.logits(codes, known, None, at), whole[at], atol=1e-5)


def test_attention_sees_relative_places_only() -> None:
    cos, sin = rotary_table(3, 4, 8)
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    score = (rotate(q.expand(12, 8), cos, sin) @ rotate(k.expand(12, 8), cos, sin).T).numpy()
    seen: dict[tuple[int, int], float] = {}
    for a, b in itertools.product(range(12), repeat=2):
        offset = (a // 4 - b // 4, a % 4 - b % 4)
        assert score[a, b] == pytest.approx(seen.setdefault(offset, score[a, b]), abs=1e-5)
    assert len({round(float(s), 4) for s in seen.values()}) == len(seen)


def test_it_is_a_prior_as_samplers_know_it() -> None:
    assert isinstance(model(), OrderAgnosticPrior)
    assert label_index(TINY, "forest") == 1
    assert label_index(TINY, None) == -1
    with pytest.raises(ValueError, match=r"'desert'.*sea, forest"):
        label_index(TINY, "desert")


def test_maps_of_another_size_are_refused() -> None:
    codes = torch.zeros(1, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"\(4, 6\)"):
        model().logits(codes, codes.bool())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map_size": (5, 6)}, "merge = 2 must divide"),
        ({"map_size": (0, 6)}, "map_size"),
        ({"width": 20}, "multiple of 4 x heads"),
        ({"labels": ("a", "a")}, "labels must differ"),
        ({"depth": 0}, "depth"),
    ],
)
def test_a_config_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


def exact_order_agnostic_bits(m: MaskedPrior, codes: torch.Tensor, label: int) -> float:
    """Bits per code by enumeration: for each number of hidden codes, over every set of them."""
    n = codes.numel()
    by_size = []
    for hidden in range(1, n + 1):
        costs = []
        for cells in itertools.combinations(range(n), hidden):
            known = torch.ones(n, dtype=torch.bool)
            known[list(cells)] = False
            known = known.reshape(1, *codes.shape)
            p = m.logits(codes[None], known, torch.tensor([label]), ~known).log_softmax(1)
            nll = -p.gather(1, codes[None][~known].unsqueeze(1)) / math.log(2)
            costs.append(float(nll.mean()))
        by_size.append(np.mean(costs))
    return float(np.mean(by_size))


@torch.no_grad()
def test_objective_and_evaluation_estimate_the_bound_without_bias() -> None:
    """Against enumeration of all 2^6 - 1 sets of hidden codes of a 2x3 map."""
    config = dataclasses.replace(TINY, map_size=(2, 3), merge=1, labels=("a",))
    m = model(config)
    codes = torch.tensor([[0, 3, 1], [4, 4, 2]])
    exact = exact_order_agnostic_bits(m, codes, 0)
    many = codes.expand(4000, 2, 3)
    labels = np.zeros(4000, np.int64)
    estimate = bits_per_code(m, many, labels, passes=2, batch=2000)
    assert estimate == pytest.approx(exact, abs=0.03)

    objective = MaskedPriorObjective(m, many.numpy(), labels, holes=0.0, drop_label=0.0, seed=0)
    bits = objective(*objective.batch(0, 4000))["bits"]
    assert float(bits) == pytest.approx(exact, abs=0.03)


def test_the_number_of_hidden_codes_is_uniform() -> None:
    known = hide((6000, 2, 3), np.random.default_rng(0))
    hidden = (~known).sum((1, 2))
    assert np.bincount(hidden, minlength=7).tolist() == [0] + [1000] * 6
    # Given their number, which ones are hidden is uniform too: each cell equally often.
    share = (~known)[hidden == 3].mean(0)
    assert np.allclose(share, 0.5, atol=0.06)


def test_hole_batches_hide_codes_inside_one_rectangle_only() -> None:
    objective = MaskedPriorObjective(
        model(), np.zeros((50, 4, 6)), np.zeros(50, np.int64), holes=1.0, drop_label=0.0, seed=0
    )
    _, known, _, whole = objective.batch(0, 50)
    assert not whole.any()
    hidden = ~known
    assert hidden.flatten(1).any(1).all()
    rectangle = random_rectangle((4, 6), np.random.default_rng(0))
    rows, columns = np.where(rectangle)
    assert rectangle.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert hidden.float().mean() < 0.3


def test_a_share_of_maps_lose_their_class() -> None:
    objective = MaskedPriorObjective(
        model(), np.zeros((400, 4, 6)), np.ones(400, np.int64), holes=0.0, drop_label=0.2, seed=0
    )
    labels = objective.batch(3, 400)[2]
    assert set(labels.tolist()) == {-1, 1}
    assert 0.1 < (labels == -1).float().mean() < 0.3
    again = objective.batch(3, 400)[2]
    assert torch.equal(labels, again)
