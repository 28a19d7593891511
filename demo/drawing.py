"""Palettes, errors and sheets, as pictures: arrays uint8 (height, width, 3), sRGB. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Picture = NDArray[np.uint8]

UINT8 = np.dtype(np.uint8)
WHITE = 255
ERROR_LIMIT = 64.0  # levels of 255; an error as large or larger has the last colour of the scale

# From no error to ERROR_LIMIT in equal steps: black, purple, red, orange, pale yellow. The
# lightness (CIE L*) grows evenly from 0 to 98: twice the error looks twice as light.
ERROR_SCALE = np.array(
    [
        [0, 0, 0],
        [29, 17, 71],
        [81, 18, 124],
        [131, 38, 129],
        [183, 55, 121],
        [230, 81, 98],
        [251, 135, 97],
        [254, 194, 140],
        [252, 253, 191],
    ],
    dtype=np.float64,
)

# Björn Ottosson, "A perceptual color space for image processing" (2020): OKLab to linear sRGB.
OKLAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def code_palette(vectors: ArrayLike) -> Picture:
    """A colour for each code: codes whose vectors are alike get colours that look alike.

    The three principal components of the vectors become lightness, green–red and blue–yellow of the
    OKLab space, each by rank, so that the colours fill the space however the vectors are spread.
    The same vectors always give the same colours, and equal vectors equal ones.

    Args:
        vectors: (K, D), the code book; K and D at least 1.

    Returns:
        uint8 (K, 3), sRGB.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"A code book has shape (K, D), not {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise ValueError("A code book must have finite values only.")
    lightness, a, b = _spread(_components(vectors)).T
    # From the square of the ranks to a disc, so that no corner has more colour than an edge.
    u, v = 2 * a - 1, 2 * b - 1
    radius = np.maximum(np.abs(u), np.abs(v))
    stretch = np.divide(radius, np.hypot(u, v), out=np.ones_like(u), where=radius > 0)
    return _srgb_from_oklab(0.38 + 0.5 * lightness, 0.17 * u * stretch, 0.17 * v * stretch)


def _components(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 3): the vectors along their three directions of most variance; zeros where D < 3."""
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:3]
    # An axis has no sign of its own: let its largest part be positive.
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    found = centred @ axes.T
    # What is left of rounding must not tell equal vectors apart.
    scale = np.abs(found).max() or 1.0
    return np.pad(np.round(found / scale, 6), ((0, 0), (0, 3 - len(axes))))


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column by rank, in [0, 1]; equal values share the middle of their ranks."""
    spread = np.empty_like(values)
    for column, result in zip(values.T, spread.T, strict=True):
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        result[:] = ((np.cumsum(counts) - counts / 2) / len(column))[place]
    return spread


def _srgb_from_oklab(
    lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> Picture:
    """uint8 (K, 3); a colour that no screen has keeps lightness and hue and gives up chroma."""
    chroma = np.ones_like(lightness)
    for _ in range(24):
        lab = np.stack([lightness, chroma * a, chroma * b], axis=-1)
        linear = (lab @ OKLAB_TO_LMS.T) ** 3 @ LMS_TO_RGB.T
        outside = (linear < 0).any(axis=-1) | (linear > 1).any(axis=-1)
        chroma[outside] *= 0.92
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def error_map(a: Picture, b: Picture) -> Picture:
    """Where two pictures differ, and how much.

    The error of a pixel is the root mean square of its three channels' differences, in levels of
    255. Black is none; the scale is linear to `ERROR_LIMIT` = 64 levels, pale yellow, and stays
    there.
    For a legend: ``error_colours(numpy.linspace(0, ERROR_LIMIT, 256))``.

    Args:
        a, b: uint8 (H, W, 3) of one size.

    Raises:
        ValueError: other shapes or types.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3 or {a.dtype, b.dtype} != {UINT8}:
        raise ValueError(
            "Two RGB pictures of one size are needed, uint8, "
            f"not {a.dtype} {a.shape} and {b.dtype} {b.shape}."
        )
    difference = a.astype(np.float64) - b
    return error_colours(np.sqrt((difference**2).mean(axis=-1)))


def error_colours(levels: ArrayLike) -> Picture:
    """The colours of `error_map` for errors in levels of 255: any shape → uint8 (..., 3)."""
    levels = np.asarray(levels, dtype=np.float64)
    stops = np.linspace(0, ERROR_LIMIT, len(ERROR_SCALE))
    channels = [np.interp(levels, stops, channel) for channel in ERROR_SCALE.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def grid_picture(pictures: Sequence[Picture], columns: int, gap: int = 4) -> Picture:
    """Pictures of one size on a white sheet, row by row, `gap` pixels apart and no border.

    Raises:
        ValueError: no picture, pictures of several sizes or types, columns below 1, gap below 0.
    """
    if columns < 1 or gap < 0:
        raise ValueError(f"A sheet needs 1 column or more and no negative gap: {columns}, {gap}.")
    if not pictures:
        raise ValueError("A sheet needs at least one picture.")
    shapes = {np.asarray(picture).shape for picture in pictures}
    if len(shapes) > 1 or any(np.asarray(picture).dtype != UINT8 for picture in pictures):
        raise ValueError(f"A sheet needs pictures of one size, uint8, not {sorted(shapes)}.")
    height, width, _ = shapes.pop()
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), WHITE, dtype=np.uint8
    )
    for index, picture in enumerate(pictures):
        top = index // columns * (height + gap)
        left = index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
