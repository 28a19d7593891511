"""The 256-way softmax: against brute force, and every level exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vq.likelihood as likelihood
from vq.likelihood import PixelSoftmax, bits_per_dim, to_levels
from vq.precision import fast


def test_every_level_comes_back() -> None:
    levels = torch.arange(256)
    centred = levels.float() / 255 - 0.5
    assert torch.equal(to_levels(levels.float() / 255), levels)
    assert torch.equal(to_levels(centred + 0.5), levels)
    # Truncation fails here: the test would see it.
    assert int((((centred + 0.5) * 255).long() != levels).sum()) == 63
    assert torch.equal(to_levels(torch.tensor([0.0, 0.4999 / 255, 1.0])), torch.tensor([0, 0, 255]))
    for bad in (-0.01, 1.01, math.nan):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            to_levels(torch.tensor([bad]))


def setup() -> tuple[PixelSoftmax, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = PixelSoftmax(5)
    x = torch.randn(3, 5, 4, 6)
    levels = torch.randint(0, 256, (3, 3, 4, 6), dtype=torch.uint8)
    levels[0, 0, 0, :2] = torch.tensor([0, 255])
    return head, x, levels


@pytest.mark.parametrize("rows", [7, 24, 1024])
def test_likelihood_is_that_of_a_loop_over_sub_pixels(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(likelihood.ROWS, "cpu", rows)
    head, x, levels = setup()
    weight = head.linear.weight.detach().double().numpy().reshape(3, 256, 5)
    bias = head.linear.bias.detach().double().numpy().reshape(3, 256)
    expected = np.zeros(3)
    for b, c, i, j in np.ndindex(*levels.shape):
        scores = weight[c] @ x[b, :, i, j].double().numpy() + bias[c]
        p = np.exp(scores) / np.exp(scores).sum()
        expected[b] -= np.log(p[int(levels[b, c, i, j])])
    assert head.nll(x, levels).numpy() == pytest.approx(expected, rel=1e-5)
    total, each = head(x, levels, torch.tensor([1.0, 0.5, 0.25]))
    assert each.numpy() == pytest.approx(expected, rel=1e-5)
    assert float(total.detach()) == pytest.approx(expected @ [1, 0.5, 0.25], rel=1e-5)


@pytest.mark.parametrize("rows", [7, 1024])
def test_gradient_is_autograds(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(likelihood.ROWS, "cpu", rows)
    head, x, levels = setup()
    weights = torch.tensor([1.0, 0.5, 0.25])
    inputs = [x.requires_grad_(), *head.parameters()]
    ours = torch.autograd.grad(3 * head(x, levels, weights)[0], inputs)
    nll = F.cross_entropy(
        head.logits(x).flatten(0, 3), levels.permute(0, 2, 3, 1).flatten().long(), reduction="none"
    )
    theirs = torch.autograd.grad(3 * nll.view(3, -1).sum(1) @ weights, inputs)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_it_is_float32_under_autocast() -> None:
    head, x, levels = setup()
    with fast(x.device), torch.no_grad():
        inside = head(x, levels, torch.ones(3))[0], head.nll(x, levels).sum(), head.logits(x)
    assert inside[2].dtype == torch.float32
    assert float(inside[0]) == pytest.approx(float(head.nll(x, levels).sum()), rel=1e-6)
    assert float(inside[1]) == pytest.approx(float(inside[0]), rel=1e-6)


def test_a_uniform_softmax_costs_eight_bits() -> None:
    head, x, levels = setup()
    torch.nn.init.zeros_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    assert bits_per_dim(head.nll(x, levels), 72).tolist() == pytest.approx([8, 8, 8])


def test_the_expected_picture() -> None:
    head, x, _ = setup()
    torch.nn.init.zeros_(head.linear.weight)
    with torch.no_grad():
        head.linear.bias.fill_(-100).view(3, 256)[[0, 1, 2], [0, 255, 51]] = 0
    mean = head.mean(x)
    assert mean.shape == (3, 3, 4, 6)
    assert mean[0, :, 0, 0].tolist() == pytest.approx([0, 1, 0.2])
