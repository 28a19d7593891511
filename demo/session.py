"""What one visitor holds: the upload, and a history of edits to it. NumPy only.

Everything here is immutable: a verb returns a new `Session`. A job that fails or is cancelled
half-way has therefore nothing to clean up, and nothing the visitor made is lost with it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from demo.recording import Recording
from vq.regions import composite

MAX_HISTORY = 32  # snapshots; one is under 1 MB at the working size


def _frozen(array: np.ndarray, dtype: type) -> np.ndarray:
    """A read-only copy, so that no later hand can change a snapshot."""
    copy: np.ndarray = np.array(array, dtype=dtype)
    copy.setflags(write=False)
    return copy


def _spilled(picture: np.ndarray) -> np.ndarray:
    """The array on disk: an upload may have 36 megapixels, and visitors stay for hours.

    The file has no name, so it goes when the array does. Raises OSError where the disk is full.
    """
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):
            # A full disk is an error here; once the array is written to, it would end the process.
            os.posix_fallocate(file.fileno(), 0, picture.nbytes)
        array = np.memmap(file, dtype=np.uint8, mode="w+", shape=picture.shape)
    array[:] = picture
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Origin:
    """Which prior made a variation, from which seed, and its bits under the judge if there is one.

    Judge and bits: see `demo.jobs.StudioVerbs.judge`. `recording` is how it came about. `akin` is
    the seed of the variation that it has a share of its codes from: without that one its own seed
    would not give it again.
    """

    prior: str
    seed: int
    bits: float | None = None
    recording: Recording | None = None
    akin: int | None = None


Kind = Literal["opened", "generated", "code_file", "resampled", "brushed", "pasted", "switched"]


@dataclass(frozen=True)
class Made:
    """What made a snapshot: its `kind`, and what belongs to that kind.

    The words for it are `step_` and the kind in `demo/text`.
    """

    kind: Kind
    cells: int = 0  # that were repainted
    code: int | None = None  # with which
    origin: Origin | None = None  # of what a prior made
    model: str = ""  # the checkpoint that was switched to


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of the picture: `picture` `(H, W, 3)` and its `codes` `(h, w)`.

    `edited` `(H, W)` marks every pixel that was ever repainted. `model` names the checkpoint that
    the codes are of (`demo.shelf`). `number` counts the edits up to it.
    """

    picture: np.ndarray
    codes: np.ndarray
    edited: np.ndarray
    model: str
    made: Made = Made("opened")
    number: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "picture", _frozen(self.picture, np.uint8))
        object.__setattr__(self, "codes", _frozen(self.codes, np.int32))
        object.__setattr__(self, "edited", _frozen(self.edited, np.bool_))

    @classmethod
    def untouched(
        cls, picture: np.ndarray, codes: np.ndarray, model: str, made: Made = Made("opened")
    ) -> Snapshot:
        """What a session begins with: nothing of it is repainted."""
        return cls(picture, codes, np.zeros(picture.shape[:2], bool), model, made)


@dataclass(frozen=True, eq=False)
class Draft:
    """Variations that wait for Keep or Discard, of the same painted `cells` `(h, w)`.

    `pictures` `(V, H, W, 3)`, `codes` `(V, h, w)`, and the origin of each.
    """

    pictures: np.ndarray
    codes: np.ndarray
    cells: np.ndarray
    origins: tuple[Origin, ...]
    chosen: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", _frozen(self.pictures, np.uint8))
        object.__setattr__(self, "codes", _frozen(self.codes, np.int32))
        object.__setattr__(self, "cells", _frozen(self.cells, np.bool_))

    @property
    def made(self) -> Made:
        """What made the chosen variation."""
        origin = self.origins[self.chosen]
        return Made("resampled", cells=int(np.count_nonzero(self.cells)), origin=origin)


