"""JPEG and WebP, to compare code maps with: at a number of bytes, and at several qualities."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

Codec = Literal["jpeg", "webp"]
CODECS: tuple[Codec, ...] = get_args(Codec)
# Of a curve: the rate grows by about the same factor from one to the next.
QUALITIES = (1, 5, 10, 20, 35, 55, 75, 90, 95)
# Sides that are tried, as fractions of the picture's, where the lowest quality at full size is
# still too large.
SCALES = (1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A file and the picture `(H, W, 3)` it gives back, coded at `size` (width, height)."""

    picture: np.ndarray
    num_bytes: int
    size: tuple[int, int]
    quality: int
    fits: bool


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True, subsampling="4:2:0")
    return file.getvalue()


def _webp(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


_ENCODERS: dict[str, Callable[[Image.Image, int], bytes]] = {"jpeg": _jpeg, "webp": _webp}


def _best_quality(
    encode: Callable[[Image.Image, int], bytes], image: Image.Image, budget: int
) -> tuple[int, bytes]:
    """The highest quality whose file fits the budget, by bisection; quality 1 where none does."""
    best = 1, encode(image, 1)
    low, high = 2, 95
    while low <= high and len(best[1]) <= budget:
        middle = (low + high) // 2
        file = encode(image, middle)
        if len(file) <= budget:
            best = middle, file
            low = middle + 1
        else:
            high = middle - 1
    return best


def encode_at(picture: np.ndarray, quality: int, codec: Codec) -> Encoded:
    """Code `picture` `(H, W, 3)` uint8 as it is, at a quality from 1 to 100."""
    image = Image.fromarray(picture)
    file = _ENCODERS[codec](image, quality)
    decoded = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    return Encoded(decoded, len(file), image.size, quality, fits=True)


def encode_to_bytes(picture: np.ndarray, budget: int, codec: Codec) -> Encoded:
    """Code `picture` `(H, W, 3)` uint8 in at most `budget` bytes, as near as quality steps allow.

    Where the lowest quality is still too large, the picture is coded smaller and scaled up again.
    Where nothing fits, the smallest file that was found comes back with `fits=False`.
    """
    encode = _ENCODERS[codec]
    image = Image.fromarray(picture)
    smallest: Encoded | None = None
    for scale in SCALES:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        coded = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
        quality, file = _best_quality(encode, coded, budget)
        decoded = Image.open(io.BytesIO(file)).convert("RGB")
        if decoded.size != image.size:
            decoded = decoded.resize(image.size, Image.Resampling.BICUBIC)
        result = Encoded(np.asarray(decoded), len(file), size, quality, len(file) <= budget)
        if result.fits:
            return result
        if smallest is None or result.num_bytes < smallest.num_bytes:
            smallest = result
    assert smallest is not None
    return smallest
