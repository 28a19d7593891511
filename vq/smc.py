"""Fill a hole under a prior that sees one side only, so that it joins up on every side.

A raster-order prior draws each code given those before it, and is blind to what follows. So a
batch of fillings ("particles") walks the map together (sequential Monte Carlo; Doucet and
Johansen, "A Tutorial on Particle Filtering and Smoothing", 2009). Hole codes are drawn from the
prior; each known code on the way multiplies a particle's weight by its probability, which is low
where the filling does not lead up to it. When the effective number of particles falls below half,
before more codes are drawn, those of little weight are replaced by copies of heavier ones. The
result is one particle, drawn by weight.

With q, the prior sharpened or cut as asked, for codes of the hole and p, the prior itself, for
known ones, a filling's limit as particles grow is in proportion to the product of q(its codes
given those before) and p(known codes given those before). With temperature 1 and nothing cut that
is the prior's exact conditional given everything known. One particle is the plain raster fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vq.priors import RasterPrior, RasterWalk
from vq.priors.incremental import ROWS
from vq.sampling import ResamplingStep, Sampling, draw
from vq.windows import Window, windows

MAX_BATCH = 256  # particles walked at once, of all pictures


@dataclass(frozen=True)
class Part:
    """What is walked to fill a window's hole: a crop of the map, as far as the prior sees.

    Positions are within the crop. Rows from `first` to `end` - 1 are visited, in columns from
    `left` to `right` - 1. Codes that are `drawn` but not `fill` belong to the hole too, and to
    another window: here they are drawn along, and forgotten.
    """

    pictures: list[int]
    rows: slice  # of the map
    columns: slice
    drawn: np.ndarray  # bool, of the crop's size
    fill: np.ndarray
    first: int
    end: int
    left: int
    right: int

    @staticmethod
    def of(
        pictures: list[int], window: Window, remaining: np.ndarray, reach: int, weigh: bool
    ) -> Part:
        """`remaining` (h, w) bool is the map's hole as it is when the window's turn comes.

        weigh: walk on over every code that the hole can influence, not only over the hole.
        """
        drawn, fill = remaining[window.slices].copy(), window.fill
        rows = np.flatnonzero(drawn.any(1))
        first, last = int(rows[0]), int(np.flatnonzero(fill.any(1))[-1])
        end = min(fill.shape[0], last + 1 + (reach if weigh else 0))
        columns = np.flatnonzero(drawn[first:end].any(0))
        margin = reach if weigh else 0
        left = max(0, int(columns[0]) - margin)
        right = min(fill.shape[1], int(columns[-1]) + 1 + margin)
        top = max(0, first - reach)
        before, after = max(0, left - reach), min(fill.shape[1], right + reach)
        crop = slice(top, end), slice(before, after)
        return Part(
            pictures,
            slice(window.top + top, window.top + end),
            slice(window.left + before, window.left + after),
            drawn[crop],
            fill[crop],
            first - top,
            end - top,
            left - before,
            right - before,
        )


def filling_steps(
    prior: RasterPrior,
    codes: Tensor,
    hole: Tensor,
    seeds: Sequence[int],
    sampling: Sampling,
    particles: int,
) -> Iterator[ResamplingStep]:
    """Codes after each row walked; see `vq.resampling.resampling_steps`.

    Until a part's last step its codes are those of the heaviest particle, and may still change.
    Pictures with the same hole go row by row together.
    """
    codes, remaining = codes.clone(), hole.clone()
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    if sampling.temperature == 0 or bool(hole.all()):  # all the same, or nothing to weigh
        particles = 1
    parts = _parts(hole.cpu().numpy(), prior, particles)
    steps = sum(part.end - part.first for part in parts)
    done = 0
    for part in parts:
        fillings = [
            Filling(
                prior,
                codes[pictures, part.rows, part.columns],
                part,
                pictures,
                [generators[i] for i in pictures],
                sampling,
                particles,
            )
            for pictures in batches(part.pictures, particles, codes.device)
        ]
        rows = fillings[0].rows
        fill = torch.from_numpy(part.fill).to(codes.device)
        inside = (part.pictures, part.rows, part.columns)
        for row in range(part.first, part.end):
            for filling in fillings:
                filling.walk_row()
            last = row + 1 == part.end
            best = torch.cat([f.choose() if last else f.heaviest() for f in fillings])
            codes[inside] = torch.where(fill & (rows <= row), best, codes[inside])
            remaining[inside] &= ~(fill & (rows <= row))
            done += 1
            yield ResamplingStep(codes.clone(), remaining.clone(), done, steps)


def batches(pictures: list[int], particles: int, device: torch.device) -> list[list[int]]:
    """Which pictures share a batch: on a CPU those with few particles do not.

    How sums are rounded depends on the shape of a small batch (see `vq.priors.incremental`), and
    a picture must not depend on its batch mates.
    """
    alone = device.type == "cpu" and particles < ROWS
    return [[i] for i in pictures] if alone else [pictures]


def _parts(hole: np.ndarray, prior: RasterPrior, particles: int) -> list[Part]:
    """Every picture's windows, in their order; pictures with equal holes share theirs."""
    same: dict[bytes, list[int]] = {}
    for i, one in enumerate(hole):
        same.setdefault(one.tobytes(), []).append(i)
    together = max(1, MAX_BATCH // particles)
    parts = []
    for pictures in (
        p[i : i + together] for p in same.values() for i in range(0, len(p), together)
    ):
        remaining = hole[pictures[0]].copy()
        for window in windows(remaining, size=prior.config.map_size):
            parts.append(Part.of(pictures, window, remaining, prior.config.reach, particles > 1))
            remaining[window.slices] &= ~window.fill
    return parts


class Filling:
    """Particles of some pictures on their walk through one part, a row at a time."""

    def __init__(
        self,
        prior: RasterPrior,
        codes: Tensor,  # (P, h, w), the part's
        part: Part,
        pictures: list[int],  # which of all they are
        generators: list[torch.Generator],
        sampling: Sampling,
        particles: int,
    ) -> None:
        self.part, self.generators, self.sampling = part, generators, sampling
        self.particles = particles
        self.rows = torch.arange(codes.shape[1], device=codes.device)[:, None]
        # What is in a hole yet to be filled may be anything.
        codes = codes.masked_fill(torch.from_numpy(part.drawn).to(codes.device), 0)
        labels = codes.new_tensor([sampling.labels[i] for i in pictures])
        self.guided = sampling.guidance != 1 and bool((labels >= 0).any())
        if self.guided:  # the same maps twice, with and without the class
            codes, labels = codes.repeat(2, 1, 1), labels.repeat(2)
            labels[len(codes) // 2 :] = -1
        self.row = part.first
        self.walk: RasterWalk = prior.walk(codes, labels, row=part.first)
        if self.particles > 1:
            copies = torch.arange(len(codes), device=codes.device)
            self.walk.select(copies.repeat_interleave(self.particles))
        shape = (len(generators), self.particles)
        self.log_weights = torch.zeros(shape, dtype=torch.float64, device=codes.device)
        self.uneven = False  # whether any weight was changed since the last resampling

    @torch.inference_mode()
    def walk_row(self) -> None:
        """Draw what is drawn in the row, weigh what is known, and stand before the next row."""
        part = self.part
        if self.row > part.first:
            self.walk.next_row()
        drawn = part.drawn[self.row, part.left : part.right]
        columns = np.flatnonzero(drawn) + part.left
        uniform = self._uniform(len(columns)) if len(columns) else None
        # The first row's codes before the hole weigh the same for all particles.
        column = part.left if self.row > part.first else int(columns[0])
        total = self.log_weights.new_zeros(())
        for i, at in enumerate(columns.tolist()):
            self._weigh(column, at)
            self._resample()
            assert uniform is not None
            logits = self._logits(at, at + 1)[:, 0]
            values = draw(logits, uniform[i], self.sampling)
            total += logits.sum()  # not finite if any of them is not
            self.walk.put(at, values.repeat(2) if self.guided else values)
            column = at + 1
        if not torch.isfinite(total):
            raise FloatingPointError("the prior gives logits that are not finite")
        self._weigh(column, part.right)
        self.row += 1

    def heaviest(self) -> Tensor:
        """Codes (P, h, w) of the particle that weighs most, of each picture."""
        return self._of(self.log_weights.argmax(1))

    def choose(self) -> Tensor:
        """Codes (P, h, w) of a particle of each picture, drawn by weight."""
        total = self.log_weights.softmax(1).cumsum(1)
        uniform = self._random(1) * total[:, -1:]
        index = torch.searchsorted(total, uniform, right=True).clamp_(max=self.particles - 1)
        return self._of(index.squeeze(1))

    def _of(self, index: Tensor) -> Tensor:
        first = torch.arange(len(index), device=index.device) * self.particles
        return self.walk.codes[first + index]

    def _logits(self, start: int, stop: int) -> Tensor:
        """Scores (P x N, stop - start, K) float32 in the row."""
        logits = self.walk.logits(start, stop)
        if self.guided:
            given, free = logits.chunk(2)
            logits = free + self.sampling.guidance * (given - free)
        return logits

    def _weigh(self, start: int, stop: int) -> None:
        """Multiply the weights by the probability of the row's known codes, start to stop - 1."""
        if start >= stop or self.particles == 1:
            return
        logits = self._logits(start, stop)
        seen = self.walk.codes[: len(logits), self.row, start:stop].unsqueeze(2)
        log_p = (logits.gather(2, seen).squeeze(2) - logits.logsumexp(2)).double().sum(1)
        if not torch.isfinite(log_p).all():
            raise FloatingPointError("the prior gives logits that are not finite")
        self.log_weights += log_p.view_as(self.log_weights)
        self.uneven = True

    def _resample(self) -> None:
        """Replace light particles where the effective sample size is below half their number."""
        if not self.uneven:
            return
        self.uneven = False
        offsets = self._random(1)  # whether needed or not: a picture's numbers are its own
        weights = self.log_weights.softmax(1)
        poor = 1 / weights.square().sum(1) < self.particles / 2
        if not poor.any():
            return
        index = torch.arange(self.particles, device=weights.device).repeat(len(weights), 1)
        for i in poor.nonzero().flatten().tolist():
            index[i] = systematic(weights[i], float(offsets[i]))
            self.log_weights[i] = 0
        index += torch.arange(len(index), device=index.device)[:, None] * self.particles
        flat = index.flatten()
        self.walk.select(torch.cat([flat, flat + len(flat)]) if self.guided else flat)

    def _random(self, count: int) -> Tensor:
        """Uniform numbers (P, count) float64, each picture's from its own generator."""
        rows = [torch.rand(count, generator=g, dtype=torch.float64) for g in self.generators]
        return torch.stack(rows).to(self.log_weights.device)

    def _uniform(self, count: int) -> Tensor:
        """Random numbers (count, P x N) for the draws of a row.

        Those of a picture's particles are spread evenly in random order, one in each N-th part of
        the unit interval: copies of one particle then part sooner than by chance.
        """
        n = self.particles
        place = self._random(count * n).view(-1, n, count)
        order = self._random(count * n).view(-1, n, count).argsort(1)
        return ((order + place) / n).flatten(0, 1).T.contiguous()


def systematic(weights: Tensor, offset: float) -> Tensor:
    """N indices for N weights that sum to 1: each i is there N w_i times, rounded up or down.

    offset: random, from 0 to 1 (exclusive). A particle that stays keeps its place.
    """
    n = len(weights)
    points = (torch.arange(n, dtype=weights.dtype, device=weights.device) + offset) / n
    index = torch.searchsorted(weights.cumsum(0), points, right=True).clamp_(max=n - 1)
    counts = index.bincount(minlength=n)
    place = torch.arange(n, device=weights.device)
    extra = place.repeat_interleave((counts - 1).clamp_(min=0))
    place[counts == 0] = extra
    return place
