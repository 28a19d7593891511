"""Resampling against enumeration: a prior whose every conditional is known exactly."""

from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vq.any_order import guided_logits, halton_rank, schedule, van_der_corput
from vq.priors.masked import MaskedPrior, MaskedPriorConfig
from vq.resampling import resample, resampling_steps
from vq.sampling import Sampling, draw


class TablePrior:
    """The exact conditionals of a joint distribution over tiny maps, one table a class."""

    def __init__(self, size: tuple[int, int], num_codes: int, labels: tuple[str, ...] = ()) -> None:
        self.config = SimpleNamespace(num_codes=num_codes, map_size=size, labels=labels)
        n = size[0] * size[1]
        rng = np.random.default_rng(0)
        self.maps = np.array(list(itertools.product(range(num_codes), repeat=n)))
        self.joint = rng.dirichlet(np.full(len(self.maps), 0.3), len(labels) + 1)
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def conditional(self, codes: np.ndarray, known: np.ndarray, label: int) -> np.ndarray:
        """p(code at each position | known codes), (n, K)."""
        agrees = (self.maps[:, known] == codes[known]).all(1)
        weights = self.joint[label] * agrees
        p = np.zeros((len(codes), self.config.num_codes))
        for i in range(len(codes)):
            np.add.at(p[i], self.maps[:, i], weights)
        return p / weights.sum()

    def logits(
        self, codes: torch.Tensor, known: torch.Tensor, labels: Any = None, at: Any = None
    ) -> torch.Tensor:
        self.calls.append((codes.clone(), known.clone()))
        rows = [
            self.conditional(c.flatten().numpy(), k.flatten().numpy(), int(label))
            for c, k, label in zip(codes, known, labels, strict=True)
        ]
        p = torch.tensor(np.stack(rows)).reshape(*codes.shape, -1)
        return p.clamp(min=1e-30).log().float()[at]


class FixedPrior:
    """The same distribution at every position, whatever is known."""

    def __init__(self, logits: list[float], size: tuple[int, int], labels: tuple[str, ...] = ()):
        self.row = torch.tensor(logits)
        self.config = SimpleNamespace(num_codes=len(logits), map_size=size, labels=labels)
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def logits(
        self, codes: torch.Tensor, known: torch.Tensor, labels: Any = None, at: Any = None
    ) -> torch.Tensor:
        self.calls.append((codes.clone(), known.clone()))
        labels = labels[at.nonzero()[:, 0]].unsqueeze(1)
        return torch.where(labels < 0, self.row, self.row.flip(0) * 2)


def whole(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool)


def test_one_code_at_a_time_samples_the_exact_conditional() -> None:
    """Total variation to the enumerated conditional, over 6,000 seeds: sampling noise only."""
    prior = TablePrior((2, 3), 3)
    codes = torch.tensor([[1, 0, 2], [0, 0, 1]])
    hole = torch.tensor([[True, False, True], [True, False, False]])
    n = 6000
    many = resample(prior, codes.expand(n, 2, 3).clone(), hole.expand(n, 2, 3), range(n), steps=99)
    found = Counter(tuple(m[hole].tolist()) for m in many)
    agrees = (prior.maps[:, ~hole.flatten().numpy()] == codes[~hole].numpy()).all(1)
    weights = prior.joint[-1] * agrees
    exact = {
        tuple(m[hole.flatten().numpy()].tolist()): w / weights.sum()
        for m, w in zip(prior.maps[agrees], weights[agrees], strict=True)
    }
    distance = sum(abs(found[k] / n - p) for k, p in exact.items()) / 2
    assert distance < 0.03
    # In one step the codes are drawn as if independent, which this joint is not.
    parallel = resample(
        prior, codes.expand(n, 2, 3).clone(), hole.expand(n, 2, 3), range(n), steps=1
    )
    found = Counter(tuple(m[hole].tolist()) for m in parallel)
    assert sum(abs(found[k] / n - p) for k, p in exact.items()) / 2 > 0.1


