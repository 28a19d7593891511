"""The Gated PixelCNN as a network: what it may see, and what its likelihood sums to."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from vq.evaluation import bits_per_code
from vq.objectives import PixelCNNObjective
from vq.priors import RasterPrior
from vq.priors.pixelcnn import GATE_POWER, PixelCNN, PixelCNNConfig, gate

TINY = PixelCNNConfig(
    num_codes=3,
    map_size=(5, 7),
    labels=("sea", "forest"),
    layers=3,
    channels=8,
    first_kernel=3,
    kernel=3,
    head=16,
)


def model(config: PixelCNNConfig = TINY, *, sharp: float = 6.0) -> PixelCNN:
    """Random weights whose conditionals are far from uniform and from one another."""
    torch.manual_seed(0)
    m = PixelCNN(config).eval()
    with torch.no_grad():
        m.out.weight.mul_(sharp)
        m.label_embedding.weight.mul_(20)
    return m


def seen(config: PixelCNNConfig, row: int, column: int) -> torch.Tensor:
    """The codes (h, w) a code may see: a rectangle above, and what is on its left."""
    h, w = config.map_size
    rows, columns = torch.arange(h)[:, None], torch.arange(w)[None]
    near = (row - rows <= config.reach) & ((columns - column).abs() <= config.reach)
    return near & ((rows < row) | ((rows == row) & (columns < column)))


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        dataclasses.replace(TINY, map_size=(9, 8), layers=2, first_kernel=5),
        dataclasses.replace(TINY, map_size=(6, 9), layers=2, first_kernel=7, kernel=5),
        dataclasses.replace(TINY, layers=1),
    ],
)
def test_a_code_sees_all_codes_before_it_within_reach_and_no_others(
    config: PixelCNNConfig,
) -> None:
    """By the gradient at every pair of positions: no look ahead, and no blind spot."""
    m = model(config).double()
    h, w = config.map_size
    vectors = torch.randn(1, h, w, config.channels, dtype=torch.float64, requires_grad=True)
    m.embedding.forward = lambda codes: vectors  # type: ignore[method-assign, assignment]
    logits = m.logits(torch.zeros(1, h, w, dtype=torch.int64))
    mix = torch.randn(config.num_codes, generator=torch.Generator().manual_seed(1))
    for row, column in itertools.product(range(h), range(w)):
        (gradient,) = torch.autograd.grad(
            (logits[0, :, row, column] * mix).sum(), vectors, retain_graph=True
        )
        assert torch.equal(gradient[0].abs().sum(2) > 0, seen(config, row, column)), (row, column)


@torch.no_grad()
def test_probabilities_of_all_maps_sum_to_one() -> None:
    """The chain rule over every 2x3 map of 3 codes, with each class and without."""
    m = model(dataclasses.replace(TINY, map_size=(2, 3)))
    maps = torch.tensor(list(itertools.product(range(3), repeat=6))).view(-1, 2, 3)
    totals = []
    for label in (-1, 0, 1):
        bits = m.bits(maps, torch.full((len(maps),), label)).double().sum((1, 2))
        p = torch.exp2(-bits)
        assert float(p.sum()) == pytest.approx(1, abs=1e-5)
        totals.append(p)
    for a, b in itertools.combinations(totals, 2):
        assert (a - b).abs().sum() > 0.02, "the class must matter"
    assert torch.equal(m.bits(maps), m.bits(maps, torch.full((len(maps),), -1)))


@torch.no_grad()
def test_bits_are_the_softmax_of_the_logits() -> None:
    m = model()
    codes = torch.randint(0, 3, (2, 5, 7), generator=torch.Generator().manual_seed(0))
    logits = m.logits(codes).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    picked = np.take_along_axis(p, codes[:, None].numpy(), 1)[:, 0]
    assert np.allclose(m.bits(codes).numpy(), -np.log2(picked), atol=1e-5)
    labels = np.array([0, -1])
    expected = float(m.bits(codes, torch.from_numpy(labels)).mean())
    assert bits_per_code(m, codes, labels, batch=1) == pytest.approx(expected, abs=0.02)
    objective = PixelCNNObjective(m, codes.numpy(), labels, drop_label=0.0, seed=0)
    assert float(objective(codes, torch.from_numpy(labels))["bits"]) == pytest.approx(expected)


def test_a_share_of_maps_lose_their_class() -> None:
    objective = PixelCNNObjective(
        model(), np.zeros((400, 5, 7)), np.ones(400, np.int64), drop_label=0.2, seed=0
    )
    codes, labels = objective.batch(3, 400)
    assert codes.shape == (400, 5, 7) and codes.dtype == torch.int64
    assert set(labels.tolist()) == {-1, 1}
    assert 0.1 < (labels == -1).float().mean() < 0.3
    assert torch.equal(labels, objective.batch(3, 400)[1])


def test_it_learns_a_rule_between_neighbours() -> None:
    """Each row counts up from a random code: one code of six is news, log2(3) bits."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    maps = (rng.integers(0, 3, (256, 2, 1)) + np.arange(6)) % 3
    m = PixelCNN(dataclasses.replace(TINY, map_size=(2, 6), layers=2))
    objective = PixelCNNObjective(m, maps, np.zeros(256, np.int64), drop_label=0.1, seed=0)
    optimiser = torch.optim.Adam(m.parameters(), 1e-2)
    for step in range(60):
        loss = objective(*objective.batch(step, 16))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    best = math.log2(3) / 6
    assert best - 0.1 < float(loss.detach()) < best + 0.15


@torch.no_grad()
def test_a_gate_by_hand_and_the_power_it_leaves() -> None:
    x = torch.tensor([[0.5, -1.0, 2.0, -3.0]])
    expected = np.tanh([0.5, -1.0]) / (1 + np.exp([-2.0, 3.0]))
    assert np.allclose(gate(x)[0], expected, atol=1e-6)
    noise = torch.randn(400_000, 2, generator=torch.Generator().manual_seed(0))
    assert float(gate(noise).square().mean()) == pytest.approx(GATE_POWER, rel=0.02)


@torch.no_grad()
def test_features_keep_their_size_through_many_layers() -> None:
    m = model(dataclasses.replace(TINY, layers=20, channels=64), sharp=1.0)
    codes = torch.randint(0, 3, (4, 5, 7), generator=torch.Generator().manual_seed(0))
    v = h = m.embedding(codes).permute(0, 3, 1, 2)
    label = torch.zeros(4, 4 * 64)
    for layer in m.layers:
        v, h = layer(v, h, label)
    # The vertical stack's border is zeros, so less than in an endless map.
    assert GATE_POWER / 4 < float(v.square().mean()) < GATE_POWER * 2
    assert 0.2 < float(h.square().mean()) < 4


def test_it_is_a_raster_prior_as_samplers_know_it() -> None:
    assert isinstance(model(), RasterPrior)
    assert TINY.reach == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map_size": (0, 6)}, "map_size"),
        ({"kernel": 4}, "kernel must be odd"),
        ({"first_kernel": 6}, "first_kernel must be odd"),
        ({"labels": ("a", "a")}, "labels must differ"),
        ({"layers": 0}, "layers"),
        ({"channels": 2.5}, "channels"),
    ],
)
def test_a_config_out_of_range_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)  # type: ignore[arg-type]
