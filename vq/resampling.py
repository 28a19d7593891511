"""Fill a hole in a code map under a prior.

Samplers know codes, not pixels. There is one signature for every prior. Known codes never
change. What a picture becomes depends on its own seed: each has its own random numbers, one
for every position of its map, drawn before anything else.

Unconditional generation is the hole that covers everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vq.precision import fast
from vq.priors import OrderAgnosticPrior, RasterPrior, label_index
from vq.regions import Window, windows

MAX_GUIDANCE = 20.0
MAX_STEPS = 16_384
MAX_PARTICLES = 256


class ResamplingStep(NamedTuple):
    """The state after one step. Codes that are still to be filled keep their old value."""

    codes: Tensor  # (B, h, w) int64
    remaining: Tensor  # (B, h, w) bool, True = still to be filled
    step: int  # from 1
    steps: int


class Sampling(NamedTuple):
    """How codes are drawn from p: sharpened by temperature, then cut to the likeliest."""

    temperature: float
    top_k: int | None
    top_p: float
    label: int
    guidance: float


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
    particles: int = 8,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
) -> Tensor:
    """Codes (B, h, w) whose hole is filled from the prior given the known codes around it.

    codes: (B, h, w) int64, any h and w; read only where hole (B, h, w) bool is False.
    seeds: one from 0 to 2^63 - 1 a picture.
    temperature: divides the logits; 0 takes the likeliest code. top_k, top_p: draw only from
    the k likeliest codes (a k above K changes nothing), or from the fewest that hold the share
    p of the probability.
    label: class name of the prior, or None. guidance: 1 samples p(z | label) as it is, more
    moves away from the unlabelled prior (classifier-free guidance, arXiv 2207.12598).
    steps: for an order-agnostic prior. Forward passes a window; as many as hole codes, or more,
    is one code at a time, which samples the model exactly, fewer draw several codes at once as
    if independent.
    particles: for a raster-order prior. Fillings tried side by side, of which the one to return
    is drawn by how well it leads up to the known codes; 1 is blind to those after it, the more,
    the nearer to exact (see `vq.smc`). Here a step is a row of codes.
    callback: called after every step with a dict of `ResamplingStep`'s fields; returning True
    stops, and what is filled by then is returned.

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
        particles=particles,
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
    particles: int = 8,
) -> Iterator[ResamplingStep]:
    """`resample`, one step at a time; arguments are checked at once, not at the first step.

    Closing the iterator stops the work. An empty hole gives no step.
    """
    sampling = check_arguments(
        prior, codes, hole, seeds, temperature, top_k, top_p, label, guidance, steps, particles
    )
    if isinstance(prior, RasterPrior):
        from vq.smc import filling_steps  # which builds on this file

        return filling_steps(prior, codes, hole, seeds, sampling, particles)
    return _steps(prior, codes, hole, seeds, sampling, steps)


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
    particles: int,
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
    known = codes[~hole]
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
    if type(particles) is not int or not 1 <= particles <= MAX_PARTICLES:
        raise ValueError(f"particles must be from 1 to {MAX_PARTICLES}, not {particles!r}")
    return Sampling(temperature, top_k, top_p, label_index(prior.config, label), guidance)


def _steps(
    prior: OrderAgnosticPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    sampling: Sampling,
    steps: int,
) -> Iterator[ResamplingStep]:
    """The first window of every picture together, then the second of every picture, ..."""
    codes, remaining = codes.clone(), hole.clone()
    plans = [windows(h.cpu().numpy(), size=prior.config.map_size) for h in hole]
    rounds = max((len(plan) for plan in plans), default=0)
    draws = [Draws(seed, codes.shape[1:]) for seed in seeds]
    # As many steps as the largest part of a hole takes in each round.
    lengths = [
        min(steps, max(int(p[r].fill.sum()) for p in plans if len(p) > r)) for r in range(rounds)
    ]
    done = 0
    for r, length in enumerate(lengths):
        views = [
            View(i, plan[r], draws[i], prior.config.map_size, length)
            for i, plan in enumerate(plans)
            if len(plan) > r
        ]
        for step in range(length):
            _fill(prior, codes, remaining, views, step, sampling)
            done += 1
            yield ResamplingStep(codes.clone(), remaining.clone(), done, sum(lengths))


class Draws:
    """The random numbers of one picture, from its seed alone."""

    def __init__(self, seed: int, shape: torch.Size) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shift = torch.randint(0, 2**31, (2,), generator=generator).tolist()
        self.uniform = torch.rand(shape, generator=generator, dtype=torch.float64)  # (h, w)


