"""Regions: between pixel masks and holes in code maps, blanking, pasting, and windows.

A pixel mask is bool (H, W), True = to be repainted; a hole is bool (h, w), True = resample; a
picture is uint8 (H, W, 3). One code stands for stride x stride pixels. NumPy only.
"""

from __future__ import annotations

import math

import numpy as np

from vq.windows import Window, windows

__all__ = [
    "Window",
    "blank",
    "composite",
    "dilate",
    "hole_from_mask",
    "mask_from_hole",
    "scale_mask",
    "windows",
]

_FILL_PIXELS = 1 << 20  # `blank` computes its fill at no more pixels than this
_FILL_SWEEPS = 12  # how often the fill is smoothed at each size
_BAND_ROWS = 256  # `composite` works on so many rows at a time


def hole_from_mask(mask: np.ndarray, stride: int, dilate: int = 0) -> np.ndarray:
    """The hole (h, w) that a mask (H, W) makes: every code of which any pixel is masked.

    `dilate` widens it by so many codes. Raises ValueError if the stride does not divide the sides.
    """
    _check_bool(mask, "mask")
    height, width = mask.shape
    if stride < 1 or height % stride or width % stride or not mask.size:
        raise ValueError(f"a mask of {width} x {height} pixels is no multiple of stride {stride}")
    blocks = mask.reshape(height // stride, stride, width // stride, stride)
    return _dilated(np.any(blocks, axis=(1, 3)), dilate)


def mask_from_hole(hole: np.ndarray, stride: int) -> np.ndarray:
    """The pixels (h * stride, w * stride) that a hole's codes stand for."""
    _check_bool(hole, "hole")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, not {stride}")
    return hole.repeat(stride, axis=0).repeat(stride, axis=1)


def scale_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) at another `shape`: True where any True pixel overlaps, if only in part.

    `~scale_mask(~mask, shape)` is True only where all that overlaps is. Raises ValueError for an
    empty mask or shape.
    """
    _check_bool(mask, "mask")
    if min(mask.shape + shape) < 1:
        raise ValueError(f"a mask {mask.shape} cannot be scaled to {shape}")
    return _scale_rows(_scale_rows(mask, shape[0]).T, shape[1]).T


def _scale_rows(mask: np.ndarray, rows: int) -> np.ndarray:
    """`scale_mask` along the first axis."""
    height = len(mask)
    if rows == height:
        return mask
    parts = (slice(i * height // rows, -(-(i + 1) * height // rows)) for i in range(rows))
    return np.stack([mask[part].any(0) for part in parts])


def dilate(hole: np.ndarray, by: int = 1) -> np.ndarray:
    """The hole widened by `by` codes in all eight directions."""
    _check_bool(hole, "hole")
    return _dilated(hole, by)


def blank(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with the masked pixels filled smoothly from those around them.

    Nothing of what stood there remains: two pictures that differ only under the mask give the
    same result. The fill is nearly harmonic (each pixel the mean of its neighbours), found from
    coarse to fine. A picture that is masked all over becomes mid-grey.

    Source: push-pull of Gortler et al., The Lumigraph (SIGGRAPH 1996), then smoothed.
    """
    _check_picture(picture, "picture", mask)
    result = picture.copy()
    if not mask.any():
        return result
    factor = math.ceil(math.sqrt(mask.size / _FILL_PIXELS))
    colours, known = _known_means(picture, ~mask, factor)
    fill = _filled(colours, known)
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        columns = np.flatnonzero(mask[row])
        values = fill[row, columns] if factor == 1 else _bilinear(fill, row, columns, factor)
        result[row, columns] = np.rint(values)
    return result


def composite(
    original: np.ndarray, filled: np.ndarray, mask: np.ndarray, feather: int = 0
) -> np.ndarray:
    """Lay `filled` over `original` (both (H, W, 3) uint8) where the mask is True.

    Outside the mask every pixel is the original's. Inside, `filled` fades in over `feather`
    pixels from the mask's edge, by distance; the border of the picture is no edge. Where the mask
    is too thin for that it fades in faster, so that the middle of a stroke is always `filled`.
    With `feather=0` all inside is `filled` exactly. Raises ValueError.
    """
    _check_picture(original, "original", mask)
    _check_picture(filled, "filled picture", mask)
    if feather < 0:
        raise ValueError(f"feather must be 0 pixels or more, not {feather}")
    result = original.copy()
    if feather == 0:
        result[mask] = filled[mask]
        return result
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return result
    # One row and column of edge around the mask, where the picture has them.
    first, last = max(rows[0] - 1, 0), min(rows[-1] + 2, len(mask))
    across = slice(max(columns[0] - 1, 0), columns[-1] + 2)
    halo = 2 * (feather + 1)  # how far the opacity of a pixel depends on the mask
    for top in range(first, last, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, last)
        start = max(top - halo, first)
        around = mask[start : min(bottom + halo, last), across]
        opacity = _opacity(around, feather)[top - start : bottom - start, :, None]
        band = slice(top, bottom), across
        before = original[band].astype(np.float32)
        blended = np.rint(before + opacity * (filled[band] - before)).astype(np.uint8)
        result[band] = np.where(mask[band][..., None], blended, original[band])
    return result


def _check_bool(mask: np.ndarray, name: str) -> None:
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"the {name} must be bool with 2 axes, not {mask.dtype} {mask.shape}")


