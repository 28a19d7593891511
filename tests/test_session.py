"""What a visitor holds: a history that Keep extends, a download that changes only the edits."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.session import MAX_HISTORY, Draft, Made, Origin, Session, Snapshot

STRIDE = 4


def session_of(
    working: tuple[int, int] = (24, 32), upload: tuple[int, int] | None = None, seed: int = 0
) -> Session:
    """Random noise at the sizes (height, width)."""
    generator = np.random.default_rng(seed)
    picture = generator.integers(0, 256, (*working, 3), dtype=np.uint8)
    full = picture if upload is None else generator.integers(0, 256, (*upload, 3), dtype=np.uint8)
    codes = generator.integers(0, 512, (working[0] // STRIDE, working[1] // STRIDE))
    return Session.of(full, Snapshot.untouched(picture, codes, "small"))


def draft_of(session: Session, cells: np.ndarray, variations: int = 2, colour: int = 255) -> Draft:
    """Variations that are flat where painted, each a shade darker than the one before."""
    current = session.current
    mask = cells.repeat(STRIDE, 0).repeat(STRIDE, 1)[..., None]
    shades = [np.where(mask, np.uint8(colour - i), current.picture) for i in range(variations)]
    codes = np.where(cells, 7, current.codes)
    origins = tuple(Origin("masked", seed) for seed in range(variations))
    return Draft(np.stack(shades), np.stack([codes] * variations), cells, origins)


def pixels_of(cells: np.ndarray) -> np.ndarray:
    return np.kron(cells, np.ones((STRIDE, STRIDE), bool))


def cells_of(session: Session, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    cells = np.zeros(session.current.codes.shape, bool)
    for top, left, bottom, right in boxes:
        cells[top:bottom, left:right] = True
    return cells


def test_what_is_shown_follows_the_choice_and_what_is_kept_stays() -> None:
    session = session_of()
    original = session.current
    cells = cells_of(session, (1, 1, 3, 4))
    proposed = session.propose(draft_of(session, cells, variations=3))
    assert proposed.shown[0][5, 5].tolist() == [255] * 3
    chosen = proposed.choose(2)
    assert chosen.shown[0][5, 5].tolist() == [253] * 3
    kept = chosen.keep()
    assert kept.draft is None
    np.testing.assert_array_equal(kept.current.picture, chosen.shown[0])
    np.testing.assert_array_equal(kept.current.codes[cells], 7)
    np.testing.assert_array_equal(kept.current.codes[~cells], original.codes[~cells])
    np.testing.assert_array_equal(kept.current.edited, pixels_of(cells))
    # Each verb gave a new session: the ones before are as they were.
    assert session.draft is None and session.current is original and proposed.draft is not None


def test_an_edit_is_one_step_and_marks_its_cells() -> None:
    session = session_of()
    first, second = cells_of(session, (0, 0, 2, 2)), cells_of(session, (1, 1, 3, 4))
    for number, cells in enumerate((first, second), start=1):
        picture = np.full_like(session.current.picture, number)
        codes = np.where(cells, number, session.current.codes)
        session = session.edit(picture, codes, cells, Made("brushed", code=number))
    assert session.position == 2 and len(session.history) == 3
    np.testing.assert_array_equal(session.current.edited, pixels_of(first | second))
    assert session.current.codes[0, 0] == 1 and session.current.codes[1, 1] == 2
    back = session.undo()
    np.testing.assert_array_equal(back.current.edited, pixels_of(first))
    again = back.edit(picture, session.current.codes, second, Made("brushed", code=3))
    assert not again.can_redo and len(again.history) == 3
    made = [(one.number, one.made.kind, one.made.code) for one in again.history]
    assert made == [(0, "opened", None), (1, "brushed", 1), (2, "brushed", 3)]


def test_discard_keeps_nothing_and_loses_nothing() -> None:
    session = session_of()
    back = session.propose(draft_of(session, cells_of(session, (0, 0, 2, 2)))).discard()
    assert back.current is session.current and back.draft is None and not back.can_undo


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["keep", "undo", "redo", 0, 1, 2, 3, 4]), max_size=24))
def test_history_walks_what_a_list_and_an_index_would(actions: list[str | int]) -> None:
    session = session_of((8, 8))
    expected: list[int | None] = [None]
    index = colour = 0
    for action in actions:
        if action == "keep":
            colour += 1
            everything = np.ones((2, 2), bool)
            session = session.propose(draft_of(session, everything, 1, colour)).keep()
            expected, index = [*expected[: index + 1], colour], index + 1
        elif action == "undo":
            assert session.can_undo == (index > 0)
            session, index = session.undo(), max(0, index - 1)
        elif isinstance(action, int):
            if action < len(expected):
                session, index = session.jump(action), action
            else:
                with pytest.raises(IndexError, match=f"no step {action}"):
                    session.jump(action)
        else:
            assert session.can_redo == (index + 1 < len(expected))
            session, index = session.redo(), min(len(expected) - 1, index + 1)
        if expected[index] is not None:
            assert session.current.picture[0, 0, 0] == expected[index]
        else:
            assert not session.current.edited.any()


def test_history_does_not_move_while_a_draft_waits() -> None:
    session = session_of()
    cells = cells_of(session, (0, 0, 1, 1))
    session = session.propose(draft_of(session, cells)).keep()
    waiting = session.propose(draft_of(session, cells))
    assert not waiting.can_undo and waiting.undo() is waiting and waiting.jump(0) is waiting
    assert waiting.discard().can_undo


def test_what_is_kept_says_how_it_came_to_be() -> None:
    session = session_of()
    cells = cells_of(session, (1, 1, 3, 4))
    kept = session.propose(draft_of(session, cells, variations=3)).choose(2).keep()
    assert kept.current.made == Made("resampled", cells=6, origin=Origin("masked", 2))
    assert kept.history[0].made == Made("opened")


def test_the_oldest_edits_go_first_and_the_upload_stays() -> None:
    session = session_of((8, 8))
    opened = session.current
    for colour in range(MAX_HISTORY + 5):
        session = session.propose(draft_of(session, np.ones((2, 2), bool), 1, colour)).keep()
    assert len(session.history) == MAX_HISTORY
    assert session.current.picture[0, 0, 0] == MAX_HISTORY + 4
    # Edit number n has the colour n - 1: those between the upload and the last 31 are gone.
    assert session.history[0] is opened
    numbers = [snapshot.number for snapshot in session.history[1:]]
    assert numbers == list(range(7, MAX_HISTORY + 6))
    assert [one.picture[0, 0, 0] + 1 for one in session.history[1:]] == numbers
    for _ in session.history[1:]:
        session = session.undo()
    assert session.current is opened and not session.can_undo


def painted(session: Session, number: int) -> Session:
    """The whole picture in one colour."""
    everything = np.ones(session.current.codes.shape, bool)
    picture = np.full_like(session.current.picture, number)
    return session.edit(picture, session.current.codes, everything, Made("brushed", code=number))


def test_compared_is_the_latest_change_or_the_step_that_was_asked_for() -> None:
    session = session_of((8, 8))
    assert session.before is None
    opened = session.current
    session = painted(painted(session, 1), 2)
    _, first, second = session.history
    assert session.before is first and session.undo().before is opened
    assert session.jump(0).before is None
    compared = session.compare(0)
    assert compared.before is opened and compared.jump(1).before is opened
    # With itself there is nothing to compare.
    assert compared.jump(0).before is None and session.compare(2).before is first
    back = session.compare(2).jump(0)
    assert back.before is second  # what is undone can be looked at, too
    assert compared.compare(None).before is first
    for number in (3, -1, None, "1", [1], 1.5):
        if number is not None:
            with pytest.raises(IndexError, match="no step"):
                session.compare(number)
        with pytest.raises(IndexError, match="no step"):
            session.jump(number)


def test_variations_are_compared_with_what_they_would_change_or_any_step() -> None:
    session = painted(session_of((8, 8)), 1)
    waiting = session.propose(draft_of(session, np.ones((2, 2), bool)))
    assert waiting.before is session.current
    assert waiting.compare(0).before is session.history[0]
    assert waiting.compare(1).before is session.current
    assert waiting.compare(0).discard().before is session.history[0]


def test_a_step_that_is_forgotten_is_compared_with_no_more() -> None:
    session = painted(painted(session_of((8, 8)), 1), 2)
    assert painted(session.compare(1).jump(1), 3).reference is session.history[1]
    assert painted(session.compare(2).jump(1), 3).reference is None
    session = session.compare(1)
    for number in range(MAX_HISTORY):
        assert (session.reference is None) == (1 not in [one.number for one in session.history])
        session = painted(session, number)
    assert session.reference is None and session.compare(0).before is session.history[0]


def test_a_variation_that_is_not_there_is_refused() -> None:
    session = session_of()
    with pytest.raises(IndexError, match="no variation 0"):
        session.choose(0)
    proposed = session.propose(draft_of(session, cells_of(session, (0, 0, 1, 1))))
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"no variation {index}"):
            proposed.choose(index)


def test_nobody_can_write_into_a_session() -> None:
    source = np.zeros((8, 8, 3), np.uint8)
    codes = np.zeros((2, 2), np.int64)
    session = Session.of(source, Snapshot.untouched(source, codes, "small"))
    source[:] = 9
    codes[:] = 9
    assert not session.current.picture.any() and not session.upload.any()
    assert not session.current.codes.any()
    for array in (session.upload, session.current.picture, session.current.codes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("upload", [(24, 32), (48, 64), (25, 33), (300, 401), (13, 17)])
def test_outside_the_edits_the_download_is_the_upload(upload: tuple[int, int]) -> None:
    session = session_of(upload=upload)
    for boxes in [(1, 1, 3, 4)], [(4, 6, 6, 8), (0, 7, 1, 8)]:
        cells = cells_of(session, *boxes)
        session = session.propose(draft_of(session, cells)).keep()
    result = session.full_size()
    assert result.shape == (*upload, 3) and result.dtype == np.uint8
    # The cell of every pixel, by the pixel's centre.
    painted = session.current.edited
    inside = np.zeros(upload, bool)
    for y in range(upload[0]):
        for x in range(upload[1]):
            row = int((y + 0.5) / upload[0] * painted.shape[0])
            inside[y, x] = painted[row, int((x + 0.5) / upload[1] * painted.shape[1])]
    np.testing.assert_array_equal(result[~inside], session.upload[~inside])
    changed = (result[inside] != session.upload[inside]).any(-1)
    assert changed.mean() > 0.5


def test_well_inside_an_edit_the_download_is_the_edit() -> None:
    session = session_of((32, 32), (320, 320))
    cells = cells_of(session, (1, 1, 7, 7))
    session = session.propose(draft_of(session, cells, 1, colour=200)).keep()
    assert (session.full_size()[100:220, 100:220] == 200).all()


def test_at_the_working_size_the_download_is_what_was_shown() -> None:
    session = session_of()
    session = session.propose(draft_of(session, cells_of(session, (1, 1, 3, 4)))).keep()
    np.testing.assert_array_equal(session.full_size(), session.current.picture)


def test_without_edits_the_download_is_the_upload() -> None:
    session = session_of(upload=(111, 77))
    np.testing.assert_array_equal(session.full_size(), session.upload)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_an_upload_leaves_no_open_file_behind() -> None:
    def maps() -> set[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return {line.split()[0] for line in lines if "(deleted)" in line}

    # Its own map is followed, not a count: sessions of earlier tests may be let go meanwhile.
    before = maps()
    session = session_of(upload=(500, 500))
    (own,) = maps() - before
    del session
    gc.collect()
    assert own not in maps()


def test_a_full_disk_is_an_error_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Writing to a mapped file for which there is no room would end the process (SIGBUS)."""

    def full(descriptor: int, offset: int, size: int) -> None:
        assert (offset, size) == (0, 8 * 8 * 3)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(OSError, match="No space"):
        Session.of(picture, Snapshot.untouched(picture, np.zeros((2, 2), int), "fake"))