def test_the_least_likely_codes_are_drawn_again_given_all_others() -> None:
    """All three at once, as if independent, then the least likely given the two: enumerated."""
    prior = TablePrior((1, 5), 3)
    codes, hole = np.array([0, 1, 2, 0, 1]), np.array([True, False, True, False, True])
    alone = prior.conditional(codes, ~hole, -1)[hole]
    exact: Counter[tuple[int, ...]] = Counter()
    for filling in itertools.product(range(3), repeat=3):
        p = [alone[i, code] for i, code in enumerate(filling)]
        worst = int(np.argmin(p))
        known = ~hole
        known[np.flatnonzero(hole)[np.arange(3) != worst]] = True
        whole = codes.copy()
        whole[hole] = filling
        again = prior.conditional(whole, known, -1)[np.flatnonzero(hole)[worst]]
        for code in range(3):
            exact[(*filling[:worst], code, *filling[worst + 1 :])] += np.prod(p) * again[code]
    n = 3000
    maps = torch.from_numpy(codes).expand(n, 1, 5).clone(), torch.from_numpy(hole).expand(n, 1, 5)
    found = Counter(
        tuple(m[0, hole].tolist()) for m in resample(prior, *maps, range(n), steps=1, remask=0.3)
    )
    assert sum(abs(found[k] / n - p) for k, p in exact.items()) / 2 < 0.04
    once = Counter(tuple(m[0, hole].tolist()) for m in resample(prior, *maps, range(n), steps=1))
    assert sum(abs(once[k] / n - p) for k, p in exact.items()) / 2 > 0.08


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_known_codes_never_change_and_steps_are_honest(data: st.DataObject) -> None:
    h, w = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    codes = torch.from_numpy(rng.integers(0, 3, (2, h, w)))
    hole = torch.from_numpy(rng.random((2, h, w)) < data.draw(st.sampled_from([0.0, 0.1, 0.6, 1])))
    steps = data.draw(st.integers(1, 12))
    prior = FixedPrior([0.0, 1.0, 2.0], (4, 6))
    remask = data.draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    states = list(resampling_steps(prior, codes, hole, [1, 2], steps=steps, remask=remask))
    assert len(states) == (states[-1].steps if states else 0)
    before = hole
    for state in states:
        assert torch.equal(state.codes[~hole], codes[~hole])
        assert not (state.remaining & ~before).any()
        before = hole if remask else state.remaining
    if states:
        assert not states[-1].remaining.any()
    assert len(prior.calls) <= len(states) * len(codes)


def test_the_input_is_left_alone_and_an_empty_hole_returns_it() -> None:
    prior = FixedPrior([0.0, 1.0], (2, 2))
    codes = torch.zeros(1, 2, 2, dtype=torch.int64)
    result = resample(prior, codes, ~whole(1, 2, 2), [0])
    assert torch.equal(result, codes)
    assert result.data_ptr() != codes.data_ptr()
    resample(prior, codes, whole(1, 2, 2), [0], temperature=0)
    assert not codes.any()


def test_a_picture_depends_on_its_seed_and_not_on_its_batch() -> None:
    prior = TablePrior((2, 3), 3)
    codes = torch.zeros(3, 2, 3, dtype=torch.int64)
    hole = whole(3, 2, 3)
    torch.manual_seed(0)
    together = resample(prior, codes, hole, [7, 8, 7], steps=2)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    for i, seed in enumerate([7, 8, 7]):
        alone = resample(prior, codes[:1], hole[:1], [seed], steps=2)
        assert torch.equal(alone[0], together[i])
    assert torch.equal(torch.get_rng_state(), state)
    results = [resample(prior, codes[:1], hole[:1], [s]).flatten().tolist() for s in range(20)]
    assert len(set(map(tuple, results))) > 5


def test_nor_does_a_real_network_round_otherwise_in_a_batch() -> None:
    """On several threads the logits of a batch and of one map differ in their last bits."""
    torch.manual_seed(0)
    prior = MaskedPrior(MaskedPriorConfig(width=192, heads=3, depth=2, local_blocks=1)).eval()
    tokens = torch.randint(0, 512, (2, 32, 32))
    known = torch.rand(2, 32, 32) < 0.5
    labels = torch.tensor([-1, -1])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = guided_logits(prior, tokens, known, ~known, labels, 1.0)
        alone = guided_logits(prior, tokens[:1], known[:1], ~known[:1], labels[:1], 1.0)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, together[: len(alone)])