class View:
    """A window of picture `index`, and which of its codes are filled at which step.

    A window smaller than the prior's map (the picture's map is smaller) stands in the middle
    of one that is otherwise unknown.
    """

    def __init__(
        self, index: int, window: Window, draws: Draws, map_size: tuple[int, int], steps: int
    ) -> None:
        self.index = index
        self.rows = slice(window.top, window.top + window.height)
        self.columns = slice(window.left, window.left + window.width)
        top, left = (map_size[0] - window.height) // 2, (map_size[1] - window.width) // 2
        self.inner = (slice(top, top + window.height), slice(left, left + window.width))
        rank = halton_rank(*map_size)[self.inner]
        rank = np.roll(rank, [s % n for s, n in zip(draws.shift, rank.shape, strict=True)], (0, 1))
        order = np.argwhere(window.fill)
        order = order[rank[window.fill].argsort()]  # (n, 2) in the window
        self.order = torch.from_numpy(order)
        self.uniform = draws.uniform[self.rows, self.columns][tuple(self.order.T)]
        ends = schedule(len(order), steps)
        self.turns = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _fill(
    prior: OrderAgnosticPrior,
    codes: Tensor,
    remaining: Tensor,
    views: list[View],
    step: int,
    sampling: Sampling,
) -> None:
    """One forward pass over all views; draws the codes whose turn it is, in place."""
    size = (len(views), *prior.config.map_size)
    tokens, known = codes.new_zeros(size), remaining.new_zeros(size)
    wanted = remaining.new_zeros(size)
    cells = []  # (picture, row, column) of the codes drawn, in the order of rows of logits
    uniform = []
    for b, view in enumerate(views):
        outer = (view.index, view.rows, view.columns)
        tokens[b][view.inner] = codes[outer]
        known[b][view.inner] = ~remaining[outer]
        turn = view.order[view.turns[step]]
        # The logits come in raster order: so must the cells and their random numbers.
        sort = (turn[:, 0] * size[2] + turn[:, 1]).argsort()
        rows, columns = turn[sort].T.to(codes.device)
        wanted[b, rows + view.inner[0].start, columns + view.inner[1].start] = True
        cells.append(
            torch.stack(
                [
                    torch.full_like(rows, view.index),
                    rows + view.rows.start,
                    columns + view.columns.start,
                ]
            )
        )
        uniform.append(view.uniform[view.turns[step]][sort])
    at = tuple(torch.cat(cells, 1))
    if not at[0].numel():
        return
    logits = guided_logits(prior, tokens, known, wanted, sampling)
    codes[at] = draw(logits, torch.cat(uniform).to(logits.device), sampling)
    remaining[at] = False


@torch.inference_mode()
def guided_logits(
    prior: OrderAgnosticPrior, tokens: Tensor, known: Tensor, at: Tensor, sampling: Sampling
) -> Tensor:
    """Logits (n, K) float32 at the wanted positions, with classifier-free guidance if asked.

    On a CPU each map is a batch of its own: how sums are rounded depends on the shape of the
    batch, and a picture must not depend on its batch mates (batches of 4 would be 1.5 times
    faster a map). On a GPU they share a batch, and now and then a code may differ.
    """
    if tokens.device.type == "cpu":
        batches = [slice(i, i + 1) for i in range(len(tokens))]
    else:
        batches = [slice(None)]
    with fast(tokens.device):
        logits = torch.cat([_guided(prior, tokens[b], known[b], at[b], sampling) for b in batches])
    if not torch.isfinite(logits).all():
        raise FloatingPointError("the prior gives logits that are not finite")
    return logits


def _guided(
    prior: OrderAgnosticPrior, tokens: Tensor, known: Tensor, at: Tensor, sampling: Sampling
) -> Tensor:
    labels = tokens.new_full((len(tokens),), sampling.label)
    if sampling.label < 0 or sampling.guidance == 1:
        return prior.logits(tokens, known, labels, at)
    both = torch.cat([labels, torch.full_like(labels, -1)])
    tokens, known, at = (torch.cat([t, t]) for t in (tokens, known, at))
    given, free = prior.logits(tokens, known, both, at).chunk(2)
    return free + sampling.guidance * (given - free)


@torch.inference_mode()
def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """A code (n,) for each row of logits (n, K), by inverting its distribution at uniform (n,).

    One number a code, rather than one a code and candidate (Gumbel), keeps the numbers few
    and makes the result as insensitive as can be to rounding in the logits.
    """
    if sampling.temperature == 0:
        return logits.argmax(1)
    logits, index = logits.double().sort(dim=1, descending=True, stable=True)
    p = ((logits - logits[:, :1]) / sampling.temperature).softmax(1)
    if sampling.top_k is not None:
        p[:, sampling.top_k :] = 0
        p /= p.sum(1, keepdim=True)
    if sampling.top_p < 1:
        before = p.cumsum(1) - p  # the likeliest code is always kept
        p = torch.where(before < sampling.top_p, p, 0)
    total = p.cumsum(1)
    place = torch.searchsorted(total, (uniform * total[:, -1]).unsqueeze(1), right=True)
    # Rounding may carry the search past the last code of any probability.
    last = (p > 0).sum(1, keepdim=True) - 1
    return index.gather(1, torch.minimum(place, last)).squeeze(1)


def schedule(codes: int, steps: int) -> list[int]:
    """How many of `codes` are filled after each step: few at first, along MaskGIT's cosine.

    Arithmetic holds at least one code to every step while there are as many as steps.
    """
    ends: list[int] = []
    for i in range(1, steps + 1):
        target = round(codes * (1 - math.cos(math.pi / 2 * i / steps)))
        previous = ends[-1] if ends else 0
        ends.append(min(max(target, previous + 1), codes))
    return ends


@cache
def halton_rank(height: int, width: int) -> np.ndarray:
    """Rank (height, width) of each position in Halton order (bases 2 and 3).

    Successive positions lie far apart and spread evenly, so that codes drawn in one step
    depend little on one another (Besnier et al., arXiv 2503.17076).
    """
    seen = np.full(height * width, -1)
    index, rank = 0, 0
    while rank < len(seen):
        points = np.arange(index, index + 4 * len(seen)) + 1
        rows = (van_der_corput(points, 2) * height).astype(int)
        columns = (van_der_corput(points, 3) * width).astype(int)
        for cell in rows * width + columns:
            if seen[cell] < 0:
                seen[cell] = rank
                rank += 1
        index += len(points)
    return seen.reshape(height, width)


def van_der_corput(n: np.ndarray, base: int) -> np.ndarray:
    """The digits of n mirrored behind the point: n (any shape) -> [0, 1)."""
    n, result, scale = n.copy(), np.zeros(n.shape), 1.0
    while n.any():
        scale /= base
        result += scale * (n % base)
        n //= base
    return result
