"""Windows around a hole, against what was promised of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vq.regions import Window, windows


@st.composite
def holes(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int]]:
    """Holes made of a few rectangles, as people paint, in maps of all sizes."""
    shape = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    size = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    hole = np.zeros(shape, bool)
    for _ in range(draw(st.integers(0, 4))):
        top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        hole[top : top + draw(st.integers(1, 60)), left : left + draw(st.integers(1, 60))] = True
    return hole, size


def context(window: Window, shape: tuple[int, ...]) -> np.ndarray:
    """Codes shown between each place and the nearest side of the window that is not the map's.

    Negative outside the window, infinite where all its sides are the map's.
    """
    row, column = np.indices(shape)
    bottom, right = window.top + window.height, window.left + window.width
    nearest = np.full(shape, math.inf)
    if window.top > 0:
        nearest = np.minimum(nearest, row - window.top)
    if window.left > 0:
        nearest = np.minimum(nearest, column - window.left)
    if bottom < shape[0]:
        nearest = np.minimum(nearest, bottom - 1 - row)
    if right < shape[1]:
        nearest = np.minimum(nearest, right - 1 - column)
    return nearest


@settings(deadline=None)
@given(holes())
def test_each_code_is_filled_once_and_with_context(
    example: tuple[np.ndarray, tuple[int, int]],
) -> None:
    hole, size = example
    times = np.zeros(hole.shape, int)
    for window in windows(hole, size):
        assert window.height == min(size[0], hole.shape[0])
        assert window.width == min(size[1], hole.shape[1])
        assert window.top >= 0 and window.top + window.height <= hole.shape[0]
        assert window.left >= 0 and window.left + window.width <= hole.shape[1]
        assert window.fill.dtype == bool and window.fill.any()
        assert window.fill.shape == (window.height, window.width)
        times[window.slices] += window.fill
        shown = context(window, hole.shape)[window.slices]
        assert shown[window.fill].min() >= min(size) // 8
    np.testing.assert_array_equal(times, hole.astype(int))


@settings(deadline=None)
@given(st.integers(20, 60), st.integers(20, 60), st.integers(8, 20), st.integers(8, 20))
def test_each_code_of_a_large_hole_is_filled_where_most_is_shown(
    height: int, width: int, high: int, wide: int
) -> None:
    hole = np.zeros((height, width), bool)
    hole[1 : height - 1, 1 : width - 1] = True
    plan = windows(hole, (high, wide))
    shown = np.stack([context(window, hole.shape) for window in plan])
    for index, window in enumerate(plan):
        chosen, best = shown[index][window.slices], shown.max(axis=0)[window.slices]
        np.testing.assert_array_equal(chosen[window.fill], best[window.fill])


def test_a_large_hole_is_filled_in_raster_order_with_overlap() -> None:
    hole = np.ones((128, 96), bool)
    plan = windows(hole)
    places = [(window.top, window.left) for window in plan]
    assert places == sorted(places)
    for index in (0, 1):
        starts = sorted({place[index] for place in places})
        assert starts[0] == 0 and starts[-1] == hole.shape[index] - 32
        assert max(b - a for a, b in pairwise(starts)) <= 24


@settings(deadline=None)
@given(st.integers(0, 76), st.integers(0, 76), st.integers(1, 24), st.integers(1, 24))
def test_a_small_hole_has_one_window_centred_on_it(
    top: int, left: int, height: int, width: int
) -> None:
    hole = np.zeros((100, 100), bool)
    hole[top : top + height, left : left + width] = True
    (window,) = windows(hole)
    np.testing.assert_array_equal(window.fill, hole[window.slices])
    for start, first, extent in ((window.top, top, height), (window.left, left, width)):
        before, after = first - start, start + 32 - first - extent
        at_border = start in (0, 68)
        assert abs(before - after) <= 1 or at_border
        if start == 0:
            assert before <= after + 1
        if start == 68:
            assert after <= before + 1


def test_a_map_of_the_windows_size_or_smaller_is_one_window() -> None:
    for shape in ((32, 32), (20, 30), (1, 1)):
        (window,) = windows(np.ones(shape, bool))
        assert (window.top, window.left) == (0, 0)
        np.testing.assert_array_equal(window.fill, np.ones(shape, bool))


def test_parts_near_each_other_share_a_window_and_distant_ones_do_not() -> None:
    hole = np.zeros((128, 128), bool)
    hole[40:44, 40:44] = hole[50:54, 55:59] = True
    assert len(windows(hole)) == 1
    hole[120:124, 5:9] = True
    near, far = windows(hole)
    assert near.fill.sum() == 32 and far.fill.sum() == 16
    assert far.top == 96 and far.left == 0


def test_an_island_in_a_ring_is_filled_with_the_ring() -> None:
    hole = np.zeros((100, 100), bool)
    hole[10:80, 10:80] = True
    ring_only = hole.copy()
    ring_only[20:70, 20:70] = False
    island = ring_only.copy()
    island[44:46, 44:46] = True
    assert len(windows(island)) <= len(windows(hole))


def test_scattered_codes_need_few_windows() -> None:
    """As many windows as parts would be thousands."""
    hole = np.random.default_rng(0).random((128, 128)) < 0.1
    assert len(windows(hole)) <= 60


def test_an_empty_hole_needs_no_window() -> None:
    assert windows(np.zeros((50, 50), bool)) == []


@pytest.mark.parametrize(
    ("hole", "size"),
    [
        (np.zeros((4, 4), int), (2, 2)),
        (np.zeros(4, bool), (2, 2)),
        (np.zeros((4, 4), bool), (0, 2)),
    ],
)
def test_wrong_arguments_are_refused(hole: np.ndarray, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        windows(hole, size)
