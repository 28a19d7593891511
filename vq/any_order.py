"""Fill a hole under a prior that sees every side: many codes in each of a few forward passes.

Codes that are drawn together are drawn as if independent, so a step takes codes that are spread
all over the hole, and the first steps take few. One code a step samples the prior exactly
(arXiv 2110.02037).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from vq.precision import fast
from vq.priors import OrderAgnosticPrior, PriorConfig
from vq.sampling import ResamplingStep, Sampling, draw
from vq.windows import Window, windows


def filling_steps(
    prior: OrderAgnosticPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    sampling: Sampling,
    steps: int,
    remask: float,
) -> Iterator[ResamplingStep]:
    """Codes after each forward pass; see `vq.resampling.resampling_steps`.

    The first window of every picture together, then the second of every picture, ...
    """
    codes, remaining = codes.clone(), hole.clone()
    log_p = torch.zeros(codes.shape, device=codes.device)
    plans = [windows(h.cpu().numpy(), size=prior.config.map_size) for h in hole]
    rounds = max((len(plan) for plan in plans), default=0)
    draws = [Draws(seed, codes.shape[1:]) for seed in seeds]
    # As many steps as the largest part of a hole takes in each round.
    lengths = [
        min(steps, max(int(p[r].fill.sum()) for p in plans if len(p) > r)) for r in range(rounds)
    ]
    total = sum(length + math.ceil(remask * length) for length in lengths)
    done = 0
    for r, length in enumerate(lengths):
        parts = [(i, plan[r]) for i, plan in enumerate(plans) if len(plan) > r]
        for turn, turns in enumerate((length, math.ceil(remask * length))):
            if turn == 1 and turns:
                parts = [(i, least_likely(window, log_p[i], remask)) for i, window in parts]
                for i, window in parts:
                    remaining[i][window.slices] |= torch.from_numpy(window.fill).to(codes.device)
            views = [View(i, window, draws[i], turn, prior.config, turns) for i, window in parts]
            for step in range(turns):
                _fill(prior, codes, remaining, log_p, views, step, sampling)
                done += 1
                yield ResamplingStep(codes.clone(), remaining.clone(), done, total)


def least_likely(window: Window, log_p: Tensor, share: float) -> Window:
    """The window, to fill only that share of its codes that is least likely by log_p (h, w)."""
    cells = np.argwhere(window.fill)
    order = log_p[window.slices].cpu().numpy()[tuple(cells.T)].argsort(kind="stable")
    fill = np.zeros_like(window.fill)
    fill[tuple(cells[order[: math.ceil(share * len(cells))]].T)] = True
    return dataclasses.replace(window, fill=fill)


class Draws:
    """The random numbers of one picture, from its seed alone."""

    def __init__(self, seed: int, shape: torch.Size) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shift = torch.randint(0, 2**31, (2,), generator=generator).tolist()
        # (2, h, w): for a code's first drawing and, if it is masked again, its second.
        self.uniform = torch.rand((2, *shape), generator=generator, dtype=torch.float64)


class View:
    """A window of picture `index`, and which of its codes are filled at which step.

    A window smaller than the prior's map (the picture's map is smaller) stands in the middle
    of one that is otherwise unknown.
    """

    def __init__(
        self,
        index: int,
        window: Window,
        draws: Draws,
        turn: int,
        config: PriorConfig,
        steps: int,
    ) -> None:
        map_size = config.map_size
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
        self.uniform = draws.uniform[turn, self.rows, self.columns][tuple(self.order.T)]
        ends = schedule(len(order), steps)
        self.turns = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _fill(
    prior: OrderAgnosticPrior,
    codes: Tensor,
    remaining: Tensor,
    log_p: Tensor,
    views: list[View],
    step: int,
    sampling: Sampling,
) -> None:
    """One forward pass over all views; draws the codes whose turn it is, in place.

    log_p (B, h, w) takes up how likely each of them was, under the prior as it is.
    """
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
    labels = codes.new_tensor([sampling.labels[view.index] for view in views])
    logits = guided_logits(prior, tokens, known, wanted, labels, sampling.guidance)
    drawn = draw(logits, torch.cat(uniform).to(logits.device), sampling)
    codes[at] = drawn
    log_p[at] = logits.gather(1, drawn[:, None])[:, 0] - logits.logsumexp(1)
    remaining[at] = False


@torch.inference_mode()
def guided_logits(
    prior: OrderAgnosticPrior,
    tokens: Tensor,
    known: Tensor,
    at: Tensor,
    labels: Tensor,
    guidance: float,
) -> Tensor:
    """Logits (n, K) float32 at the wanted positions, with classifier-free guidance if asked.

    labels: (B,) int64, one a map, -1 for none.

    On a CPU each map is a batch of its own: how sums are rounded depends on the shape of the
    batch, and a picture must not depend on its batch mates (batches of 4 would be 1.5 times
    faster a map). On a GPU they share a batch, and now and then a code may differ.
    """
    if tokens.device.type == "cpu":
        batches = [slice(i, i + 1) for i in range(len(tokens))]
    else:
        batches = [slice(None)]
    with fast(tokens.device):
        logits = torch.cat(
            [_guided(prior, tokens[b], known[b], at[b], labels[b], guidance) for b in batches]
        )
    if not torch.isfinite(logits).all():
        raise FloatingPointError("the prior gives logits that are not finite")
    return logits


def _guided(
    prior: OrderAgnosticPrior,
    tokens: Tensor,
    known: Tensor,
    at: Tensor,
    labels: Tensor,
    guidance: float,
) -> Tensor:
    if guidance == 1 or bool((labels < 0).all()):
        return prior.logits(tokens, known, labels, at)
    both = torch.cat([labels, torch.full_like(labels, -1)])
    tokens, known, at = (torch.cat([t, t]) for t in (tokens, known, at))
    given, free = prior.logits(tokens, known, both, at).chunk(2)
    return free + guidance * (given - free)


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
