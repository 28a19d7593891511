"""Regions against slow and obvious versions of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vq.pictures import working_size
from vq.regions import blank, composite, dilate, hole_from_mask, mask_from_hole, scale_mask

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def random_picture(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@st.composite
def masks_with_stride(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    stride = draw(st.integers(1, 5))
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return draw(arrays(np.bool_, (rows * stride, columns * stride))), stride


@settings(deadline=None)
@given(masks_with_stride())
def test_a_code_is_resampled_where_any_of_its_pixels_is_masked(
    example: tuple[np.ndarray, int],
) -> None:
    mask, stride = example
    hole = hole_from_mask(mask, stride)
    expected = np.zeros((mask.shape[0] // stride, mask.shape[1] // stride), bool)
    for y, x in np.argwhere(mask):
        expected[y // stride, x // stride] = True
    np.testing.assert_array_equal(hole, expected)


@settings(deadline=None)
@given(masks, st.integers(1, 4))
def test_a_hole_survives_the_way_to_pixels_and_back(hole: np.ndarray, stride: int) -> None:
    mask = mask_from_hole(hole, stride)
    assert mask.shape == (hole.shape[0] * stride, hole.shape[1] * stride)
    assert mask.sum() == hole.sum() * stride**2
    np.testing.assert_array_equal(hole_from_mask(mask, stride), hole)


sides = st.integers(1, 20)


@settings(deadline=None)
@given(masks, st.tuples(sides, sides))
def test_a_scaled_mask_holds_every_part_of_a_pixel(
    mask: np.ndarray, shape: tuple[int, int]
) -> None:
    # Both are made finer until all their pixels end together.
    (height, width), (rows, columns) = mask.shape, shape
    fine = mask.repeat(rows, 0).repeat(columns, 1)
    expected = fine.reshape(rows, height, columns, width).any((1, 3))
    np.testing.assert_array_equal(scale_mask(mask, shape), expected)


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(4, 8), st.integers(0, 2**32 - 1))
def test_cells_survive_the_way_to_a_mask_of_the_upload_and_back(
    width: int, height: int, stride: int, seed: int
) -> None:
    """At every size of an upload no cell is lost for want of a pixel of its own, and none comes."""
    columns, rows = (side // stride for side in working_size(width, height, stride, 40))
    cells = np.random.default_rng(seed).random((rows, columns)) < 0.4
    mask = ~scale_mask(~cells, (height, width))
    np.testing.assert_array_equal(scale_mask(mask, (rows, columns)), cells)


def slow_dilate(hole: np.ndarray, by: int) -> np.ndarray:
    result = np.zeros_like(hole)
    for y, x in np.argwhere(hole):
        result[max(0, y - by) : y + by + 1, max(0, x - by) : x + by + 1] = True
    return result


@settings(deadline=None)
@given(masks, st.integers(0, 30))
def test_dilation_paints_a_square_around_each_code(hole: np.ndarray, by: int) -> None:
    before = hole.copy()
    np.testing.assert_array_equal(dilate(hole, by), slow_dilate(hole, by))
    np.testing.assert_array_equal(hole, before)


@settings(deadline=None)
@given(masks, st.integers(1, 3))
def test_a_hole_is_dilated_in_codes(hole: np.ndarray, by: int) -> None:
    mask = mask_from_hole(hole, 2)
    np.testing.assert_array_equal(hole_from_mask(mask, 2, dilate=by), slow_dilate(hole, by))


@settings(deadline=None)
@given(masks, st.integers(0, 2**32 - 1))
def test_blanking_forgets_what_was_under_the_mask(mask: np.ndarray, seed: int) -> None:
    picture = random_picture(mask.shape)
    other = np.where(mask[..., None], random_picture(mask.shape, seed), picture)
    blanked = blank(picture, mask)
    np.testing.assert_array_equal(blanked, blank(other, mask))
    np.testing.assert_array_equal(blanked[~mask], picture[~mask])


@settings(deadline=None)
@given(masks, st.integers(0, 255))
def test_blanking_one_colour_gives_that_colour(mask: np.ndarray, level: int) -> None:
    picture = np.full((*mask.shape, 3), level, np.uint8)
    expected = picture if not mask.all() else np.full_like(picture, 128)
    np.testing.assert_array_equal(blank(picture, mask), expected)


@pytest.mark.parametrize("side", [64, 1400])  # the latter is filled at a coarser size
def test_blanking_continues_a_gradient(side: int) -> None:
    """A linear ramp is harmonic, so a hole in it fills with the ramp itself."""
    ramp = np.linspace(0, 255, side)
    picture = np.stack(
        [
            np.broadcast_to(ramp[None], (side, side)),
            np.broadcast_to(ramp[:, None], (side, side)),
            np.broadcast_to((ramp[:, None] + ramp[::-1]) / 2, (side, side)),
        ],
        axis=-1,
    )
    picture = np.rint(picture).astype(np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side // 4 : side // 2, side // 3 : side * 3 // 4] = True
    error = np.abs(blank(picture, mask).astype(int) - picture)
    assert error.max() <= 8


def test_blanking_stays_between_the_colours_around() -> None:
    picture = random_picture((40, 56))
    picture[..., 1] //= 4
    mask = np.zeros((40, 56), bool)
    mask[10:30, 10:40] = True
    blanked = blank(picture, mask)[mask]
    for channel in range(3):
        known = picture[~mask][:, channel]
        assert known.min() <= blanked[:, channel].min()
        assert blanked[:, channel].max() <= known.max()
    # Smooth: noise from outside is not carried in.
    assert np.abs(np.diff(blank(picture, mask)[20, 14:36].astype(int), axis=0)).max() < 40


def slow_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each masked pixel to the nearest one that is not; infinite without any."""
    outside = np.argwhere(~mask)
    result = np.zeros(mask.shape)
    for y, x in np.argwhere(mask):
        squares = ((outside - (y, x)) ** 2).sum(axis=1)
        result[y, x] = np.sqrt(squares.min()) if squares.size else np.inf
    return result


