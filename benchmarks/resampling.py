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
    shipped: dict[str, Any] = load(checkpoint_path).priors
    masked = shipped.get("masked") or MaskedPrior(MaskedPriorConfig()).eval()
    full = median_seconds(partial(full_pass, pixelcnn, False), 5, 2)
    full_bf16 = median_seconds(partial(full_pass, pixelcnn, has_bf16("cpu")), 5, 2)
    one = seconds(pixelcnn, 16)
    eight = seconds(pixelcnn, 16, batch=8)
    filled = seconds(masked, 16)
    bare = median_seconds(partial(_passes, masked), 5, 2)
    result: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "pixelcnn_forward_seconds": full,
        "pixelcnn_forward_bf16_seconds": full_bf16,
        "pixelcnn_hole256_seconds": one,
        "pixelcnn_speedup": CODES_IN_HOLE * full / one,
        "pixelcnn_speedup_bf16": CODES_IN_HOLE * full_bf16 / one,
        "pixelcnn_batch8_cost": eight / one,
        "masked_hole256_seconds": filled,
        "masked_overhead": filled / bare - 1,
    }
    for name, prior in {"pixelcnn": pixelcnn, "masked": masked}.items():
        result[f"{name}_seconds_by_codes_in_hole"] = {
            str(side * side): seconds(prior, side) for side in (4, 8, 16, 32)
        }
        result[f"{name}_hole256_seconds_by_side_of_map"] = {
            str(size): seconds(prior, 16, size=size) for size in (32, 64, 128)
        }
    if "pixelcnn" in shipped:
        result["shipped_pixelcnn_hole256_seconds_by_particles"] = {
            str(n): seconds(shipped["pixelcnn"], 16, particles=n) for n in (1, 8, 32)
        }
    return result


def plot(figures: dict[str, Any], path: Path) -> None:
    """Seconds against codes in the hole, and against the side of the map at a fixed hole."""
    from matplotlib.figure import Figure

    figure = Figure((9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, key, x in (
        (left, "{}_seconds_by_codes_in_hole", "codes in the hole, in a map of 32 x 32"),
        (right, "{}_hole256_seconds_by_side_of_map", "side of the map, with 256 codes in the hole"),
    ):
        for name in ("pixelcnn", "masked"):
            points = {int(n): t for n, t in figures[key.format(name)].items()}
            axes.plot([*points], [*points.values()], "o-", label=name)
        axes.set(xlabel=x, ylabel="seconds", xscale="log", ylim=0)
        axes.set_xticks([*points], [*map(str, points)], minor=False)
        axes.minorticks_off()
        axes.legend()
    figure.savefig(path)


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
