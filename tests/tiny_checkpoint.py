"""A whole checkpoint with random weights, small enough to be built in every test."""

from __future__ import annotations

import numpy as np
import torch

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint
from vq.priors.masked import MaskedPrior, MaskedPriorConfig


def tiny_checkpoint(map_size: tuple[int, int] = (8, 8)) -> Checkpoint:
    """Stride 4, K = 16, classes sea and hill."""
    torch.manual_seed(0)
    autoencoder = VQVAE(VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4))
    # Spread over what the encoder gives, so that many codes are used.
    with torch.no_grad():
        z = autoencoder._encoded(torch.rand(4, 3, 64, 64))
        autoencoder.quantizer.codebook[0] = z.permute(0, 2, 3, 1).reshape(-1, 4)[::64]
        for p in autoencoder.decoder.parameters():
            p.mul_(3)
    prior = MaskedPrior(
        MaskedPriorConfig(
            num_codes=16,
            map_size=map_size,
            labels=("sea", "hill"),
            channels=8,
            local_blocks=1,
            width=16,
            depth=1,
            heads=1,
        )
    )
    return Checkpoint(autoencoder.eval(), {"masked": prior.eval()}, "# Tiny\n")


def photograph(width: int, height: int) -> np.ndarray:
    """A picture (height, width, 3) uint8 with slopes and edges."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x // width
    green = 255 * y // height
    blue = 128 + 100 * np.sin(x / 5) * np.cos(y / 7)
    return np.stack([red, green, blue], 2).astype(np.uint8)
