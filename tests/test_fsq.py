"""Finite scalar quantization against the formulas of arXiv 2309.15505, written in NumPy."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint, load
from vq.fsq import FiniteScalarQuantizer

LEVELS = st.lists(st.integers(2, 9), min_size=1, max_size=4).map(tuple)
TINY = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=60, code_dim=3, levels=(3, 4, 5))


def outputs(d: int, n: int = 200, seed: int = 1) -> torch.Tensor:
    """(1, d, n, 1), wide enough to reach every level."""
    return 3 * torch.randn(1, d, n, 1, generator=torch.Generator().manual_seed(seed))


def bounded(z: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """The paper's `bound` (appendix A.1): (n, d) -> (n, d)."""
    n = np.array(levels)
    half = (n - 1) * (1 - 1e-3) / 2
    offset = np.where(n % 2 == 1, 0.0, 0.5)
    return np.tanh(z + np.tan(offset / half)) * half - offset


@given(LEVELS, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_vectors_and_codes_are_those_of_the_paper(levels: tuple[int, ...], seed: int) -> None:
    z = outputs(len(levels), seed=seed)
    out = FiniteScalarQuantizer(levels)(z)
    digits = np.round(bounded(z[0, :, :, 0].T.double().numpy(), levels))
    assert np.allclose(out.vectors[0, :, :, 0].T, digits / (np.array(levels) // 2), atol=1e-6)
    # A number written with one digit for each level, the first one least.
    expected = [
        sum(
            int(digit + n // 2) * math.prod(levels[:i])
            for i, (digit, n) in enumerate(zip(row, levels, strict=True))
        )
        for row in digits
    ]
    assert out.codes.flatten().tolist() == expected
    assert out.codebook_loss == out.commitment_loss == 0


@given(LEVELS)
@settings(max_examples=30, deadline=None)
def test_every_code_has_its_own_vector_and_comes_back(levels: tuple[int, ...]) -> None:
    q = FiniteScalarQuantizer(levels)
    codes = torch.arange(math.prod(levels)).reshape(1, -1, 1)
    vectors = q.vectors(codes)
    rows = {tuple(row) for row in q.codebook[0].tolist()}
    assert torch.equal(q.codebook[0], vectors[0, :, :, 0].T)
    grid = itertools.product(*([(i - n // 2) / (n // 2) for i in range(n)] for n in levels))
    assert rows == {tuple(torch.tensor(v).tolist()) for v in grid}
    # What an encoder gives for this vector: the bound backwards. The outermost levels lie where
    # tanh is (all but) 1.
    n = np.array(levels)
    half, offset = (n - 1) * (1 - 1e-3) / 2, np.where(n % 2 == 1, 0.0, 0.5)
    share = (vectors[0, :, :, 0].T.double().numpy() * (n // 2) + offset) / half
    z = np.arctanh(np.clip(share, -0.9999, 0.9999)) - np.tan(offset / half)
    z_e = torch.from_numpy(z.T).float()[None, :, :, None]
    assert torch.equal(q.encode(z_e), codes)
    assert torch.allclose(q(z_e).vectors, vectors)


def test_far_outputs_stay_on_the_grid() -> None:
    q = FiniteScalarQuantizer((8, 5, 2))
    out = q(torch.tensor([-1e4, 1e4]).expand(3, 2).reshape(1, 3, 2, 1))
    assert out.vectors[0, :, :, 0].T.tolist() == [[-1, -1, -1], [0.75, 1, 0]]
    assert out.codes.flatten().tolist() == [0, 7 + 4 * 8 + 1 * 40]


def test_the_gradient_is_that_of_the_bound() -> None:
    """Rounding is passed straight through; tanh is not."""
    levels = (8, 5)
    z = outputs(2).requires_grad_()
    (grad,) = torch.autograd.grad(FiniteScalarQuantizer(levels)(z).vectors.sum(), z)
    rows, step = z.detach()[0, :, :, 0].T.double().numpy(), 1e-5
    slope = (bounded(rows + step, levels) - bounded(rows - step, levels)) / (2 * step)
    assert np.allclose(grad[0, :, :, 0].T, slope / (np.array(levels) // 2), atol=1e-5)


def test_usage_is_followed_in_training_alone() -> None:
    q = FiniteScalarQuantizer((3, 3), decay=0.5)
    codes = q(outputs(2)).codes
    counts = torch.bincount(codes.flatten(), minlength=9)
    assert torch.allclose(q.counts[0], counts / 2)
    q.eval()(outputs(2, seed=2))
    assert torch.allclose(q.counts[0], counts / 2)
    assert list(q.state_dict()) == []


def test_codes_outside_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 8"):
        FiniteScalarQuantizer((3, 3)).vectors(torch.tensor([[[9]]]))


def test_a_model_with_it_decodes_its_codes_and_is_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = VQVAE(TINY).eval()
    pictures = torch.rand(2, 3, 16, 16)
    out = model(pictures)
    assert torch.equal(model.quantizer.vectors(out.quantized.codes), out.quantized.vectors)
    Checkpoint(model).save(tmp_path / "fsq", dtype=torch.float32)
    loaded = load(tmp_path / "fsq").autoencoder
    assert loaded.config == TINY
    codes = model.encode(pictures)
    assert torch.equal(loaded.decode(codes), model.decode(codes))


@pytest.mark.parametrize(
    "changes",
    [{"num_codes": 61}, {"code_dim": 4}, {"books": 2}, {"rotation": True}, {"levels": (3, 4, 1)}],
)
def test_a_config_that_does_not_fit_its_levels_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="levels"):
        dataclasses.replace(TINY, **changes)  # type: ignore[arg-type]
