"""Palettes, error maps and sheets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.drawing import (
    ERROR_LIMIT,
    ERROR_SCALE,
    code_palette,
    error_colours,
    error_map,
    grid_picture,
)


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE 1976 L* of sRGB colours uint8 (..., 3)."""
    encoded = colours / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, 24389 / 27 * luminance)


def codebook(k: int = 512, d: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(k, d)) * np.linspace(3, 0.1, d)


def test_palette_is_deterministic_and_typed() -> None:
    vectors = codebook()
    palette = code_palette(vectors)
    assert palette.shape == (512, 3) and palette.dtype == np.uint8
    np.testing.assert_array_equal(palette, code_palette(vectors.copy()))


def test_palette_spreads_its_colours() -> None:
    palette = code_palette(codebook()).astype(int)
    assert len(np.unique(palette, axis=0)) == 512
    assert lightness(palette).std() > 8
    # Whatever the vectors' own spread: one far vector does not squeeze the others together.
    outlier = np.vstack([codebook(), np.full((1, 16), 1000.0)])
    assert len(np.unique(code_palette(outlier)[:-1], axis=0)) == 512


def test_alike_vectors_get_alike_colours() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(32, 16)) * 10
    vectors = np.repeat(centres, 8, axis=0) + rng.normal(size=(256, 16)) * 0.05
    palette = code_palette(vectors).astype(float).reshape(32, 8, 3)
    within = np.linalg.norm(palette - palette.mean(axis=1, keepdims=True), axis=-1).mean()
    between = np.linalg.norm(palette.mean(axis=1) - palette.mean(axis=(0, 1)), axis=-1).mean()
    assert within < between / 4


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_equal_vectors_get_equal_colours(k: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, size=(k, d)).astype(float)
    palette = code_palette(vectors)
    for i in range(k):
        same = (vectors == vectors[i]).all(axis=1)
        assert (palette[same] == palette[i]).all()


def test_palette_follows_its_codes() -> None:
    vectors = codebook(64)
    order = np.random.default_rng(2).permutation(64)
    np.testing.assert_array_equal(code_palette(vectors[order]), code_palette(vectors)[order])


@pytest.mark.parametrize(
    "vectors", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4), np.full((4, 4), np.nan)]
)
def test_palette_refuses(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="code book"):
        code_palette(vectors)


def test_error_map_is_the_root_mean_square_of_the_channels() -> None:
    a = np.zeros((1, 4, 3), np.uint8)
    b = np.array([[[0, 0, 0], [16, 16, 16], [255, 255, 255], [0, 28, 0]]], np.uint8)
    stops = [ERROR_SCALE[0], ERROR_SCALE[2], ERROR_SCALE[-1]]  # 0, 16 and ≥ 64 of 64 levels
    picture = error_map(a, b)
    np.testing.assert_array_equal(picture[0, :3], np.array(stops, np.uint8))
    np.testing.assert_array_equal(picture[0, 3], error_colours(28 / np.sqrt(3)))
    np.testing.assert_array_equal(picture, error_map(b, a))  # 255 - 0 must not wrap around


def test_error_scale_grows_evenly_lighter() -> None:
    levels = lightness(error_colours(np.linspace(0, ERROR_LIMIT, 65)).astype(float))
    assert (np.diff(levels) > 0.5).all()
    assert levels[0] == 0 and levels[-1] > 95
    np.testing.assert_allclose(levels, np.linspace(0, levels[-1], 65), atol=6)


def test_error_map_refuses_what_it_cannot_compare() -> None:
    a = np.zeros((4, 4, 3), np.uint8)
    for b in (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)):
        for pair in ((a, b), (b, a)):
            with pytest.raises(ValueError, match="one size"):
                error_map(*pair)
    with pytest.raises(ValueError, match="one size"):
        error_map(a.astype(float), a.astype(float))


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 3))
def test_grid_holds_every_picture_in_its_place(count: int, columns: int, gap: int) -> None:
    pictures = [np.full((2, 3, 3), 10 * i, np.uint8) for i in range(count)]
    sheet = grid_picture(pictures, columns, gap)
    wide = min(columns, count)
    high = -(-count // wide)
    assert sheet.shape == (high * 2 + (high - 1) * gap, wide * 3 + (wide - 1) * gap, 3)
    left = sheet.copy()
    for i, picture in enumerate(pictures):
        top, side = (i // wide) * (2 + gap), (i % wide) * (3 + gap)
        np.testing.assert_array_equal(sheet[top : top + 2, side : side + 3], picture)
        left[top : top + 2, side : side + 3] = 255
    assert (left == 255).all()


@pytest.mark.parametrize(
    ("pictures", "columns", "gap"),
    [
        ([], 2, 0),
        ([np.zeros((2, 2, 3), np.uint8)], 0, 0),
        ([np.zeros((2, 2, 3), np.uint8)], 1, -1),
        ([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)], 2, 0),
        ([np.zeros((2, 2, 3))], 1, 0),
    ],
)
def test_grid_refuses(pictures: list[np.ndarray], columns: int, gap: int) -> None:
    with pytest.raises(ValueError, match="sheet"):
        grid_picture(pictures, columns, gap)
