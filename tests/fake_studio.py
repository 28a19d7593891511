"""A studio without models, for the tests of the page: every code is a colour, drawn at random.

The code book is the 512 colours whose channels have 8 levels each; a code is the nearest of them to
a block's mean. A test can hold a job at a step, to look at it and to press Stop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import numpy as np
from PIL import Image

from demo.codecs import encode_to_bytes
from demo.jobs import CodeBook, Coded, Comparison, Description, Refusal, Settings, Step

STRIDE = 4
LEVELS = 8
LONGEST = 256


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    mse = float(np.mean((a.astype(float) - b.astype(float)) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


class FakeStudio:
    """The verbs of `demo.jobs.StudioVerbs`."""

    def __init__(self) -> None:
        self.hold_at_step: int | None = None  # give that step over and over
        self.fail_at_step: int | None = None  # raise there, as a broken model would
        self.closed_at_step: int | None = None  # where the last cancelled job stopped
        self.settings: Settings | None = None  # of the last job

    def describe(self) -> Description:
        return Description(
            "fake", LEVELS**3, STRIDE, ("masked",), ("castle", "forest"), "cpu", self.palette()
        )

    def palette(self) -> np.ndarray:
        return self.decode(np.arange(LEVELS**3)[None])[0, ::STRIDE]

    def prepare(self, upload: Image.Image) -> np.ndarray:
        scale = min(1.0, LONGEST / max(upload.size))
        width, height = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in upload.size)
        return np.asarray(upload.resize((width, height), Image.Resampling.BOX))

    def encode(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[0] // STRIDE, picture.shape[1] // STRIDE
        means = picture.reshape(height, STRIDE, width, STRIDE, 3).mean((1, 3))
        level = np.minimum(means / 256 * LEVELS, LEVELS - 1).astype(int)
        return level @ np.array([LEVELS**2, LEVELS, 1])

    def decode(self, codes: np.ndarray) -> np.ndarray:
        level = np.stack([codes // LEVELS**2, codes // LEVELS % LEVELS, codes % LEVELS], -1)
        colours = ((level + 0.5) * 256 / LEVELS).astype(np.uint8)
        return colours.repeat(STRIDE, 0).repeat(STRIDE, 1)

    def resample(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        if settings.prior != "masked":
            raise Refusal("error_choice", name="prior", got=repr(settings.prior), known="masked")
        self.settings = settings
        return self._steps(picture, codes, cells, settings)

    def _steps(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        filled = np.repeat(codes[None], settings.variations, 0)
        generators = [np.random.default_rng(seed) for seed in settings.seeds]
        left = cells.copy()
        self.closed_at_step = None
        step = 0
        try:
            for step, part in enumerate(
                np.array_split(np.argwhere(cells), settings.steps), start=1
            ):
                if step == self.fail_at_step:
                    raise RuntimeError("secret detail of a broken model")
                for variation, generator in zip(filled, generators, strict=True):
                    variation[tuple(part.T)] = generator.integers(0, LEVELS**3, len(part))
                left[tuple(part.T)] = False
                preview = self.render(picture, filled[:1], cells & ~left)[0]
                remaining = np.repeat(left[None], settings.variations, 0)
                yield Step(filled.copy(), remaining, preview, step, settings.steps)
                while self.hold_at_step == step:
                    time.sleep(0.1)
                    yield Step(filled.copy(), remaining, preview, step, settings.steps)
        except GeneratorExit:
            self.closed_at_step = step
            raise

    def render(self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        mask = cells.repeat(STRIDE, 0).repeat(STRIDE, 1)[..., None]
        return np.stack([np.where(mask, self.decode(variation), picture) for variation in codes])

    def compare(self, picture: np.ndarray) -> Comparison:
        codes = self.encode(picture)
        decoded = self.decode(codes)
        bits = codes.size * math.log2(LEVELS**3)
        size = picture.shape[1], picture.shape[0]
        others = []
        for codec in ("jpeg", "webp"):
            coded = encode_to_bytes(picture, math.ceil(bits / 8), codec)
            others.append(
                Coded(
                    codec,
                    coded.picture,
                    8.0 * coded.num_bytes,
                    psnr(picture, coded.picture),
                    0.5,
                    coded.size,
                    coded.fits,
                )
            )
        return Comparison(
            picture, Coded("codes", decoded, bits, psnr(picture, decoded), 0.9, size), tuple(others)
        )

    def code_book(self) -> CodeBook:
        colours = self.palette()
        patches = colours[:, None, None].repeat(STRIDE, 1).repeat(STRIDE, 2)
        return CodeBook(colours / np.float32(255), patches)

    def surprise(
        self, codes: np.ndarray, prior: str, label: str | None
    ) -> Generator[np.ndarray, None, None]:
        """As many bits as the code has ones, the upper half of the map first."""
        if prior not in self.describe().priors:
            raise Refusal("error_choice", name="prior", got=repr(prior), known="masked")
        return self._bits(codes)

    def _bits(self, codes: np.ndarray) -> Generator[np.ndarray, None, None]:
        if self.fail_at_step is not None:
            raise RuntimeError("secret detail of a broken model")
        bits = np.bitwise_count(codes).astype(np.float32)
        upper = np.arange(len(codes))[:, None] < len(codes) // 2
        yield np.where(upper, bits, np.float32(np.nan))
        yield bits

    def inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> list[Image.Image]:
        self.settings = settings
        colour = np.random.default_rng(settings.seed).integers(0, 256, 3, dtype=np.uint8)
        painted = np.where(mask[..., None], colour, np.asarray(picture))
        return [Image.fromarray(painted)] * settings.variations
