"""How well do fillings of real holes join up? Filled in many ways, weighed by two judges."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vq.checkpoints import load
from vq.data import load_pictures
from vq.regions import dilate
from vq.resampling import resample
from vq.stages import code_maps, find_dataset
from vq.surprise import code_bits

WAYS: dict[str, dict[str, Any]] = {
    "raster (1 particle)": {"prior": "pixelcnn", "particles": 1},
    "4 particles": {"prior": "pixelcnn", "particles": 4},
    "16 particles": {"prior": "pixelcnn", "particles": 16},
    "32 particles": {"prior": "pixelcnn", "particles": 32},
    "masked, 4 steps": {"prior": "masked", "steps": 4},
    "masked, 12 steps": {"prior": "masked", "steps": 12},
    "masked, 12 steps, half again": {"prior": "masked", "steps": 12, "remask": 0.5},
    "masked, 32 steps": {"prior": "masked", "steps": 32},
    "masked, one at a time": {"prior": "masked", "steps": 1024},
}


def measure(
    checkpoint_path: Path, data_root: Path, holes: int, temperature: float
) -> dict[str, Any]:
    """For each way, means over the holes of bits more than the true filling's, and seconds.

    Holes of three shapes in turn (square, disc, brush stroke), of 64 codes or so, each in a map
    of scenes128/test; the seed is the hole's number. Judges: `pixelcnn`, -log2 p of the whole
    finished map; `behind`, the share of it for known codes after the first hole code, which are
    what a raster fill is blind to; `masked`, the pseudo-likelihood (`code_bits`) of the
    hole and the codes that touch it. Less is better, but less than 0 is more probable than real
    pictures are, which the likeliest filling, a flat one, would be too.
    """
    checkpoint = load(checkpoint_path)
    maps, masks = real_holes(checkpoint, data_root, holes)
    judge = Judge(checkpoint)
    truth = [judge(codes, mask) for codes, mask in zip(maps, masks, strict=True)]
    result: dict[str, Any] = {"holes": holes, "temperature": temperature}
    for name, way in WAYS.items():
        settings = dict(way)
        prior = checkpoint.priors[settings.pop("prior")]
        more, seconds = [], 0.0
        for seed, (codes, mask) in enumerate(zip(maps, masks, strict=True)):
            start = time.perf_counter()
            filled = resample(
                prior, codes[None], mask[None], [seed], temperature=temperature, **settings
            )[0]
            seconds += time.perf_counter() - start
            bits = judge(filled, mask)
            more.append({k: bits[k] - truth[seed][k] for k in bits})
        result[name] = {k: float(np.mean([m[k] for m in more])) for k in more[0]}
        result[name]["seconds"] = seconds / holes
        print(name, result[name], flush=True)
    return result


class Judge:
    """Bits of a map under both priors, as `measure` says."""

    def __init__(self, checkpoint: Any) -> None:
        self.priors = checkpoint.priors

    def __call__(self, codes: Tensor, hole: Tensor) -> dict[str, float]:
        by_chain = code_bits(self.priors["pixelcnn"], codes[None])[0]
        near = torch.from_numpy(dilate(hole.numpy()))
        left_out = code_bits(self.priors["masked"], codes[None])[0]
        return {
            "pixelcnn": float(by_chain.sum()),
            "behind": float(by_chain[~hole].sum()),
            "masked": float(left_out[near].sum()),
        }


def real_holes(checkpoint: Any, data_root: Path, count: int) -> tuple[Tensor, Tensor]:
    """Code maps (count, h, w) of test pictures, and a hole for each (count, h, w) bool."""
    test = load_pictures(find_dataset(data_root, "scenes128"), "test", limit=count)
    maps = torch.from_numpy(code_maps(checkpoint.autoencoder, test)).long()
    rng = np.random.default_rng(0)
    shapes = (square, disc, stroke)
    masks = np.stack([shapes[i % 3](maps.shape[1:], rng) for i in range(count)])
    return maps, torch.from_numpy(masks)


Shape = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def square(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """8x8 codes."""
    hole = np.zeros(shape, bool)
    top, left = (int(rng.integers(2, side - 9)) for side in shape)
    hole[top : top + 8, left : left + 8] = True
    return hole


def disc(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Of radius 4.5 codes."""
    centre = [rng.uniform(6, side - 6) for side in shape]
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(rows - centre[0], columns - centre[1]) <= 4.5)


def stroke(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A straight stroke of 20 codes with a brush 3 codes wide, in any direction."""
    angle = rng.uniform(0, math.pi)
    step = np.array([math.sin(angle), math.cos(angle)])
    centre = np.array([rng.uniform(12, side - 12) for side in shape])
    rows, columns = np.indices(shape)
    offset = np.stack([rows - centre[0], columns - centre[1]], -1)
    along, across = offset @ step, offset @ np.array([step[1], -step[0]])
    return np.asarray((np.abs(along) <= 10) & (np.abs(across) <= 1.5))
