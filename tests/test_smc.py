"""Two-sided filling with a one-sided prior, against enumeration of all fillings."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from tests.test_pixelcnn import TINY, model
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.resampling import resample, resampling_steps
from vq.smc import systematic

SMALL = dataclasses.replace(TINY, map_size=(3, 3), layers=2, labels=("sea",))
CODES = torch.tensor([[0, 1, 2], [2, 0, 1], [0, 0, 2]])
HOLE = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()


@torch.no_grad()
def log_p(prior: PixelCNN, codes: torch.Tensor, label: int, guidance: float) -> torch.Tensor:
    """log p (n, 3, 3, K), guided, of every code given those before it, by full passes."""
    given = prior.logits(codes, torch.full((len(codes),), label))
    free = prior.logits(codes)
    return (free + guidance * (given - free)).permute(0, 2, 3, 1).log_softmax(3).double()


def exact(
    prior: PixelCNN, *, temperature: float = 1.0, top_k: int = 3, guidance: float = 0.0
) -> dict[tuple[int, ...], float]:
    """By enumeration: q of the hole's codes times p of the known ones, normalised."""
    fillings = torch.tensor(list(itertools.product(range(3), repeat=int(HOLE.sum()))))
    maps = CODES.repeat(len(fillings), 1, 1)
    maps[:, HOLE] = fillings
    p = log_p(prior, maps, 0, guidance)
    q = (p / temperature).log_softmax(3)
    q = torch.where(q < q.sort(3, descending=True).values[..., top_k - 1 : top_k], -math.inf, q)
    q = q.log_softmax(3)
    both = torch.where(HOLE[None, :, :, None], q, p).gather(3, maps[..., None])
    weights = both.sum((1, 2, 3)).softmax(0)
    return dict(zip(map(tuple, fillings.tolist()), weights.tolist(), strict=True))


def distance(
    prior: PixelCNN, truth: dict[tuple[int, ...], float], n: int, **sampling: Any
) -> float:
    """Total variation between the truth and the fillings of n seeds."""
    many = (CODES.expand(n, 3, 3).clone(), HOLE.expand(n, 3, 3), range(n))
    found = Counter(tuple(m[HOLE].tolist()) for m in resample(prior, *many, **sampling))
    assert set(found) <= set(truth)
    return sum(abs(found[k] / n - p) for k, p in truth.items()) / 2


def test_fillings_approach_the_exact_conditional_as_particles_grow() -> None:
    prior = model(SMALL, sharp=20.0)
    truth = exact(prior)
    distances = [distance(prior, truth, 800, particles=n) for n in (1, 8, 256)]
    assert distances[0] > distances[1] + 0.05 > 0.05
    assert distances[1] > distances[2]
    assert distances[2] < 0.05


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.5},
        {"temperature": 1.5, "top_k": 2},
        {"guidance": 2.0},
    ],
)
def test_the_limit_is_what_is_documented(sampling: dict[str, Any]) -> None:
    """Tempered, cut and guided: q of the hole's codes times p of the known ones."""
    prior = model(SMALL, sharp=12.0)
    truth = exact(prior, **{"guidance": 1.0, **sampling})
    assert distance(prior, truth, 600, label="sea", particles=128, **sampling) < 0.06


def test_one_particle_is_the_plain_raster_fill() -> None:
    """Drawn by the chain rule alone: the known codes behind the hole do not count."""
    prior = model(SMALL, sharp=12.0)
    fillings = torch.tensor(list(itertools.product(range(3), repeat=2)))
    maps = CODES.repeat(len(fillings), 1, 1)
    maps[:, HOLE] = fillings
    p = log_p(prior, maps, -1, 0.0).gather(3, maps[..., None])[..., 0][:, HOLE].sum(1).exp()
    truth = dict(zip(map(tuple, fillings.tolist()), p.tolist(), strict=True))
    assert sum(truth.values()) == pytest.approx(1, abs=1e-5)
    assert distance(prior, truth, 2000, particles=1) < 0.04


