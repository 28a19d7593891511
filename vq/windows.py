"""Where to look at a code map that is larger than the prior's: windows around a hole.

A prior sees maps of one size. A hole in a larger map is filled through windows of that size, one
after another, each of which shows the known codes around the ones it fills, those that earlier
windows filled among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two lie outside


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a code map, in codes, and the codes (height, width) that are filled through it.

    `fill` is bool, and True only inside the hole. Other codes of the hole that the window shows
    have been filled through an earlier window or will be through a later one.
    """

    top: int
    left: int
    height: int
    width: int
    fill: np.ndarray

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index into the map (h, w)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def windows(hole: np.ndarray, size: tuple[int, int] = (32, 32)) -> list[Window]:
    """Windows of `size` (height, width) codes, in the order to use them, for a hole (h, w) bool.

    Each code of the hole is filled in exactly one window. All windows have the full size, unless
    the map is smaller. A code is never nearer than an eighth of the size to the edge of the window
    that fills it, unless that edge is the map's.

    Parts of the hole that fit one window together share it, and it is centred on them as far as
    the borders allow. A part that does not fit is covered by a grid of windows that overlap by at
    least a quarter, in raster order; each code is filled where it has the most around it.
    Raises ValueError.
    """
    if hole.dtype != np.bool_ or hole.ndim != 2:
        raise ValueError(f"the hole must be bool with 2 axes, not {hole.dtype} {hole.shape}")
    if min(size) < 1:
        raise ValueError(f"a window must be at least 1 code high and wide, not {size}")
    result = []
    for group in _groups(hole, size):
        top, left, bottom, right = _box(group)
        rows = _starts(top, bottom, hole.shape[0], size[0])
        columns = _starts(left, right, hole.shape[1], size[1])
        row_of = _most_context(rows, hole.shape[0], size[0])
        column_of = _most_context(columns, hole.shape[1], size[1])
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                filled = group & (row_of == i)[:, None] & (column_of == j)[None, :]
                if filled.any():
                    view = filled[row : row + size[0], column : column + size[1]]
                    result.append(Window(row, column, view.shape[0], view.shape[1], view))
    return result


def _groups(hole: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The connected parts of the hole as masks (h, w), put together where a window holds both."""
    boxes: list[Box] = []
    groups: list[np.ndarray] = []
    for part in _connected(hole):
        top, left = part.min(axis=0).tolist()
        bottom, right = (part.max(axis=0) + 1).tolist()
        for index, (a, b, c, d) in enumerate(boxes):
            union = min(top, a), min(left, b), max(bottom, c), max(right, d)
            if union == boxes[index] or _fits(union, hole.shape, size):
                boxes[index] = union
                break
        else:
            index = len(boxes)
            boxes.append((top, left, bottom, right))
            groups.append(np.zeros_like(hole))
        groups[index][tuple(part.T)] = True
    return groups


def _connected(hole: np.ndarray) -> list[np.ndarray]:
    """The places (n, 2) of each part whose codes touch, corners included; in raster order."""
    unseen = dict.fromkeys(map(tuple, np.argwhere(hole).tolist()))
    parts = []
    while unseen:
        part = [next(iter(unseen))]
        del unseen[part[0]]
        for row, column in part:  # grows while it is walked
            for place in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if place in unseen:
                    del unseen[place]
                    part.append(place)
        parts.append(np.array(part))
    return parts


def _box(group: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(group.any(axis=1)), np.flatnonzero(group.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _fits(box: Box, shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    top, left, bottom, right = box
    return (
        len(_starts(top, bottom, shape[0], size[0])) == 1
        and len(_starts(left, right, shape[1], size[1])) == 1
    )


def _starts(first: int, last: int, length: int, size: int) -> list[int]:
    """Where windows begin on an axis of `length` codes to fill [first, last) with context."""
    if length <= size:
        return [0]
    context = size // 8
    begin, end = max(first - context, 0), min(last + context, length)
    if end - begin <= size:
        centred = first - (size - (last - first)) // 2
        return [min(max(centred, 0), length - size)]
    steps = -(-(end - begin - size) // (size - 2 * context))
    return [begin + round(i * (end - begin - size) / steps) for i in range(steps + 1)]


def _most_context(starts: list[int], length: int, size: int) -> np.ndarray:
    """For each place on an axis, the window that shows the most around it: the index in `starts`.

    What a window shows around a place ends at its nearer side, unless that is the map's border.
    """
    place = np.arange(length)
    chosen = np.zeros(length, int)
    for index, (before, after) in enumerate(pairwise(starts)):
        # Between neighbours the later one shows more once its first code is farther than the
        # earlier one's last.
        nearer_after = place - after > before + size - 1 - place
        chosen[nearer_after] = index + 1
    return chosen