def slow_opacity(mask: np.ndarray, feather: int) -> np.ndarray:
    distance = np.minimum(slow_distance(mask), feather + 1)
    opacity = np.zeros(mask.shape)
    reach = feather + 1
    for y, x in np.argwhere(mask):
        near = distance[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        opacity[y, x] = distance[y, x] / near.max()
    return opacity


@settings(deadline=None)
@given(masks, st.integers(0, 6))
def test_composite_blends_by_the_distance_to_the_edge(mask: np.ndarray, feather: int) -> None:
    original, filled = random_picture(mask.shape, 1), random_picture(mask.shape, 2)
    result = composite(original, filled, mask, feather)
    np.testing.assert_array_equal(result[~mask], original[~mask])
    opacity = slow_opacity(mask, feather)[..., None]
    expected = original + opacity * (filled.astype(float) - original)
    assert np.abs(result - expected).max() <= 0.501  # rounding, and float32 at a tie
    whole = opacity[..., 0] == 1
    np.testing.assert_array_equal(result[whole], filled[whole])


@settings(deadline=None)
@given(masks)
def test_composite_without_feather_is_exact(mask: np.ndarray) -> None:
    original, filled = random_picture(mask.shape, 1), random_picture(mask.shape, 2)
    expected = np.where(mask[..., None], filled, original)
    np.testing.assert_array_equal(composite(original, filled, mask), expected)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_composite_in_bands_equals_composite_in_one(seed: int, feather: int) -> None:
    """A mask taller than the rows that are worked on at a time, cut up differently when turned."""
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((80, 12)) < 0.7, np.ones((8, 8))).astype(bool)
    original, filled = random_picture(mask.shape, 1), random_picture(mask.shape, 2)
    upright = composite(original, filled, mask, feather)
    turned = composite(original.swapaxes(0, 1), filled.swapaxes(0, 1), mask.T, feather)
    np.testing.assert_array_equal(upright, turned.swapaxes(0, 1))


def test_the_border_of_the_picture_is_no_edge() -> None:
    original, filled = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 250, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[:, :10] = True
    row = composite(original, filled, mask, feather=4)[0, :, 0]
    np.testing.assert_array_equal(row, [250] * 6 + [200, 150, 100, 50] + [0] * 10)
    everything = np.ones((20, 20), bool)
    np.testing.assert_array_equal(composite(original, filled, everything, feather=4), filled)


def test_a_thin_stroke_is_repainted_in_its_middle() -> None:
    original, filled = np.zeros((20, 21, 3), np.uint8), np.full((20, 21, 3), 240, np.uint8)
    mask = np.zeros((20, 21), bool)
    mask[:, 8:13] = True
    row = composite(original, filled, mask, feather=30)[10, :, 0]
    np.testing.assert_array_equal(row[8:13], [80, 160, 240, 160, 80])


def test_inputs_are_left_as_they_are() -> None:
    picture, filled = random_picture((9, 9)), random_picture((9, 9), 1)
    mask = np.zeros((9, 9), bool)
    mask[2:5, 2:5] = True
    for array in (picture, filled, mask):
        array.flags.writeable = False
    for result in (blank(picture, mask), composite(picture, filled, mask, 2)):
        assert result.flags.writeable
        assert not np.shares_memory(result, picture)
    empty = np.zeros((9, 9), bool)
    np.testing.assert_array_equal(blank(picture, empty), picture)
    np.testing.assert_array_equal(composite(picture, filled, empty, 2), picture)


BAD_MASK = np.zeros((8, 8), np.uint8)
GOOD_MASK = np.zeros((8, 8), bool)
PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hole_from_mask(BAD_MASK, 4),
        lambda: hole_from_mask(GOOD_MASK[0], 4),
        lambda: hole_from_mask(GOOD_MASK, 3),
        lambda: hole_from_mask(GOOD_MASK, 0),
        lambda: hole_from_mask(GOOD_MASK, 4, dilate=-1),
        lambda: hole_from_mask(np.zeros((0, 8), bool), 4),
        lambda: mask_from_hole(BAD_MASK, 4),
        lambda: mask_from_hole(GOOD_MASK, 0),
        lambda: scale_mask(BAD_MASK, (2, 2)),
        lambda: scale_mask(GOOD_MASK, (0, 2)),
        lambda: scale_mask(GOOD_MASK[:0], (2, 2)),
        lambda: dilate(BAD_MASK),
        lambda: dilate(GOOD_MASK, -1),
        lambda: blank(PICTURE, BAD_MASK),
        lambda: blank(PICTURE, GOOD_MASK[:4]),
        lambda: blank(PICTURE.astype(np.float32), GOOD_MASK),
        lambda: blank(PICTURE[..., :1], GOOD_MASK),
        lambda: composite(PICTURE, PICTURE[:4], GOOD_MASK),
        lambda: composite(PICTURE[:4], PICTURE, GOOD_MASK),
        lambda: composite(PICTURE, PICTURE, BAD_MASK),
        lambda: composite(PICTURE, PICTURE, GOOD_MASK, feather=-1),
    ],
)
def test_wrong_arguments_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError):
        call()
