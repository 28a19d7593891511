"""Figures of one picture that answer what readers of the VQ-VAE paper ask. NumPy and Pillow only.

van den Oord et al., "Neural Discrete Representation Learning" (arXiv 1711.00937).
"""

from __future__ import annotations

import io
import math
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.contenders import CodeUse
from demo.jobs import Rounding, Settings, StudioVerbs

SAMPLE_STEPS = 32  # of a prior that settles codes all over the map


@dataclass(frozen=True, eq=False)
class Rate:
    """What a picture costs in one way of writing it."""

    name: str
    bits: float
    codes: int | None = None  # how many codes were written; None where it is no code map

    def bits_a_pixel(self, pixels: int) -> float:
        return self.bits / pixels

    def bits_a_dim(self, pixels: int) -> float:
        """Of each of a pixel's three values, as the paper counts."""
        return self.bits / (3 * pixels)


@dataclass(frozen=True, eq=False)
class Lesson:
    """A picture `(H, W, 3)`, its codes `(h, w)`, and what can be seen in them."""

    picture: np.ndarray
    codes: np.ndarray
    num_codes: int
    decoded: np.ndarray
    rounding: Rounding  # see `StudioVerbs.rounding`
    shuffled: np.ndarray  # decoded from the same codes in other places
    uniform: np.ndarray  # decoded from codes that were drawn blindly

    @property
    def pixels(self) -> int:
        return self.picture.shape[0] * self.picture.shape[1]

    @property
    def use(self) -> CodeUse:
        return CodeUse(self.codes, self.num_codes)

    def error(self, other: np.ndarray) -> float:
        """Mean squared error against the picture, of values from 0 to 1."""
        return float(np.mean((self.picture / 255.0 - other / 255.0) ** 2))

    def psnr(self, other: np.ndarray) -> float:
        """Against the picture, in dB; inf if equal."""
        error = self.error(other)
        return -10 * math.log10(error) if error else math.inf

    def rates(self) -> list[Rate]:
        """From the most costly way of writing to the least; a prior's is not among them."""
        n = self.codes.size
        return [
            Rate("original", 24.0 * self.pixels),
            Rate("png", 8.0 * _png_bytes(self.picture)),
            Rate("uniform", n * math.log2(self.num_codes), n),
            Rate("frequencies", n * self.use.entropy, n),
        ]


def lesson(studio: StudioVerbs, picture: np.ndarray, codes: np.ndarray, seed: int = 0) -> Lesson:
    """The figures of `picture` and its `codes`; what is drawn depends on `seed` alone."""
    num_codes = studio.describe().num_codes
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(codes.ravel()).reshape(codes.shape)
    uniform = generator.integers(0, num_codes, codes.shape)
    return Lesson(
        picture,
        codes,
        num_codes,
        studio.decode(codes),
        studio.rounding(picture),
        studio.decode(shuffled),
        studio.decode(uniform),
    )


def drawn_by_prior(studio: StudioVerbs, seed: int = 0) -> np.ndarray | None:
    """A whole picture that the studio's prior for whole pictures draws as it is."""
    prior = studio.describe().whole
    if prior is None:
        return None
    settings = Settings(prior=prior, seed=seed, temperature=1.0, steps=SAMPLE_STEPS)
    with closing(studio.generate(1, settings)) as job:
        for step in job:
            codes = step.codes[0]
    return studio.decode(codes)


def _png_bytes(picture: np.ndarray) -> int:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.tell()
