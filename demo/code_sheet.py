"""A code book by likeness: each code's nearest others, and a sheet on which like codes are close.

NumPy only. `vectors` `(K, D)` are those of the code book; codes are their indices.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHUNK = 1024  # codes whose distances to all others are in memory at a time
SEED = 0
ROUNDS = 48  # of swaps at each radius


class Nearest(NamedTuple):
    """The nearest other codes `(K, n)` of each code, the nearest first, and how far they are.

    `distances` `(K, n)` are Euclidean; `typical` is their mean over all pairs of two codes.
    """

    codes: NDArray[np.int64]
    distances: NDArray[np.float64]
    typical: float


def nearest_codes(vectors: ArrayLike, count: int = 8) -> Nearest:
    """The `count` nearest other codes of each, or all others where there are fewer.

    Among equally near ones the lower code comes first. Raises ValueError for another shape.
    """
    vectors = _checked(vectors)
    number = len(vectors)
    count = min(count, number - 1)
    codes = np.empty((number, count), np.int64)
    distances = np.empty((number, count))
    total = 0.0
    squares = (vectors**2).sum(1)
    for start in range(0, number, CHUNK):
        part = vectors[start : start + CHUNK]
        mine = np.arange(start, start + len(part))
        squared = squares[mine, None] + squares - 2 * part @ vectors.T
        total += float(np.sqrt(squared.clip(0)).sum())
        squared[np.arange(len(part)), mine] = np.inf
        found = np.sort(np.argsort(squared, axis=1, kind="stable")[:, :count])
        # Rounding in the products must neither order equal distances nor make zero of small ones.
        exact = np.linalg.norm(vectors[found] - part[:, None], axis=-1)
        order = np.argsort(exact, axis=1, kind="stable")
        codes[mine] = np.take_along_axis(found, order, 1)
        distances[mine] = np.take_along_axis(exact, order, 1)
    return Nearest(codes, distances, total / max(1, number * (number - 1)))


def sheet_columns(number: int) -> int:
    """The columns of a sheet that is as good as square."""
    return math.ceil(math.sqrt(number))


def sheet_order(vectors: ArrayLike, columns: int) -> NDArray[np.int64]:
    """All codes `(K,)` in the order in which they fill a sheet, row by row, like beside like.

    A self-sorting map (Strong and Gong, "Self-Sorting Map", IEEE Trans. Multimedia 2014): it starts
    with the codes sorted along their two directions of most variance. Then any two codes change
    places where each fits better what surrounds the other's place, averaged over a distance that
    shrinks from a third of the sheet to one cell. The same vectors always give the same sheet.

    Raises ValueError for another shape, or columns below 1.
    """
    vectors = _checked(vectors)
    if columns < 1:
        raise ValueError(f"A sheet needs 1 column or more, not {columns}.")
    number = len(vectors)
    rows = -(-number // columns)
    order = _sorted_along_axes(vectors, columns)
    generator = np.random.default_rng(SEED)
    radius = max(rows, columns) / 3
    while radius > 0.4:
        smooth = _Smoothing(rows, columns, number, radius)
        for _ in range(ROUNDS):
            around = smooth(vectors[order])
            places = generator.permutation(number)
            a, b = places[: number // 2], places[number // 2 : number // 2 * 2]
            # |va - tb|² + |vb - ta|² < |va - ta|² + |vb - tb|², without what cancels.
            gain = ((vectors[order[a]] - vectors[order[b]]) * (around[b] - around[a])).sum(1)
            swap = gain > 0
            order[a[swap]], order[b[swap]] = order[b[swap]], order[a[swap]]
        radius *= 0.75
    return order


class _Smoothing:
    """The Gaussian mean of what lies around each place of a sheet, the place itself left out."""

    def __init__(self, rows: int, columns: int, number: int, radius: float) -> None:
        self.shape = rows, columns
        self.number = number
        self.down, self.across = (_gaussian(length, radius) for length in (rows, columns))
        self.weight = self._sum(np.ones((number, 1))).clip(1e-12)

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, D) by place to the means (K, D) around each."""
        return self._sum(values) / self.weight

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        sheet = np.zeros((math.prod(self.shape), values.shape[1]))
        sheet[: self.number] = values
        sheet = np.tensordot(self.down, sheet.reshape(*self.shape, -1), 1)
        sheet = np.tensordot(self.across, sheet, (1, 1)).swapaxes(0, 1)
        return sheet.reshape(-1, values.shape[1])[: self.number] - values


def _gaussian(length: int, radius: float) -> NDArray[np.float64]:
    """(length, length): the weight of each place for each other, 1 for itself."""
    places = np.arange(length)
    return np.exp(-0.5 * ((places[:, None] - places) / radius) ** 2)


def _sorted_along_axes(vectors: NDArray[np.float64], columns: int) -> NDArray[np.int64]:
    """Rows by the first principal component, within each by the second."""
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    along = np.zeros((len(vectors), 2))
    along[:, : len(axes)] = centred @ axes.T
    order = np.argsort(along[:, 0], kind="stable")
    for start in range(0, len(order), columns):
        row = order[start : start + columns]
        order[start : start + columns] = row[np.argsort(along[row, 1], kind="stable")]
    return order


def _checked(vectors: ArrayLike) -> NDArray[np.float64]:
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"A code book has shape (K, D), not {vectors.shape}.")
    return vectors