@dataclass(frozen=True, eq=False)
class Session:
    """An upload, the snapshots made of it, where in them the visitor is, and what is undecided."""

    id: str  # new for every upload
    upload: np.ndarray
    history: tuple[Snapshot, ...]
    position: int = 0
    draft: Draft | None = None
    reference: Snapshot | None = None  # one of the history that the visitor compares with

    @classmethod
    def of(cls, upload: np.ndarray, first: Snapshot) -> Session:
        """A fresh session: the upload, and what it is at the working size."""
        return cls(secrets.token_hex(8), _spilled(upload), (first,))

    @property
    def current(self) -> Snapshot:
        return self.history[self.position]

    @property
    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture and the codes on the canvas: the chosen variation where there is one."""
        if self.draft is None:
            return self.current.picture, self.current.codes
        return self.draft.pictures[self.draft.chosen], self.draft.codes[self.draft.chosen]

    @property
    def recording(self) -> Recording | None:
        """How what is on the canvas was filled, if that was the last thing that happened to it."""
        if self.draft is not None:
            return self.draft.origins[self.draft.chosen].recording
        origin = self.current.made.origin
        return origin.recording if origin else None

    @property
    def before(self) -> Snapshot | None:
        """What the canvas is compared with: the reference, else what the latest change was made on.

        None where there is nothing but what the canvas shows.
        """
        if self.draft is not None:
            return self.reference or self.current
        if self.reference is not None and self.reference is not self.current:
            return self.reference
        return self.history[self.position - 1] if self.position > 0 else None

    @property
    def can_undo(self) -> bool:
        return self.draft is None and self.position > 0

    @property
    def can_redo(self) -> bool:
        return self.draft is None and self.position + 1 < len(self.history)

    def propose(self, draft: Draft) -> Session:
        """Put variations up for decision, instead of any that were there."""
        return replace(self, draft=draft)

    def choose(self, index: int) -> Session:
        """Look at variation `index`. Raises `IndexError` where there is none of that number."""
        if self.draft is None or not 0 <= index < len(self.draft.pictures):
            raise IndexError(f"there is no variation {index}")
        return replace(self, draft=replace(self.draft, chosen=index))

    def keep(self) -> Session:
        """The chosen variation becomes the current picture; what had been undone is forgotten."""
        if self.draft is None:
            return self
        return self.edit(*self.shown, self.draft.cells, self.draft.made)

    def edit(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, made: Made
    ) -> Session:
        """A new current picture, repainted at `cells` `(h, w)`; what had been undone is forgotten.

        Nothing waits for decision after it. Where the history is full its oldest edit falls off;
        the picture as it was opened stays.
        """
        stride = picture.shape[0] // cells.shape[0]
        pixels = cells.repeat(stride, 0).repeat(stride, 1)
        return self._followed_by(picture, codes, self.current.edited | pixels, made)

    def switch(self, picture: np.ndarray, codes: np.ndarray, model: str) -> Session:
        """The current picture in the codes of another checkpoint: a step like any other.

        picture: it may have another working size, for the strides differ.
        """
        height, width = picture.shape[:2]
        edited = Image.fromarray(self.current.edited).resize((width, height))  # the nearest pixel
        return self._followed_by(
            picture, codes, np.asarray(edited), Made("switched", model=model), model
        )

    def _followed_by(
        self,
        picture: np.ndarray,
        codes: np.ndarray,
        edited: np.ndarray,
        made: Made,
        model: str | None = None,
    ) -> Session:
        current = self.current
        model = model or current.model
        snapshot = Snapshot(picture, codes, edited, model, made, current.number + 1)
        opened, *edits = *self.history[: self.position + 1], snapshot
        history = (opened, *edits[-(MAX_HISTORY - 1) :])
        reference = self.reference if self.reference in history else None
        return replace(
            self, history=history, position=len(history) - 1, draft=None, reference=reference
        )

    def discard(self) -> Session:
        return replace(self, draft=None)

    def undo(self) -> Session:
        return replace(self, position=self.position - 1) if self.can_undo else self

    def redo(self) -> Session:
        return replace(self, position=self.position + 1) if self.can_redo else self

    def jump(self, number: object) -> Session:
        """Undo or redo to the snapshot of that number, unless variations wait for decision.

        Raises `IndexError` where there is none of that number.
        """
        position = self.history.index(self._numbered(number))
        return replace(self, position=position) if self.draft is None else self

    def compare(self, number: object) -> Session:
        """Compare with the snapshot of that number; None: with what the latest change was made on.

        Raises `IndexError` where there is none of that number.
        """
        return replace(self, reference=None if number is None else self._numbered(number))

    def _numbered(self, number: object) -> Snapshot:
        for snapshot in self.history:
            if snapshot.number == number:
                return snapshot
        raise IndexError(f"there is no step {number}")

    def full_size(self) -> np.ndarray:
        """The current picture at the size of the upload, `(H, W, 3)` uint8.

        Edited cells come from the working picture, scaled up; every pixel outside them is the
        upload's own.
        """
        picture, edited = self.current.picture, self.current.edited
        height, width = self.upload.shape[:2]
        rows = ((np.arange(height) + 0.5) * edited.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * edited.shape[1] / width).astype(int)
        result = np.array(self.upload)
        if not edited.any():
            return result
        if result.shape == picture.shape:
            mask = edited[rows][:, columns]
            result[mask] = picture[mask]  # joined when it was made: a second feather would thin it
            return result

        # Only the box around the edit is scaled up and joined: an upload may be 36 megapixels.
        scale = max(height / picture.shape[0], width / picture.shape[1])
        feather = int(np.ceil(2 * scale))
        in_rows = np.flatnonzero(np.any(edited, axis=1)[rows])
        in_columns = np.flatnonzero(np.any(edited, axis=0)[columns])
        top, bottom = max(0, in_rows[0] - feather), min(height, in_rows[-1] + 1 + feather)
        left, right = max(0, in_columns[0] - feather), min(width, in_columns[-1] + 1 + feather)
        to_x, to_y = picture.shape[1] / width, picture.shape[0] / height
        enlarged = Image.fromarray(picture).resize(
            (right - left, bottom - top),
            Image.Resampling.BICUBIC,
            box=(left * to_x, top * to_y, right * to_x, bottom * to_y),
        )
        window = np.s_[top:bottom, left:right]
        mask = edited[rows[top:bottom]][:, columns[left:right]]
        result[window] = composite(result[window], np.asarray(enlarged), mask, feather=feather)
        return result
