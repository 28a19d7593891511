"""Filling a hole: the PixelCNN's incremental evaluation, the masked prior, and how both grow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.pipeline import forward
from benchmarks.timing import median_seconds
from vq.checkpoints import load
from vq.precision import fast, has_bf16
from vq.priors.masked import MaskedPrior, MaskedPriorConfig
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.resampling import resample

CODES_IN_HOLE = 256
STEPS = 12


def measure(checkpoint_path: Path) -> dict[str, Any]:
    """Medians of warm runs, of a square hole in the middle of a 32x32 map unless said otherwise.

    The PixelCNN has 15 layers of 128 channels and random weights: its speed does not depend on
    them. The usual way to fill is a full forward pass for every code: `pixelcnn_speedup` compares
    with float32 passes, as public implementations make them, `pixelcnn_speedup_bf16` with passes
    in bfloat16 where the chip has it. One particle is the plain raster fill.
    """
    torch.manual_seed(0)
    pixelcnn = PixelCNN(PixelCNNConfig()).eval()
    masked: Any = load(checkpoint_path).priors.get("masked") or MaskedPrior(MaskedPriorConfig())
    full = median_seconds(partial(full_pass, pixelcnn, False), 3, 1)
    full_bf16 = median_seconds(partial(full_pass, pixelcnn, has_bf16("cpu")), 3, 1)
    one = seconds(pixelcnn, 16)
    eight = seconds(pixelcnn, 16, batch=8)
    filled = seconds(masked.eval(), 16)
    bare = median_seconds(partial(_passes, masked), 3, 1)
    return {
        "threads": torch.get_num_threads(),
        "pixelcnn_forward_seconds": full,
        "pixelcnn_forward_bf16_seconds": full_bf16,
        "pixelcnn_hole256_seconds": one,
        "pixelcnn_speedup": CODES_IN_HOLE * full / one,
        "pixelcnn_speedup_bf16": CODES_IN_HOLE * full_bf16 / one,
        "pixelcnn_batch8_cost": eight / one,
        "masked_hole256_seconds": filled,
        "masked_overhead": filled / bare - 1,
        "pixelcnn_seconds_by_codes_in_hole": {
            str(side * side): seconds(pixelcnn, side) for side in (4, 8, 16, 32)
        },
        "pixelcnn_hole256_seconds_by_side_of_map": {
            str(size): seconds(pixelcnn, 16, size=size) for size in (32, 64, 128)
        },
        "pixelcnn_hole256_seconds_by_particles": {
            str(n): seconds(pixelcnn, 16, particles=n) for n in (1, 4, 16)
        },
    }


def seconds(prior: Any, side: int, *, size: int = 32, batch: int = 1, particles: int = 1) -> float:
    """Of filling a hole of side x side codes in the middle of size x size known ones."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, prior.config.num_codes, (1, size, size), generator=generator)
    hole = torch.zeros(1, size, size, dtype=torch.bool)
    start = (size - side) // 2
    hole[:, start : start + side, start : start + side] = True
    maps: tuple[Tensor, Tensor] = (codes.repeat(batch, 1, 1), hole.repeat(batch, 1, 1))
    fill = partial(resample, prior, *maps, range(batch), particles=particles, steps=STEPS)
    return median_seconds(fill, 3, 1)


@torch.inference_mode()
def full_pass(prior: PixelCNN, bf16: bool) -> None:
    codes = torch.zeros(1, *prior.config.map_size, dtype=torch.int64)
    with fast(codes.device, enabled=bf16):
        prior.logits(codes)


def _passes(prior: Any) -> None:
    for _ in range(STEPS):
        forward(prior)
