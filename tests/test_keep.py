"""Variations akin to a map: a share of its hole's codes is kept, the others are drawn anew."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_pixelcnn import TINY, model
from tests.test_resampling import FixedPrior, TablePrior
from tests.test_smc import CODES, HOLE, SMALL, exact
from vq.resampling import kept_codes, resample, resampling_steps


@given(st.integers(0, 2**63 - 1), st.floats(0, 1, exclude_max=True), st.data())
@settings(max_examples=100)
def test_the_same_share_of_every_hole_is_kept_and_more_holds_what_less_does(
    seed: int, keep: float, data: st.DataObject
) -> None:
    h, w = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    hole = torch.from_numpy(rng.random((3, h, w)) < data.draw(st.sampled_from([0.0, 0.2, 1.0])))
    seeds = [seed, seed ^ 1, seed]
    kept = kept_codes(hole, seeds, keep)
    assert not (kept & ~hole).any()
    for i in range(3):
        number = int(hole[i].sum())
        assert int(kept[i].sum()) == max(0, min(round(keep * number), number - 1))
        assert torch.equal(kept_codes(hole[i : i + 1], seeds[i : i + 1], keep)[0], kept[i])
    assert not (kept_codes(hole, seeds, keep / 2) & ~kept).any()


def test_which_codes_are_kept_is_left_to_chance() -> None:
    hole = torch.ones(2000, 3, 4, dtype=torch.bool)
    kept = kept_codes(hole, range(2000), 0.25)
    often = kept.float().mean(0)
    assert (often - 0.25).abs().max() < 0.05  # five standard deviations
    pairs = kept.flatten(1).float().T @ kept.flatten(1).float() / 2000
    others = ~torch.eye(12, dtype=torch.bool)
    assert (pairs[others] - 3 * 2 / (12 * 11)).abs().max() < 0.03


def priors() -> list[Any]:
    """One of each kind."""
    return [FixedPrior([0.0, 1.0, 0.5], (4, 4)), model(TINY)]


@pytest.mark.parametrize("prior", priors(), ids=["any order", "raster order"])
def test_what_is_kept_stays_at_every_step(prior: Any) -> None:
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, 3, (4, 6, 5)))
    hole = torch.from_numpy(rng.random((4, 6, 5)) < 0.6)
    seeds = [3, 4, 3, 9]
    drawn = hole & ~kept_codes(hole, seeds, 0.5)
    states = list(resampling_steps(prior, codes, hole, seeds, steps=3, keep=0.5))
    assert len(states) == states[-1].steps
    for state in states:
        assert torch.equal(state.codes[~drawn], codes[~drawn])
        assert not (state.remaining & ~drawn).any()
    assert not states[-1].remaining.any()
    assert not torch.equal(states[-1].codes, codes)
    for i, seed in enumerate(seeds):
        alone = resample(prior, codes[i : i + 1], hole[i : i + 1], [seed], steps=3, keep=0.5)
        assert torch.equal(alone[0], states[-1].codes[i])


@pytest.mark.parametrize("prior", priors(), ids=["any order", "raster order"])
def test_the_more_is_kept_the_more_is_alike(prior: Any) -> None:
    n = 120
    rng = np.random.default_rng(1)
    parent = torch.from_numpy(rng.integers(0, 3, (1, 5, 5))).expand(n, 5, 5).contiguous()
    hole = torch.zeros(n, 5, 5, dtype=torch.bool)
    hole[:, 1:5, 0:5] = True
    shares = [0.0, 0.25, 0.5, 0.75, 0.95]
    alike = []
    for keep in shares:
        new = resample(prior, parent, hole, range(n), keep=keep, particles=2)
        equal = (new == parent)[hole].view(n, -1).float().mean(1)
        assert (equal >= round(keep * 20) / 20 - 1e-6).all()
        alike.append(float(equal.mean()))
    assert alike == sorted(alike) and alike[-1] - alike[0] > 0.4
    if isinstance(prior, FixedPrior):  # what is drawn anew is equal by chance alone
        p = prior.row.softmax(0)
        chance = float(p[parent[0][hole[0]]].mean())
        expected = [keep + (1 - keep) * chance for keep in shares]
        assert np.allclose(alike, expected, atol=0.04)


Mixture = defaultdict[tuple[int, ...], float]


def distance(many: torch.Tensor, hole: torch.Tensor, truth: Mixture) -> float:
    """Total variation between what was found and the truth."""
    found = Counter(tuple(one[hole].tolist()) for one in many)
    return sum(abs(found[key] / len(many) - truth[key]) for key in {*found, *truth}) / 2


def test_the_rest_is_the_exact_conditional_in_any_order() -> None:
    """Over many seeds: the mean, over all choices of what is kept, of p(rest | all that is known).

    It would not be, were the choice connected to the draws.
    """
    prior = TablePrior((1, 5), 3)
    codes, hole = np.array([0, 1, 2, 0, 1]), np.array([True, False, True, True, True])
    choices = list(itertools.combinations(np.flatnonzero(hole), 2))
    truth: Mixture = defaultdict(float)
    for kept in choices:
        known = ~hole
        known[list(kept)] = True
        agrees = (prior.maps[:, known] == codes[known]).all(1)
        weights = prior.joint[-1] * agrees
        for one, weight in zip(prior.maps[agrees], weights[agrees] / weights.sum(), strict=True):
            truth[tuple(one[hole].tolist())] += weight / len(choices)
    n = 6000
    maps = torch.from_numpy(codes).expand(n, 1, 5).clone(), torch.from_numpy(hole).expand(n, 1, 5)
    many = resample(prior, *maps, range(n), steps=99, keep=0.5)
    assert distance(many[:, 0], maps[1][0, 0], truth) < 0.03


def test_the_rest_is_the_exact_conditional_in_raster_order() -> None:
    prior = model(SMALL)
    joint = exact(prior)
    own = tuple(CODES[HOLE].tolist())
    truth: Mixture = defaultdict(float)
    for kept in range(2):  # of the two codes of the hole, one
        agreeing = {filling: p for filling, p in joint.items() if filling[kept] == own[kept]}
        for filling, p in agreeing.items():
            truth[filling] += p / sum(agreeing.values()) / 2
    n = 3000
    maps = CODES.expand(n, 3, 3).clone(), HOLE.expand(n, 3, 3)
    many = resample(prior, *maps, range(n), particles=32, keep=0.5)
    assert distance(many, HOLE, truth) < 0.04
    plain = resample(prior, *maps, range(n), particles=32)
    assert distance(plain, HOLE, truth) > 0.08


@pytest.mark.parametrize("keep", [-0.1, 1.0, float("nan"), float("inf")])
def test_a_share_out_of_range_is_refused(keep: float) -> None:
    prior = FixedPrior([0.0, 1.0], (2, 2))
    codes, hole = torch.zeros(1, 2, 2, dtype=torch.int64), torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="keep must be 0 or more, and below 1"):
        resampling_steps(prior, codes, hole, [0], keep=keep)


def test_codes_that_may_be_kept_are_checked_like_known_ones() -> None:
    prior = FixedPrior([0.0, 1.0], (2, 2))
    codes, hole = torch.full((1, 2, 2), 7), torch.ones(1, 2, 2, dtype=torch.bool)
    resample(prior, codes, hole, [0])  # nothing of them is read
    with pytest.raises(ValueError, match="known codes must be from 0 to 1"):
        resample(prior, codes, hole, [0], keep=0.5)