def test_known_codes_stay_and_steps_are_honest() -> None:
    """On maps smaller than, as large as and larger than the prior's, with holes of all kinds."""
    prior = model(dataclasses.replace(TINY, map_size=(5, 6)))
    rng = np.random.default_rng(0)
    for h, w, share, particles in [
        (3, 4, 0.4, 3), (5, 6, 1.0, 1), (5, 6, 0.3, 4), (11, 13, 0.5, 2), (11, 13, 0.02, 3),
    ]:  # fmt: skip
        codes = torch.from_numpy(rng.integers(0, 3, (2, h, w)))
        hole = torch.from_numpy(rng.random((2, h, w)) < share)
        hole[1, -1, -1] = True
        codes[hole] = -7  # never read
        states = list(resampling_steps(prior, codes, hole, [1, 2], particles=particles))
        assert len(states) == states[-1].steps
        before = hole
        for number, state in enumerate(states, 1):
            assert state.step == number
            assert torch.equal(state.codes[~hole], codes[~hole])
            assert not (state.remaining & ~before).any()
            assert (state.codes[state.remaining] == -7).all()
            assert (state.codes[~state.remaining] >= 0).all()
            before = state.remaining
        assert not before.any()
    none = torch.zeros(1, 5, 6, dtype=torch.bool)
    assert not list(resampling_steps(prior, codes[:1, :5, :6].abs() % 3, none, [0]))


def test_a_picture_depends_on_its_seed_and_not_on_its_batch() -> None:
    prior = model(SMALL, sharp=12.0)
    codes, hole = CODES.repeat(4, 1, 1), HOLE.repeat(4, 1, 1)
    hole[2] = ~hole[2]
    state = torch.get_rng_state()
    together = resample(prior, codes, hole, [7, 8, 7, 7], particles=5)
    for i, seed in enumerate([7, 8, 7, 7]):
        alone = resample(prior, codes[i : i + 1], hole[i : i + 1], [seed], particles=5)
        assert torch.equal(alone[0], together[i])
    assert torch.equal(torch.get_rng_state(), state)
    many = resample(prior, CODES.repeat(30, 1, 1), ~HOLE.repeat(30, 1, 1), range(30))
    assert len(many.unique(dim=0)) > 5


@pytest.mark.parametrize("particles", [1, 4, 5])
def test_nor_does_a_real_network_round_otherwise_in_a_batch(particles: int) -> None:
    """On several threads the logits of a batch and of one map differ in their last bits."""
    torch.manual_seed(0)
    prior = PixelCNN(PixelCNNConfig(layers=8, channels=96)).eval()
    with torch.no_grad():
        prior.out.weight.mul_(20)  # far from uniform, as after training
    codes = torch.randint(0, 512, (1, 16, 19)).repeat(4, 1, 1)
    hole = torch.zeros(4, 16, 19, dtype=torch.bool)
    hole[:, 10:16, 10:18] = True
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fill = functools.partial(resample, prior, particles=particles)
        together = fill(codes, hole, range(4))
        alone = [fill(codes[:1], hole[:1], [i]) for i in range(4)]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.cat(alone), together)


def test_temperature_zero_takes_the_likeliest_in_order() -> None:
    prior = model(SMALL)
    expected = CODES.clone()
    for row, column in HOLE.nonzero().tolist():
        logits = prior.logits(expected[None])[0, :, row, column]
        expected[row, column] = logits.argmax()
    found = resample(prior, CODES[None], HOLE[None], [0], temperature=0, particles=9)
    assert torch.equal(found[0], expected)


def test_a_stop_is_honoured_at_the_next_step() -> None:
    prior = model()
    codes, hole = torch.zeros(1, 5, 7, dtype=torch.int64), torch.ones(1, 5, 7, dtype=torch.bool)
    seen = []

    def callback(state: dict[str, Any]) -> bool:
        seen.append(int(state["remaining"].sum()))
        return len(seen) == 2

    resample(prior, codes, hole, [0], callback=callback)
    assert seen == [28, 21]


def test_systematic_resampling_keeps_expectations_and_places() -> None:
    weights = torch.tensor([0.05, 0.4, 0.0, 0.3, 0.25], dtype=torch.float64)
    total = np.zeros(5)
    for offset in np.linspace(0, 0.999, 1000):
        index = systematic(weights, float(offset))
        counts = index.bincount(minlength=5).numpy()
        assert (np.abs(counts - 5 * weights.numpy()) <= 1).all()
        kept = np.flatnonzero(counts)
        assert (index[kept].numpy() == kept).all()
        total += counts
    assert np.allclose(total / 5000, weights, atol=0.005)


@pytest.mark.parametrize("sampling", [{}, {"top_k": 2}, {"particles": 1}])
def test_logits_that_are_not_finite_are_an_error(sampling: dict[str, Any]) -> None:
    prior = model(SMALL)
    with torch.no_grad():
        prior.out.bias[1] = math.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        resample(prior, CODES[None], HOLE[None], [0], **sampling)


@pytest.mark.parametrize("particles", [0, 257, 2.0, True])
def test_particles_out_of_range_are_refused(particles: Any) -> None:
    with pytest.raises(ValueError, match="particles must be from 1 to 256"):
        resampling_steps(model(SMALL), CODES[None], HOLE[None], [0], particles=particles)
