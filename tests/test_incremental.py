"""Cached evaluation against the full forward pass: the logits, and what each layer holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_pixelcnn import TINY, model
from vq.precision import has_bf16
from vq.priors.incremental import RasterWalk
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig

F32 = torch.float32


def maps(batch: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (batch, height, width), generator=generator)


@torch.no_grad()
def full(prior: PixelCNN, codes: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    return prior.logits(codes, labels).permute(0, 2, 3, 1)  # (B, h, w, K)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_logits_equal_the_full_pass(data: st.DataObject) -> None:
    """Any size, kernels, depth, batch, classes, first row, and any cutting into runs."""
    config = PixelCNNConfig(
        num_codes=3,
        labels=("a", "b"),
        layers=data.draw(st.integers(1, 4)),
        channels=8,
        head=8,
        first_kernel=data.draw(st.sampled_from([3, 5, 7])),
        kernel=data.draw(st.sampled_from([3, 5])),
    )
    prior = model(config)
    b, h, w = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    codes, first = maps(b, h, w), data.draw(st.integers(0, h - 1))
    labels = torch.arange(b) - 1
    expected = full(prior, codes, labels)
    walk = RasterWalk(prior, codes, labels, row=first, dtype=F32)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    for row in range(first, h):
        if row > first:
            walk.next_row()
        cuts = np.flatnonzero(rng.random(w) < 0.5)
        for start, stop in zip([0, *cuts], [*cuts, w], strict=True):
            if start < stop and rng.random() < 0.8:  # some codes are passed over
                found = walk.logits(int(start), int(stop))
                assert torch.allclose(found, expected[:, row, start:stop], atol=2e-4)


@torch.no_grad()
def test_every_layer_holds_what_the_full_pass_gives() -> None:
    prior = model(dataclasses.replace(TINY, layers=4, first_kernel=5))
    codes, labels = maps(2, 6, 7), torch.tensor([1, -1])
    v = h = prior.embedding(codes).permute(0, 3, 1, 2)
    label = prior.label_features(codes, labels)
    layers = []
    for i, layer in enumerate(prior.layers):
        v, h = layer(v, h, label[:, i])
        layers.append((v.permute(0, 2, 3, 1), h.permute(0, 2, 3, 1)))  # (B, h, w, C)
    walk = RasterWalk(prior, codes, labels, row=2, dtype=F32)
    for row in range(2, 6):
        if row > 2:
            walk.next_row()
        walk.logits(0, 3)
        walk.logits(3, 4)
        walk.logits(4, 7)
        for i, (vertical, horizontal) in enumerate(layers):
            kept = walk._stack[i, :2, 1:]  # of two maps; one column of zeros on the left
            assert torch.allclose(kept, horizontal[:, row], atol=1e-5), (row, i)
            if i + 1 < len(layers):
                for above in (1, 0):
                    twice = walk._vertical[i, :, 1:-1, 1 - above]
                    assert torch.allclose(twice / 2, vertical[:, row - above], atol=1e-5), (row, i)


def test_codes_put_on_the_way_are_what_later_ones_see() -> None:
    """Codes still to be decided are never read, and once put they are as if always there."""
    prior = model()
    codes, target = maps(2, 5, 7), maps(2, 5, 7, seed=1)
    hole = torch.rand(5, 7, generator=torch.Generator().manual_seed(3)) < 0.5
    target = torch.where(hole, target, codes)
    expected = full(prior, target)
    walk = RasterWalk(prior, codes, row=0, dtype=F32)
    for row in range(5):
        if row:
            walk.next_row()
        for column in range(7):
            if hole[row, column]:
                found = walk.logits(column, column + 1)[:, 0]
                assert torch.allclose(found, expected[:, row, column], atol=1e-4)
                walk.put(column, target[:, row, column])
    assert torch.equal(walk.codes, target)
    assert not torch.equal(codes, target), "the caller's codes are left alone"


@pytest.mark.parametrize("index", [[2, 2, 0], [1], [0, 1, 2, 1, 0, 2, 2]])
def test_selected_maps_go_on_as_themselves(index: list[int]) -> None:
    prior = model()
    codes, labels = maps(3, 5, 7), torch.tensor([0, 1, -1])
    expected = full(prior, codes, labels)[index]
    walk = RasterWalk(prior, codes, labels, row=1, dtype=F32)
    walk.logits(0, 2)
    walk.logits(2, 3)
    walk.select(torch.tensor(index))
    for column in (3, 4):
        found = walk.logits(column, column + 1)
        assert torch.allclose(found, expected[:, 1, column : column + 1], atol=1e-4)
    for row in range(2, 5):
        walk.next_row()
        assert torch.allclose(walk.logits(0, 7), expected[:, row], atol=1e-4)


@pytest.mark.parametrize("copies", [2, 3, 4, 5, 9])
def test_copies_of_a_map_part_ways(copies: int) -> None:
    """Numbers below, at and above the fours that larger batches are filled up to."""
    prior = model()
    codes = maps(copies, 5, 7)
    codes[:, :2] = codes[0, :2]
    expected = full(prior, codes, torch.full((copies,), 1))
    walk = RasterWalk(prior, codes[:1], torch.tensor([1]), row=2, dtype=F32)
    walk.select(torch.zeros(copies, dtype=torch.int64))
    for row in range(2, 5):
        if row > 2:
            walk.next_row()
        for column in range(7):
            found = walk.logits(column, column + 1)[:, 0]
            assert torch.allclose(found, expected[:, row, column], atol=1e-4)
            walk.put(column, codes[:, row, column])
    assert torch.equal(walk.codes, codes)


def test_changed_weights_are_used() -> None:
    prior, codes = model(), maps(1, 3, 4)
    RasterWalk(prior, codes, dtype=F32).logits(0, 4)
    with torch.no_grad():
        prior.layers[1].vertical.weight.mul_(2)
        prior.head.bias.add_(1)
    walk = RasterWalk(prior, codes, row=2, dtype=F32)
    assert torch.allclose(walk.logits(0, 4), full(prior, codes)[:, 2], atol=1e-4)


def test_a_step_costs_the_same_on_any_map() -> None:
    """Counted in calls and numbers touched: as much from row 20 of 40 as from row 20 of 24."""
    prior = model()

    def calls(height: int, row: int) -> list[tuple[str, tuple[int, ...]]]:
        from torch.utils._python_dispatch import TorchDispatchMode

        made: list[tuple[str, tuple[int, ...]]] = []

        class Record(TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
                result = function(*args, **(kwargs or {}))
                if function.__name__.startswith(("mm", "addmm", "bmm", "convolution")):
                    made.append((function.__name__, tuple(result.shape)))
                return result

        codes = maps(1, height, 7)
        with Record():
            walk = RasterWalk(prior, codes, row=row, dtype=F32)
            walk.logits(2, 3)
            walk.next_row()
        return made

    assert calls(24, 20) == calls(40, 20) == calls(40, 35)


@pytest.mark.skipif(not has_bf16("cpu"), reason="bfloat16 is not used on this chip")
def test_bfloat16_is_near() -> None:
    prior, codes = model(dataclasses.replace(TINY, layers=6, channels=32), sharp=1.0), maps(2, 8, 8)
    expected = full(prior, codes)
    walk = RasterWalk(prior, codes, row=4, dtype=torch.bfloat16)
    for row in range(4, 8):
        found = walk.logits(0, 8)
        assert (found - expected[:, row]).abs().max() < 0.05 * float(expected.std())
        if row < 7:
            walk.next_row()


def test_mistakes_are_refused() -> None:
    prior, codes = model(), maps(1, 3, 4)
    with pytest.raises(ValueError, match="row must be from 0 to 2"):
        RasterWalk(prior, codes, row=3)
    with pytest.raises(ValueError, match="int64"):
        RasterWalk(prior, codes.float())
    walk = RasterWalk(prior, codes, row=2)
    with pytest.raises(ValueError, match="ends with row 2"):
        walk.next_row()
    for start, stop in ((0, 5), (2, 2), (-1, 1)):
        with pytest.raises(ValueError, match="columns"):
            walk.logits(start, stop)
