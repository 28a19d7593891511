"""Whole pictures from a prior alone: the hole that covers everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vq.checkpoints import Checkpoint
from vq.inpainting import decode
from vq.resampling import resample


def sample_pictures(
    checkpoint: Checkpoint, prior: str | None, seeds: Sequence[int], **sampling: Any
) -> np.ndarray:
    """Pictures (N, H, W, 3) uint8 that a prior makes alone, one a seed.

    prior: its name (None: the checkpoint's first). The keyword arguments are those of
    `vq.resampling.resample`. Raises ValueError if one cannot be used.
    """
    model = checkpoint.prior(prior)
    device = next(model.parameters()).device
    pictures = []
    for i in range(0, len(seeds), 8):
        batch = list(seeds[i : i + 8])
        codes = torch.zeros(len(batch), *model.config.map_size, dtype=torch.int64, device=device)
        hole = torch.ones_like(codes, dtype=torch.bool)
        filled = resample(model, codes, hole, batch, **sampling)
        pictures.append(decode(checkpoint.autoencoder, filled.cpu().numpy()))
    return np.concatenate(pictures)