LOGITS = [0.3, -1.0, 2.0, 1.2, -3.0]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        (1.0, None, 1.0),
        (0.5, None, 1.0),
        (2.0, 3, 1.0),
        (1.0, None, 0.8),
        (1.5, 4, 0.7),
        (1, 99, 1),
    ],
)
def test_draws_follow_temperature_top_k_and_top_p(
    temperature: float, top_k: int | None, top_p: float
) -> None:
    p = np.exp(np.array(LOGITS) / temperature)
    order = np.argsort(-p)
    if top_k:
        p[order[top_k:]] = 0
    p /= p.sum()
    kept, mass = [], 0.0
    for i in order:  # the fewest of the likeliest that hold top_p
        if mass >= top_p:
            break
        kept.append(i)
        mass += p[i]
    p[[i for i in range(5) if i not in kept]] = 0
    p /= p.sum()
    n = 40_000
    uniform = torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampling = Sampling(temperature, top_k, top_p, (-1,), 1.0)
    found = draw(torch.tensor(LOGITS).expand(n, 5), uniform, sampling)
    share = torch.bincount(found, minlength=5).numpy() / n
    assert np.allclose(share, p, atol=0.012)
    assert not share[p == 0].any()


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("temperature", [1e-6, 1.0, 1e6])
def test_draws_at_the_ends_of_the_distribution(uniform: float, temperature: float) -> None:
    logits = torch.tensor([[0.0, -float("1e30"), 5.0]])
    u = torch.tensor([uniform], dtype=torch.float64)
    code = int(draw(logits, u, Sampling(temperature, None, 1.0, (-1,), 1.0)))
    assert code == 2 if temperature < 1 else code in (0, 2)
    assert int(draw(logits, u, Sampling(temperature, 1, 1.0, (-1,), 1.0))) == 2


def test_temperature_zero_takes_the_likeliest() -> None:
    prior = FixedPrior(LOGITS, (3, 3))
    codes = torch.zeros(1, 3, 3, dtype=torch.int64)
    assert (resample(prior, codes, whole(1, 3, 3), [5], temperature=0) == 2).all()


def test_guidance_moves_away_from_the_unlabelled_prior() -> None:
    """free + g (given - free), drawn at temperature 0: g = 1 is the class's own favourite."""
    given, free = np.array([4.0, 0.0, 0.0]), np.array([0.0, 0.0, 2.0])
    prior = FixedPrior(free.tolist(), (1, 1), ("sea",))
    assert np.array_equal(np.flip(free) * 2, given)
    codes = torch.zeros(1, 1, 1, dtype=torch.int64)
    for g in (0.0, 0.2, 0.5, 1.0, 3.0):
        expected = int(np.argmax(free + g * (given - free)))
        found = resample(prior, codes, whole(1, 1, 1), [0], label="sea", guidance=g, temperature=0)
        assert int(found) == expected, g


def test_a_large_map_is_seen_through_windows_of_known_codes() -> None:
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 3, (1, 20, 30)))
    hole = torch.zeros(1, 20, 30, dtype=torch.bool)
    hole[0, 9:12, 14:18] = True
    prior = FixedPrior([0.0, 1.0, 2.0], (8, 8))
    resample(prior, codes, hole, [0], steps=1)
    tokens, known = prior.calls[0]
    assert known.shape == (1, 8, 8)
    assert int((~known).sum()) == 12
    # The window is a piece of the map: find it by its known codes alone.
    places = [
        (top, left)
        for top in range(13)
        for left in range(23)
        if torch.equal(~hole[0, top : top + 8, left : left + 8], known[0])
        and torch.equal(codes[0, top : top + 8, left : left + 8][known[0]], tokens[0][known[0]])
    ]
    assert len(places) == 1
    top, left = places[0]
    assert 1 <= 9 - top <= 4 and 1 <= 14 - left <= 3, "context on every side of the hole"


def test_a_small_map_stands_in_an_unknown_one() -> None:
    codes = torch.ones(1, 3, 8, dtype=torch.int64)
    hole = torch.zeros(1, 3, 8, dtype=torch.bool)
    hole[0, 1, 2] = True
    prior = FixedPrior([0.0, 1.0], (8, 8))
    resample(prior, codes, hole, [0])
    _, known = prior.calls[0]
    assert int(known.sum()) == 3 * 8 - 1
    assert not known[0, :2].any() and not known[0, 5:].any()


