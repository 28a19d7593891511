"""A studio without models, for the tests of the page: every code is a colour, drawn at random.

The code book is the 512 colours whose channels have 8 levels each; a code is the nearest of them to
a block's mean. A test can hold a job at a step, to look at it and to press Stop.

It has a prior of each kind. What a code costs is its number modulo 13, in bits; half a bit more for
the second prior, and a quarter more with a label.
"""

from __future__ import annotations

import math
import reprlib
import time
from collections.abc import Generator, Sequence

import numpy as np
from PIL import Image

from demo.jobs import (
    CodeBook,
    Coded,
    CodeStep,
    Description,
    Refusal,
    Rounding,
    SecondStage,
    Settings,
    Step,
)
from vq.priors import label_of

STRIDE = 4
LEVELS = 8
LONGEST = 256
PRIORS = ("masked", "pixelcnn")  # the second goes row by row
PARTS = 4  # in which the bits of a map come
MAP_SIZE = 16, 16  # of generated pictures
TOGETHER = 4  # generated at a time
FRAME_SIZE = 21, 21  # codes of a frame of a maze
CHECKPOINT = "0123456789ab"
LABELS = ("castle", "forest")
FIGURES = {"photos/test": {"unigram_bits": 8.0, "bits_per_code": {"masked": 6.5, "pixelcnn": 6.0}}}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    mse = float(np.mean((a.astype(float) - b.astype(float)) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


class FakeStudio:
    """The verbs of `demo.jobs.StudioVerbs`."""

    def __init__(
        self,
        priors: tuple[str, ...] = PRIORS,
        name: str = "fake",
        checkpoint: str = CHECKPOINT,
        stride: int = STRIDE,
        mazes: bool = False,
        second: SecondStage | None = None,
    ) -> None:
        self.priors = priors
        self.name, self.checkpoint, self.stride = name, checkpoint, stride
        self.figures = {"mazes/test": FIGURES["photos/test"]} if mazes else FIGURES
        self.second = second
        self.has_labmaze = True
        self.latents: tuple[int, ...] = ()  # of the last job
        self.hold_at_step: int | None = None  # give that step over and over
        self.fail_at_step: int | None = None  # raise there, as a broken model would
        self.closed_at_step: int | None = None  # where the last cancelled job stopped
        self.settings: Settings | None = None  # of the last job
        self.hold_at_part: int | None = None  # give the bits of so many parts over and over
        self.fail_at_part: int | None = None
        self.closed_at_part: int | None = (
            None  # where the last that was ended before its end stopped
        )
        self.asked: list[tuple[str, str | None]] = []  # whose bits, for which label

    def describe(self) -> Description:
        return Description(
            name=self.name,
            num_codes=LEVELS**3,
            stride=self.stride,
            priors=self.priors,
            labels=LABELS if self.priors else (),
            device="cpu",
            palette=self.palette(),
            checkpoint=self.checkpoint,
            figures=self.figures,
            second=self.second,
            raster=tuple(name for name in self.priors if name == "pixelcnn"),
        )

    def palette(self) -> np.ndarray:
        return self.decode(np.arange(LEVELS**3)[None])[0, :: self.stride]

    def prepare(self, upload: Image.Image) -> np.ndarray:
        scale = min(1.0, LONGEST / max(upload.size))
        width, height = (
            max(self.stride, round(side * scale / self.stride) * self.stride)
            for side in upload.size
        )
        return np.asarray(upload.resize((width, height), Image.Resampling.BOX))

    def encode(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[0] // self.stride, picture.shape[1] // self.stride
        means = picture.reshape(height, self.stride, width, self.stride, 3).mean((1, 3))
        level = np.minimum(means / 256 * LEVELS, LEVELS - 1).astype(int)
        return level @ np.array([LEVELS**2, LEVELS, 1])

    def search(
        self, picture: np.ndarray, codes: np.ndarray
    ) -> Generator[tuple[float, np.ndarray], None, None]:
        """Two passes, of which the last changes the first code."""
        yield 0.0, codes
        yield 0.5, codes
        codes = codes.copy()
        codes[0, 0] = (codes[0, 0] + 1) % LEVELS**3
        yield 1.0, codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        level = np.stack([codes // LEVELS**2, codes // LEVELS % LEVELS, codes % LEVELS], -1)
        colours = ((level + 0.5) * 256 / LEVELS).astype(np.uint8)
        return colours.repeat(self.stride, 0).repeat(self.stride, 1)

    def resample(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        self._begin(settings)
        return self._steps(picture, codes, cells, settings)

    def _begin(self, settings: Settings) -> None:
        self._check(settings.prior, label_of(LABELS, settings.label, settings.seed))
        self.settings = settings

    def _check(self, prior: str, label: str | None) -> None:
        if not self.priors:
            raise Refusal("error_no_prior", model=self.name)
        for name, got, known in (("prior", prior, self.priors), ("label", label, (None, *LABELS))):
            if got not in known:
                names = ", ".join(filter(None, known))
                raise Refusal("error_choice", name=name, got=reprlib.repr(got), known=names)

    def _steps(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        filled = np.repeat(codes[None], settings.variations, 0)
        prior = self.priors.index(settings.prior)
        generators = [np.random.default_rng([seed, prior]) for seed in settings.seeds]
        places = np.argwhere(cells)
        parts = np.array_split(places, settings.steps)
        if settings.prior == "pixelcnn":
            parts = [places[places[:, 0] == row] for row in np.unique(places[:, 0])]
        own, kept = filled.copy(), self._kept(cells, settings)
        left = cells.copy()
        self.closed_at_step = None
        step = 0
        try:
            for step, part in enumerate(parts, start=1):
                if step == self.fail_at_step:
                    raise RuntimeError("secret detail of a broken model")
                for variation, generator in zip(filled, generators, strict=True):
                    variation[tuple(part.T)] = generator.integers(0, LEVELS**3, len(part))
                filled[kept] = own[kept]
                left[tuple(part.T)] = False
                remaining = left & ~kept
                preview = self.render(picture, filled[:1], cells & ~remaining[0])[0]
                yield Step(filled.copy(), remaining, preview, step, len(parts))
                while self.hold_at_step == step:
                    time.sleep(0.1)
                    yield Step(filled.copy(), remaining, preview, step, len(parts))
        except GeneratorExit:
            self.closed_at_step = step
            raise

    def _kept(self, cells: np.ndarray, settings: Settings) -> np.ndarray:
        """Which of the cells stay `(V, h, w)`: that share, drawn by each seed."""
        places, kept = np.argwhere(cells), np.zeros((settings.variations, *cells.shape), bool)
        for one, seed in zip(kept, settings.seeds, strict=True):
            chosen = np.random.default_rng([seed, 7]).permutation(places)
            one[tuple(chosen[: int(settings.keep * len(places))].T)] = True
        return kept

    def render(self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        mask = cells.repeat(self.stride, 0).repeat(self.stride, 1)[..., None]
        return np.stack([np.where(mask, self.decode(variation), picture) for variation in codes])

    def surprise(
        self, codes: np.ndarray, prior: str, label: str | None
    ) -> Generator[np.ndarray, None, None]:
        self._check(prior, label)
        self.asked.append((prior, label))
        return self._parts(self.bits(codes, prior, label))

    def _parts(self, bits: np.ndarray) -> Generator[np.ndarray, None, None]:
        known = np.full(bits.shape, np.nan, np.float32)
        self.closed_at_part = None
        part = 0
        try:
            for part, rows in enumerate(np.array_split(np.arange(len(bits)), PARTS), start=1):
                if part == self.fail_at_part:
                    raise RuntimeError("secret detail of a broken model")
                known[rows] = bits[rows]
                yield known.copy()
                while self.hold_at_part == part:
                    time.sleep(0.1)
                    yield known.copy()
        except GeneratorExit:
            self.closed_at_part = part
            raise

    def bits(self, codes: np.ndarray, prior: str, label: str | None) -> np.ndarray:
        extra = 0.5 * self.priors.index(prior) + 0.25 * (label is not None)
        return (codes % 13 + extra).astype(np.float32)

    def judge(self, codes: np.ndarray, cells: np.ndarray, label: str | None) -> np.ndarray:
        return np.array([self.bits(one, "pixelcnn", label)[cells].sum() for one in codes])

    def fill(
        self, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[CodeStep, None, None]:
        self._begin(settings)
        kept = self._kept(cells, settings)
        return self._fill(codes, cells, settings.seeds, settings.steps, kept)

    def generate(self, count: int, settings: Settings) -> Generator[CodeStep, None, None]:
        self._begin(settings)
        return self._generate(count, settings)

    def _generate(self, count: int, settings: Settings) -> Generator[CodeStep, None, None]:
        codes, remaining = np.zeros((count, *MAP_SIZE), int), np.ones((count, *MAP_SIZE), bool)
        for first in range(0, count, TOGETHER):
            at_work = range(first, min(first + TOGETHER, count))
            these = slice(at_work.start, at_work.stop)
            seeds = [settings.seed + i for i in at_work]
            for step in self._fill(codes[first], remaining[first], seeds, settings.steps):
                codes[these], remaining[these] = step.codes, step.remaining
                yield CodeStep(codes.copy(), remaining.copy(), at_work, step.step, step.steps)

    def _fill(
        self,
        codes: np.ndarray,
        cells: np.ndarray,
        seeds: Sequence[int],
        steps: int,
        kept: np.ndarray | bool = False,
    ) -> Generator[CodeStep, None, None]:
        """As `_steps`, without pictures; held and broken at the same step."""
        filled = np.repeat(codes[None], len(seeds), 0)
        left = np.repeat(cells[None], len(seeds), 0)
        generators = [np.random.default_rng(seed) for seed in seeds]
        self.closed_at_step = None
        step = 0
        try:
            for step, part in enumerate(np.array_split(np.argwhere(cells), steps), start=1):
                if step == self.fail_at_step:
                    raise RuntimeError("secret detail of a broken model")
                for one, generator in zip(filled, generators, strict=True):
                    one[tuple(part.T)] = generator.integers(0, LEVELS**3, len(part))
                filled = np.where(kept, codes, filled)
                left[:, part[:, 0], part[:, 1]] = False
                state = CodeStep(filled, left & ~np.array(kept), range(len(seeds)), step, steps)
                yield state
                while self.hold_at_step == step:
                    time.sleep(0.1)
                    yield state
        except GeneratorExit:
            self.closed_at_step = step
            raise

    def reconstruct(self, picture: np.ndarray) -> Coded:
        codes = self.encode(picture)
        decoded = self.decode(codes)
        bits = codes.size * math.log2(LEVELS**3)
        return Coded(decoded, bits, *self.quality(picture, decoded))

    def quality(self, original: np.ndarray, other: np.ndarray) -> tuple[float, float]:
        """The second is no SSIM, but as small as the pictures differ."""
        difference = np.abs(original.astype(float) - other).mean()
        return psnr(original, other), 1 - float(difference) / 255

    def rounding(self, picture: np.ndarray) -> Rounding:
        height, width = picture.shape[0] // self.stride, picture.shape[1] // self.stride
        means = picture.reshape(height, self.stride, width, self.stride, 3).mean((1, 3))
        vectors = self.palette()[self.encode(picture)]
        error = float(np.mean((means / 255 - vectors / 255) ** 2))
        return Rounding(error, math.sqrt(error / np.mean((vectors / 255) ** 2)))

    def code_book(self) -> CodeBook:
        colours = self.palette()
        patches = colours[:, None, None].repeat(self.stride, 1).repeat(self.stride, 2)
        return CodeBook(colours / np.float32(255), patches)

    def frames(self, first: int) -> np.ndarray:
        """Frames of one colour, which no two mazes share."""
        if not self.has_labmaze:
            raise Refusal("error_no_labmaze")
        height, width = (side * self.stride for side in FRAME_SIZE)
        numbers = (np.arange(first, first + 4) * 37 + 11) % LEVELS**3
        return np.stack([self.decode(np.full(FRAME_SIZE, n)) for n in numbers])[:, :height, :width]

    def fit(self, picture: np.ndarray) -> np.ndarray:
        height, width = (side * self.stride for side in self._second().map_size)
        return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))

    def encode_latents(self, codes: np.ndarray) -> tuple[int, ...]:
        """The codes in the first places of the map."""
        second = self._second()
        if codes.shape != second.map_size:
            raise Refusal("error_refused", reason=f"the map must be {second.map_size}")
        return tuple(int(n) % second.num_codes for n in codes.flat[: second.latents])

    def decode_latents(
        self, latents: Sequence[int], settings: Settings
    ) -> Generator[CodeStep, None, None]:
        """Rows that are all of a latent, in turn, but for the last column: chance."""
        second = self._second()
        if len(latents) != second.latents or not all(0 <= n < second.num_codes for n in latents):
            raise Refusal("error_refused", reason=f"latents must be {second.latents} codes")
        self.settings, self.latents = settings, tuple(latents)
        return self._decode_latents(latents, settings, second)

    def _second(self) -> SecondStage:
        if self.second is None:
            raise Refusal("error_no_latents", model=self.name)
        return self.second

    def _decode_latents(
        self, latents: Sequence[int], settings: Settings, second: SecondStage
    ) -> Generator[CodeStep, None, None]:
        cells, steps = np.ones(second.map_size, bool), second.map_size[0]
        for step in self._fill(np.zeros(cells.shape, int), cells, settings.seeds, steps):
            for row in range(step.step):
                step.codes[:, row, :-1] = latents[row % len(latents)]
            yield step

    def inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> Generator[None, None, list[Image.Image]]:
        self._begin(settings)
        return self._inpaint(picture, mask, settings)

    def _inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> Generator[None, None, list[Image.Image]]:
        self.closed_at_step = None
        step = 0
        try:
            for step in range(1, settings.steps + 1):
                yield
                while self.hold_at_step == step:
                    time.sleep(0.1)
                    yield
        except GeneratorExit:
            self.closed_at_step = step
            raise
        colour = np.random.default_rng(settings.seed).integers(0, 256, 3, dtype=np.uint8)
        painted = np.where(mask[..., None], colour, np.asarray(picture))
        return [Image.fromarray(painted)] * settings.variations
