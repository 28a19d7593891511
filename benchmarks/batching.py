"""Whether the work of several visitors is better done together: in one batch, against in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from vq.checkpoints import load
from vq.precision import fast
from vq.resampling import resample

SIDE = 256  # of a picture, in pixels
HOLE = 16  # side, in codes
STEPS = 4  # what a step takes is what counts
VISITORS = (2, 4, 8)

Work = Callable[[Sequence[int]], Tensor]  # of these visitors, (N, ...)


def measure(checkpoint_path: Path, rounds: int = 3) -> dict[str, Any]:
    """Seconds in turn over seconds in one batch, by how many visitors, and if answers are the same.

    `masked_fill` and `pixelcnn_fill` are as the app would do it: where each visitor gets bit for
    bit what a lone one gets. The others show what is there to gain without that, and for holes
    that are all at the same place.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = load(checkpoint_path, device=device)
    autoencoder, priors = checkpoint.autoencoder, checkpoint.priors
    side = SIDE // checkpoint.stride
    generator = torch.Generator().manual_seed(0)
    most = max(VISITORS)
    pictures = torch.rand(most, 3, SIDE, SIDE, generator=generator).to(device)
    codes = torch.stack([autoencoder.encode(picture[None])[0] for picture in pictures])
    hole = torch.zeros(most, side, side, dtype=torch.bool, device=device)
    same_hole = hole.clone()
    for visitor in range(most):
        row, column = (int(n) for n in torch.randint(side - HOLE, (2,), generator=generator))
        hole[visitor, row : row + HOLE, column : column + HOLE] = True
        same_hole[visitor, :HOLE, :HOLE] = True

    def fill(name: str, hole: Tensor, which: Sequence[int]) -> Tensor:
        chosen = list(which)
        return resample(priors[name], codes[chosen], hole[chosen], chosen, steps=STEPS)

    @torch.inference_mode()
    def forward(which: Sequence[int]) -> Tensor:
        prior: Any = priors["masked"]
        height, width = prior.config.map_size
        some = codes[list(which), :height, :width]
        with fast(some.device):
            return prior.logits(some, torch.zeros_like(some, dtype=torch.bool))

    works: dict[str, Work] = {
        "encode": lambda which: autoencoder.encode(pictures[list(which)]),
        "decode": lambda which: autoencoder.decode(codes[list(which)]),
        "masked_fill": partial(fill, "masked", hole),
        "masked_forward": forward,
        "pixelcnn_fill": partial(fill, "pixelcnn", hole),
        "pixelcnn_fill_at_one_place": partial(fill, "pixelcnn", same_hole),
    }
    result: dict[str, Any] = {"device": device, "threads": torch.get_num_threads()}
    return result | {name: gains(work, rounds) for name, work in works.items()}


def gains(work: Work, rounds: int) -> dict[str, Any]:
    """Medians of `rounds`."""
    everyone = range(max(VISITORS))
    alone = torch.cat([work([visitor]) for visitor in everyone])
    same = torch.equal(alone, work(everyone))
    seconds = [[_seconds(work, [visitor]) for visitor in everyone] for _ in range(rounds)]
    figures: dict[str, Any] = {}
    for visitors in VISITORS:
        together = [_seconds(work, range(visitors)) for _ in range(rounds)]
        in_turn = [sum(each[:visitors]) for each in seconds]
        figures[f"gain_with_{visitors}"] = median(in_turn) / median(together)
    return {
        "seconds_alone": median(in_turn) / visitors,
        **figures,
        "same_answers": same,
    }


def _seconds(work: Work, which: Sequence[int]) -> float:
    """On a processor its own, of all cores, which do not depend on what else the machine does."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    work(which)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start