def _check_picture(picture: np.ndarray, name: str, mask: np.ndarray) -> None:
    _check_bool(mask, "mask")
    if picture.dtype != np.uint8 or picture.shape != (*mask.shape, 3):
        raise ValueError(
            f"the {name} must be uint8 {(*mask.shape, 3)}, as its mask is {mask.shape}, "
            f"not {picture.dtype} {picture.shape}"
        )


def _dilated(hole: np.ndarray, by: int) -> np.ndarray:
    if by < 0:
        raise ValueError(f"a hole is dilated by 0 codes or more, not {by}")
    return _neighbourhood_max(hole, by)


def _neighbourhood_max(values: np.ndarray, radius: int) -> np.ndarray:
    """The largest value in the square of 2 * radius + 1 around each place; the border is empty."""
    result = values.copy()
    for axis in (0, 1):
        before = np.moveaxis(result.copy(), axis, 0)
        after = np.moveaxis(result, axis, 0)
        for shift in range(1, min(radius, len(before) - 1) + 1):
            np.maximum(after[shift:], before[:-shift], out=after[shift:])
            np.maximum(after[:-shift], before[shift:], out=after[:-shift])
    return result


def _opacity(mask: np.ndarray, feather: int) -> np.ndarray:
    """How much of the fill shows (H, W), float32: 0 outside, rising with the distance inside."""
    distance = _distance_to_outside(mask, feather + 1)
    # A pixel of a thin stroke is measured by the deepest place near it.
    depth = _neighbourhood_max(distance, feather + 1)
    return distance / np.maximum(depth, 1)


def _distance_to_outside(mask: np.ndarray, limit: int) -> np.ndarray:
    """Euclidean distance (H, W) float32 of masked pixels to the nearest other, at most `limit`."""
    height, width = mask.shape
    index = np.arange(width)
    left = index - np.maximum.accumulate(np.where(mask, -limit, index), axis=1)
    right = np.minimum.accumulate(np.where(mask, width + limit, index)[:, ::-1], axis=1)[:, ::-1]
    squares = np.minimum(np.minimum(left, right - index), limit).astype(np.int32) ** 2
    result = squares.copy()
    for shift in range(1, min(limit, height)):
        step = squares + shift * shift
        np.minimum(result[shift:], step[:-shift], out=result[shift:])
        np.minimum(result[:-shift], step[shift:], out=result[:-shift])
    return np.sqrt(result, dtype=np.float32)


def _known_means(
    picture: np.ndarray, known: np.ndarray, factor: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours (h, w, 3) of the known pixels in factor x factor blocks, and their number."""
    height, width = known.shape
    rows, columns = -(-height // factor), -(-width // factor)
    means = np.zeros((rows, columns, 3), np.float32)
    counts = np.zeros((rows, columns), np.float32)
    for row in range(rows):
        band = slice(row * factor, (row + 1) * factor)
        weights = np.zeros(columns * factor, np.float32)
        weights[:width] = known[band].sum(axis=0)
        sums = np.zeros((columns * factor, 3), np.float32)
        sums[:width] = np.where(known[band][..., None], picture[band], 0).sum(axis=0)
        counts[row] = weights.reshape(columns, factor).sum(axis=1)
        means[row] = sums.reshape(columns, factor, 3).sum(axis=1)
    return means / np.maximum(counts, 1)[..., None], counts


def _filled(colours: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The colours (h, w, 3) with those whose count is 0 filled from the others."""
    empty = counts == 0
    if not empty.any():
        return colours
    height, width = counts.shape
    if height == width == 1:
        return np.full_like(colours, 128)
    even = ((0, height % 2), (0, width % 2))
    weighted = np.pad(colours * counts[..., None], (*even, (0, 0)))
    coarse_counts = _sum_of_four(np.pad(counts, even))
    coarse = _sum_of_four(weighted) / np.maximum(coarse_counts, 1)[..., None]
    guess = _doubled(_doubled(_filled(coarse, coarse_counts), 0), 1)[:height, :width]
    result = np.where(empty[..., None], guess, colours)
    for _ in range(_FILL_SWEEPS):
        around = np.pad(result, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        result[empty] = mean[empty] / 4
    return result


def _sum_of_four(values: np.ndarray) -> np.ndarray:
    return values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]


def _doubled(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as long on an axis, with linear interpolation between the centres of the pixels."""
    values = np.moveaxis(values, axis, 0)
    before = np.concatenate((values[:1], values[:-1]))
    after = np.concatenate((values[1:], values[-1:]))
    pairs = np.stack((0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after), axis=1)
    return np.moveaxis(pairs.reshape(-1, *values.shape[1:]), 0, axis)


def _bilinear(values: np.ndarray, row: int, columns: np.ndarray, factor: int) -> np.ndarray:
    """Values (h, w, 3) of a map `factor` times smaller, at the pixels of one row: (n, 3)."""
    y = min(max((row + 0.5) / factor - 0.5, 0), len(values) - 1)
    x = np.clip((columns + 0.5) / factor - 0.5, 0, values.shape[1] - 1)
    up, left = int(y), x.astype(int)
    down, right = min(up + 1, len(values) - 1), np.minimum(left + 1, values.shape[1] - 1)
    line = values[up] * (1 - (y - up)) + values[down] * (y - up)
    share = (x - left)[:, None]
    return line[left] * (1 - share) + line[right] * share
