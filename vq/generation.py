"""Whole pictures from a prior alone: the hole that covers everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vq.checkpoints import Checkpoint, Prior
from vq.inpainting import decode
from vq.priors import RasterPrior
from vq.resampling import resample

GUIDANCE = 3.0  # where a picture shows its class, and those of one class still differ


def whole_prior(priors: Mapping[str, Prior]) -> str | None:
    """Which of them makes whole pictures if none is named: one in raster order, or the first.

    With nothing known, codes that are settled all over a map in few steps come together worse.
    """
    raster = (name for name, prior in priors.items() if isinstance(prior, RasterPrior))
    return next(raster, next(iter(priors), None))


def sample_pictures(
    checkpoint: Checkpoint,
    prior: str | None,
    seeds: Sequence[int],
    *,
    guidance: float = GUIDANCE,
    **sampling: Any,
) -> np.ndarray:
    """Pictures (N, H, W, 3) uint8 that a prior makes alone, one a seed.

    prior: its name (None: `whole_prior`). The other arguments are those of
    `vq.resampling.resample`. Raises ValueError if one cannot be used.
    """
    model = checkpoint.prior(prior or whole_prior(checkpoint.priors))
    device = next(model.parameters()).device
    pictures = []
    for i in range(0, len(seeds), 8):
        batch = list(seeds[i : i + 8])
        codes = torch.zeros(len(batch), *model.config.map_size, dtype=torch.int64, device=device)
        hole = torch.ones_like(codes, dtype=torch.bool)
        filled = resample(model, codes, hole, batch, guidance=guidance, **sampling)
        pictures.append(decode(checkpoint.autoencoder, filled.cpu().numpy()))
    return np.concatenate(pictures)