def test_holes_larger_than_a_window_are_filled_once_each() -> None:
    prior = FixedPrior([0.0, 0.0, 0.0], (8, 8))
    codes = torch.zeros(1, 18, 21, dtype=torch.int64)
    states = list(resampling_steps(prior, codes, whole(1, 18, 21), [3], steps=4))
    filled = [int((a.remaining & ~b.remaining).sum()) for a, b in itertools.pairwise(states)]
    assert sum(filled) + int((~states[0].remaining).sum()) == 18 * 21
    assert min(filled) >= 1
    assert all(known.any() for _, known in prior.calls[4:]), "later windows see earlier ones"


def test_the_callback_sees_every_step_and_can_stop() -> None:
    prior = FixedPrior([0.0, 1.0], (4, 4))
    codes = torch.zeros(1, 4, 4, dtype=torch.int64)
    seen: list[int] = []

    def callback(state: dict[str, Any]) -> bool:
        seen.append(state["step"])
        assert state["steps"] == 8
        return state["step"] == 3

    resample(prior, codes, whole(1, 4, 4), [0], steps=8, callback=callback)
    assert seen == [1, 2, 3]
    assert len(prior.calls) == 3


@given(st.integers(1, 300), st.integers(1, 40))
def test_schedule_is_rising_and_complete(codes: int, steps: int) -> None:
    steps = min(codes, steps)
    ends = schedule(codes, steps)
    counts = np.diff([0, *ends])
    assert ends[-1] == codes and len(ends) == steps
    assert counts.min() >= 1
    if codes >= 20 * steps and steps > 2:
        assert counts[0] < counts[-1], "few at first"


def test_van_der_corput_by_hand() -> None:
    assert van_der_corput(np.arange(6), 2).tolist() == [0, 0.5, 0.25, 0.75, 0.125, 0.625]
    assert np.allclose(van_der_corput(np.arange(4), 3), [0, 1 / 3, 2 / 3, 1 / 9])


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (32, 32)])
def test_halton_rank_is_an_order_that_spreads(size: tuple[int, int]) -> None:
    rank = halton_rank(*size)
    assert sorted(rank.flatten().tolist()) == list(range(size[0] * size[1]))
    if size == (32, 32):
        # 64 early positions: every 8x8 block of the sixteen holds about 4.
        early = (rank < 64).reshape(4, 8, 4, 8).sum((1, 3))
        assert early.min() >= 2 and early.max() <= 6


GOOD: dict[str, Any] = {"temperature": 1.0}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": float("inf")}, "temperature"),
    ({"top_k": 0}, "top_k"),
    ({"top_k": 2.5}, "top_k"),
    ({"top_p": 0.0}, "top_p"),
    ({"top_p": float("nan")}, "top_p"),
    ({"guidance": 21.0}, "guidance must be from 0 to 20"),
    ({"guidance": float("nan")}, "guidance"),
    ({"steps": 0}, "steps"),
    ({"steps": True}, "steps"),
    ({"remask": 1.1}, "remask must be from 0 to 1"),
    ({"remask": float("nan")}, "remask"),
    ({"particles": 0}, "particles must be from 1 to 256"),
    ({"label": "desert"}, "unknown class 'desert'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    prior = FixedPrior([0.0, 1.0], (2, 2))
    codes = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        resampling_steps(prior, codes, whole(1, 2, 2), [0], **arguments)
    assert not prior.calls


def test_bad_maps_and_seeds_are_refused() -> None:
    prior = FixedPrior([0.0, 1.0], (2, 2))
    codes = torch.zeros(1, 2, 2, dtype=torch.int64)
    for bad, message in [
        ((codes.float(), whole(1, 2, 2), [0]), "codes must be int64"),
        ((codes, whole(1, 2, 3), [0]), "hole must be bool"),
        ((codes, codes, [0]), "hole must be bool"),
        ((codes + 2, ~whole(1, 2, 2), [0]), "from 0 to 1"),
        ((codes, whole(1, 2, 2), [0, 1]), "expected 1 seeds"),
        ((codes, whole(1, 2, 2), [-1]), "seeds must be"),
        ((codes, whole(1, 2, 2), [0.5]), "seeds must be"),
        ((codes, whole(1, 2, 2), [2**63]), "seeds must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            resample(prior, *bad)  # type: ignore[arg-type]


def test_logits_that_are_not_finite_are_an_error() -> None:
    prior = FixedPrior([0.0, float("nan")], (2, 2))
    codes = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(FloatingPointError, match="not finite"):
        resample(prior, codes, whole(1, 2, 2), [0])
