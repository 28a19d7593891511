"""Fill a hole in a code map under a prior.

Samplers know codes, not pixels. There is one signature for every prior. Known codes never
change. What a picture becomes depends on its own seed: each has its own random numbers, one
for every position of its map, drawn before anything else.

Unconditional generation is the hole that covers everything. Variations akin to a filling are that
filling with a share of its codes kept, and the rest drawn anew given them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vq import any_order, smc
from vq.priors import OrderAgnosticPrior, RasterPrior, label_index, label_of
from vq.sampling import ResamplingStep, Sampling

MAX_GUIDANCE = 20.0
MAX_STEPS = 16_384
MAX_PARTICLES = 256


def resample(
    prior: OrderAgnosticPrior | RasterPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    label: str | None = None,
    guidance: float = 1.0,
    steps: int = 12,
    remask: float = 0.0,
    particles: int = 8,
    keep: float = 0.0,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
) -> Tensor:
    """Codes (B, h, w) whose hole is filled from the prior given the known codes around it.

    codes: (B, h, w) int64, any h and w; read only where hole (B, h, w) bool is False, or with keep.
    seeds: one from 0 to 2^63 - 1 a picture.
    temperature: divides the logits; 0 takes the likeliest code. top_k, top_p: draw only from
    the k likeliest codes (a k above K changes nothing), or from the fewest that hold the share
    p of the probability.
    label: class name of the prior, "*" for each of its classes in turn, by seed, or None.
    guidance: 1 samples p(z | label) as it is, more moves away from the unlabelled prior
    (classifier-free guidance, arXiv 2207.12598).
    steps: for an order-agnostic prior. Forward passes a window; as many as hole codes, or more,
    is one code at a time, which samples the model exactly, fewer draw several codes at once as
    if independent.
    remask: for an order-agnostic prior. The share of a window's filled codes, those that were the
    least likely when they were drawn, which is hidden and drawn once more when all others are
    there, in that share of `steps` more.
    particles: for a raster-order prior. Fillings tried side by side, of which the one to return
    is drawn by how well it leads up to the known codes; 1 is blind to those after it, the more,
    the nearer to exact (see `vq.smc`). Here a step is a row of codes.
    keep: the share of a hole's codes that stay as they are in `codes`, and are known to the prior:
    the result is akin to that map, the more so the larger the share. Which ones stay depends on
    the picture's seed (`kept_codes`). 0 reads none of them.
    callback: called after every step with a dict of the fields of `vq.sampling.ResamplingStep`;
    returning True stops, and what is filled by then is returned.

    Raises ValueError naming the argument and its limits if one is out of range, and
    FloatingPointError if the prior gives logits that are not finite.
    """
    result = codes
    for state in resampling_steps(
        prior,
        codes,
        hole,
        seeds,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        label=label,
        guidance=guidance,
        steps=steps,
        remask=remask,
        particles=particles,
        keep=keep,
    ):
        result = state.codes
        if callback and callback(state._asdict()):
            break
    return result.clone()


def resampling_steps(
    prior: OrderAgnosticPrior | RasterPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    label: str | None = None,
    guidance: float = 1.0,
    steps: int = 12,
    remask: float = 0.0,
    particles: int = 8,
    keep: float = 0.0,
) -> Iterator[ResamplingStep]:
    """`resample`, one step at a time; arguments are checked at once, not at the first step.

    Closing the iterator stops the work. An empty hole gives no step.
    """
    sampling = check_arguments(
        prior,
        codes,
        hole,
        seeds,
        temperature,
        top_k,
        top_p,
        label,
        guidance,
        steps,
        remask,
        particles,
        keep,
    )
    if keep:
        hole = hole & ~kept_codes(hole, seeds, keep)
    if isinstance(prior, RasterPrior):
        return smc.filling_steps(prior, codes, hole, seeds, sampling, particles)
    return any_order.filling_steps(prior, codes, hole, seeds, sampling, steps, remask)


def check_arguments(
    prior: OrderAgnosticPrior | RasterPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    temperature: float,
    top_k: int | None,
    top_p: float,
    label: str | None,
    guidance: float,
    steps: int,
    remask: float,
    particles: int,
    keep: float,
) -> Sampling:
    """Refuse, with a ValueError that names argument and limits, what cannot be resampled."""
    num_codes = prior.config.num_codes
    if codes.ndim != 3 or codes.dtype != torch.int64:
        raise ValueError(f"codes must be int64 (B, h, w), not {codes.dtype} {tuple(codes.shape)}")
    if hole.dtype != torch.bool or hole.shape != codes.shape:
        raise ValueError(
            f"hole must be bool of the codes' shape {tuple(codes.shape)}, "
            f"not {hole.dtype} {tuple(hole.shape)}"
        )
    known = codes if keep else codes[~hole]
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < num_codes:
        raise ValueError(f"known codes must be from 0 to {num_codes - 1}")
    if len(seeds) != len(codes):
        raise ValueError(f"expected {len(codes)} seeds, one a picture, got {len(seeds)}")
    if any(type(seed) is not int or not 0 <= seed < 2**63 for seed in seeds):
        raise ValueError("seeds must be whole numbers from 0 to 2^63 - 1")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be 0 or more, and finite, not {temperature}")
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"top_k must be a whole number from 1, or None, not {top_k!r}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")
    if not 0 <= guidance <= MAX_GUIDANCE:
        raise ValueError(f"guidance must be from 0 to {MAX_GUIDANCE:g}, not {guidance}")
    if type(steps) is not int or not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be a whole number from 1 to {MAX_STEPS}, not {steps!r}")
    if not 0 <= remask <= 1:
        raise ValueError(f"remask must be from 0 to 1, not {remask}")
    if type(particles) is not int or not 1 <= particles <= MAX_PARTICLES:
        raise ValueError(f"particles must be from 1 to {MAX_PARTICLES}, not {particles!r}")
    if not 0 <= keep < 1:
        raise ValueError(f"keep must be 0 or more, and below 1, not {keep}")
    names = (label_of(prior.config.labels, label, seed) for seed in seeds)
    labels = tuple(label_index(prior.config, name) for name in names)
    return Sampling(temperature, top_k, top_p, labels, guidance)


def kept_codes(hole: Tensor, seeds: Sequence[int], keep: float) -> Tensor:
    """Which codes of each hole (B, h, w) bool stay: that share, rounded, in random places.

    At least one code of a hole is left to be drawn. The places come from the picture's seed, and
    have nothing to do with what is drawn from the same seed; a larger share has all those of a
    smaller one.
    """
    kept = np.zeros(hole.shape, bool)
    for one, cells, seed in zip(kept, hole.cpu().numpy(), seeds, strict=True):
        # NumPy mixes the two numbers, so this is not the stream that codes are drawn from.
        order = np.random.default_rng([seed, 1]).random(cells.shape)[cells].argsort()
        places = np.argwhere(cells)
        one[tuple(places[order[: min(round(keep * len(places)), len(places) - 1)]].T)] = True
    return torch.from_numpy(kept).to(hole.device)
