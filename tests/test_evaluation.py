"""Figures against NumPy and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint
from vq.data import Pictures
from vq.evaluation import evaluate, label_indices, psnr, rate_bits, ssim
from vq.priors.masked import MaskedPrior, MaskedPriorConfig

VQ = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)
PRIOR = MaskedPriorConfig(
    num_codes=16, map_size=(8, 8), labels=("sea", "hill"), channels=8, width=16, depth=1, heads=1
)


def noisy_pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 1, 40)[None, :, None, None] * rng.random((3, 1, 37, 3))
    noise = rng.normal(0, [[[[0.01]]], [[[0.1]]], [[[0.4]]]], smooth.shape)
    return smooth.astype(np.float32), np.clip(smooth + noise, 0, 1).astype(np.float32)


def tensor(a: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(a).permute(0, 3, 1, 2)


def test_psnr_and_ssim_equal_scikit_image() -> None:
    a, b = noisy_pairs()
    for i in range(3):
        expected = peak_signal_noise_ratio(a[i], b[i], data_range=1)
        assert float(psnr(tensor(a), tensor(b))[i]) == pytest.approx(expected, abs=1e-3)
        expected = structural_similarity(
            a[i],
            b[i],
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        # scikit-image mirrors the border where we leave it out: the means differ slightly.
        assert float(ssim(tensor(a), tensor(b))[i]) == pytest.approx(expected, abs=0.02)


def test_equal_pictures_are_perfect() -> None:
    a = tensor(noisy_pairs()[1])
    assert torch.isinf(psnr(a, a)).all()
    assert torch.allclose(ssim(a, a), torch.ones(3))
    assert ssim(a[:, :, :4, :6], a[:, :, :4, :6]).tolist() == pytest.approx([1, 1, 1])


def test_evaluate_over_the_whole_set_equals_numpy() -> None:
    torch.manual_seed(0)
    autoencoder = VQVAE(VQ).eval()
    prior = MaskedPrior(PRIOR).eval()
    pixels = np.random.default_rng(1).integers(0, 256, (10, 32, 32, 3), np.uint8)
    data = Pictures(pixels, np.arange(10) % 3 - 1, ("hill", "desert"))
    found = evaluate(Checkpoint(autoencoder, {"masked": prior}), data, batch=4)

    codes = autoencoder.encode(data.tensor(slice(None)))
    decoded = (autoencoder.decode(codes) * 255).round().permute(0, 2, 3, 1).numpy()
    errors = ((decoded - pixels) / 255.0) ** 2
    assert found["mse"] == pytest.approx(errors.mean(), rel=1e-5)
    each = -10 * np.log10(errors.mean(axis=(1, 2, 3)))
    assert found["psnr_db"] == pytest.approx(each.mean(), rel=1e-5)
    p = np.bincount(codes.flatten().numpy(), minlength=16) / codes.numel()
    entropy = -sum(x * math.log2(x) for x in p if x)
    assert found["unigram_bits"] == pytest.approx(entropy, rel=1e-5)
    assert found["perplexity"] == pytest.approx(2**entropy, rel=1e-5)
    assert found["codes_used"] == (p > 0).sum()
    # A prior with random weights is near the uniform one.
    assert found["bits_per_code"]["masked"] == pytest.approx(4, abs=0.7)
    assert found["pictures"] == 10 and found["pictures_per_second"] > 0


def test_labels_are_matched_by_name() -> None:
    data = Pictures(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, -1, 0]), ("hill", "desert"))
    assert label_indices(MaskedPrior(PRIOR), data).tolist() == [1, -1, -1, 1]


def test_rate_is_that_of_the_paper() -> None:
    """128x128x3 -> 32x32x1, K = 512: 42.6 times fewer bits (section 4.1)."""
    model = VQVAE(VQVAEConfig(hidden=8, residual_hidden=4))
    bits = rate_bits(model, 128, 128)
    assert bits == 32 * 32 * 9
    assert 128 * 128 * 3 * 8 / bits == pytest.approx(42.67, abs=0.01)
