"""Neighbours against brute force, and a sheet on which like codes are close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.code_sheet import nearest_codes, sheet_columns, sheet_order


def vectors_of(number: int, length: int, seed: int) -> np.ndarray:
    """Small whole numbers: equal vectors and equal distances are common."""
    return np.random.default_rng(seed).integers(-2, 3, (number, length)).astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_neighbours_are_those_of_brute_force(
    number: int, length: int, count: int, seed: int
) -> None:
    vectors = vectors_of(number, length, seed)
    found = nearest_codes(vectors, count)
    assert found.codes.shape == found.distances.shape == (number, min(count, number - 1))
    total = 0.0
    for code in range(number):
        distances = np.array([np.linalg.norm(vectors[code] - other) for other in vectors])
        total += distances.sum()
        others = sorted(set(range(number)) - {code}, key=lambda other: (distances[other], other))
        others = others[:count]
        np.testing.assert_allclose(found.distances[code], distances[others], rtol=1e-6)
        np.testing.assert_array_equal(found.codes[code], others)
    if number > 1:
        assert found.typical == pytest.approx(total / (number * (number - 1)), abs=1e-6)


def test_neighbours_of_many_codes_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 6))
    whole = nearest_codes(vectors)
    monkeypatch.setattr("demo.code_sheet.CHUNK", 7)
    parts = nearest_codes(vectors)
    np.testing.assert_array_equal(parts.codes, whole.codes)
    np.testing.assert_allclose(parts.distances, whole.distances)
    assert parts.typical == pytest.approx(whole.typical)


def apart_on_sheet(vectors: np.ndarray, order: np.ndarray, columns: int) -> float:
    """The mean distance of the vectors of codes that touch on the sheet, edge to edge."""
    place = {code: divmod(i, columns) for i, code in enumerate(order.tolist())}
    at = {where: code for code, where in place.items()}
    distances = [
        np.linalg.norm(vectors[code] - vectors[at[beside]])
        for code, (row, column) in place.items()
        for beside in ((row, column + 1), (row + 1, column))
        if beside in at
    ]
    return float(np.mean(distances))


@pytest.mark.parametrize("kind", ["clusters", "cloud", "plane"])
@pytest.mark.parametrize("number", [40, 300])
def test_codes_that_touch_on_the_sheet_are_nearer_than_chance(kind: str, number: int) -> None:
    rng = np.random.default_rng(1)
    vectors = {
        "clusters": rng.normal(size=(8, 16))[np.arange(number) % 8] * 5
        + rng.normal(size=(number, 16)),
        "cloud": rng.normal(size=(number, 6)),
        "plane": rng.random((number, 2)),
    }[kind]
    columns = sheet_columns(number)
    order = sheet_order(vectors, columns)
    assert sorted(order.tolist()) == list(range(number))
    chance = [apart_on_sheet(vectors, rng.permutation(number), columns) for _ in range(200)]
    sorted_by_one = np.argsort(vectors[:, 0])
    apart = apart_on_sheet(vectors, order, columns)
    assert apart < min(chance)
    if kind != "cloud":  # which has more directions than a sheet
        assert apart < 0.7 * min(chance)
    assert apart < apart_on_sheet(vectors, sorted_by_one, columns)


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=25)
def test_a_sheet_has_every_code_once_and_is_always_the_same(
    number: int, length: int, columns: int, seed: int
) -> None:
    vectors = vectors_of(number, length, seed)
    order = sheet_order(vectors, columns)
    assert sorted(order.tolist()) == list(range(number))
    np.testing.assert_array_equal(order, sheet_order(vectors.copy(), columns))


def test_a_sheet_is_as_good_as_square() -> None:
    for number in (1, 2, 4, 5, 512, 1000):
        columns = sheet_columns(number)
        rows = -(-number // columns)
        assert rows * columns >= number and columns - 1 <= rows <= columns


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros((4, 0)), np.zeros(4)])
def test_what_is_no_code_book_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="code book"):
        nearest_codes(vectors)
    with pytest.raises(ValueError, match="code book"):
        sheet_order(vectors, 2)
    with pytest.raises(ValueError, match="1 column or more"):
        sheet_order(np.zeros((4, 4)), 0)
