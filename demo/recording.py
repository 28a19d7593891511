"""How a hole was filled: the codes as they stood after each step, of one variation.

Codes are a few kilobytes where pictures would be megabytes, and any of the variations can be shown
from them: a job's own previews are of the first. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from demo.jobs import Step

MAX_FRAMES = 48  # of an animation
MAX_BYTES = 512_000  # of the states of one variation

_OTHER_FRAMES = 3  # the picture as it was, the empty hole, the result
_BYTES_A_CELL = 3  # two for its code, one for whether it is settled
_VEIL = 0.6  # how much white lies over what is still to be filled

Render = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Recording:
    """What the n painted `cells` `(h, w)` went through between `before` `(H, W, 3)` and the result.

    Each state is their codes `(n,)` uint16 and, bool `(n,)`, which of them were drawn by then.
    """

    before: np.ndarray
    cells: np.ndarray
    states: tuple[tuple[np.ndarray, np.ndarray], ...]

    def __len__(self) -> int:
        """How many `frames` there are."""
        return len(self.states) + _OTHER_FRAMES

    def frames(
        self, picture: np.ndarray, codes: np.ndarray, render: Render
    ) -> Iterator[np.ndarray]:
        """Pictures `(H, W, 3)`: as it was, the empty hole, every state, and the result.

        `picture` and `codes` `(h, w)` are the result; `render` is that of `StudioVerbs`.
        """
        yield self.before
        yield _veiled(self.before, self.cells)
        for drawn, settled in self.states:
            state, done = codes.copy(), np.zeros_like(self.cells)
            state[self.cells], done[self.cells] = drawn, settled
            yield _veiled(render(self.before, state[None], done)[0], self.cells & ~done)
        yield picture


class Recorder:
    """Listens to a job, and keeps as many of its states as the limits allow, evenly spaced."""

    def __init__(self, before: np.ndarray, cells: np.ndarray) -> None:
        self._before, self._cells = before, cells
        fitting = MAX_BYTES // (_BYTES_A_CELL * max(1, int(cells.sum())))
        self._most = max(1, min(MAX_FRAMES - _OTHER_FRAMES, fitting))
        self._every = 1  # of so many steps one is kept
        self._states: list[tuple[np.ndarray, np.ndarray]] = []  # as a Recording's, (V, n)

    def add(self, step: Step) -> None:
        """Take in the next step of the job. The last one is the result, and no state before it.

        A first step again means that the job has begun anew: what was seen of it came to nothing.
        """
        if step.step == 1:
            self._states.clear()
            self._every = 1
        if step.step % self._every or step.step == step.steps:
            return
        drawn = step.codes[:, self._cells].astype(np.uint16)
        self._states.append((drawn, ~step.remaining[:, self._cells]))
        if len(self._states) > self._most:
            del self._states[::2]
            self._every *= 2

    def recording(self, variation: int) -> Recording:
        states = tuple((drawn[variation], done[variation]) for drawn, done in self._states)
        return Recording(self._before, self._cells, states)


def _veiled(picture: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The picture with white laid over these cells."""
    stride = picture.shape[0] // cells.shape[0]
    mask = cells.repeat(stride, 0).repeat(stride, 1)
    veiled = picture.copy()
    veiled[mask] = np.rint(picture[mask] * (1 - _VEIL) + 255 * _VEIL)
    return veiled
