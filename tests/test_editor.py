"""What each action of the Edit tab answers, without a browser."""

from __future__ import annotations

import base64
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo.codemap import pack_mask
from demo.edit_view import close_ups
from demo.editor import Editor
from demo.filling import Filling
from demo.history import NOBODY
from demo.session import Made, Session
from demo.text import CATALOGUES
from demo.toasts import guarded
from tests.edit_tab import ENGLISH, KOREAN, filling_of, mask_of, run, tab_of
from tests.fake_studio import CHECKPOINT, FakeStudio


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def editor(studio: FakeStudio) -> Editor:
    return Editor(tab_of(studio))


@pytest.fixture
def filling(studio: FakeStudio) -> Filling:
    return filling_of(tab_of(studio))


@pytest.fixture
def session(editor: Editor) -> Session:
    opened: Session = editor.open(Image.new("RGB", (64, 32), "teal"), None, "fake", ENGLISH)[
        "session"
    ]
    return opened


def test_errors_that_nobody_foresaw_become_a_toast_in_the_visitors_language() -> None:
    def broken(session: object, request: gr.Request) -> Any:
        raise OSError("/secret/path")

    with pytest.raises(gr.Error) as failed:
        guarded(broken)(None, KOREAN)
    assert "서버에서" in str(failed.value) and "secret" not in str(failed.value)

    def refusing(request: gr.Request) -> Any:
        raise gr.Error("foreseen")

    with pytest.raises(gr.Error, match="foreseen"):
        guarded(refusing)(ENGLISH)


def test_actions_without_a_session_are_harmless(editor: Editor, filling: Filling) -> None:
    for action in (editor.keep, editor.discard, editor.undo, editor.redo, filling.stopped):
        updates = action(None, ENGLISH)
        assert updates["session"] is None and not updates["resample"]["interactive"]


def stroke(
    editor: Editor,
    session: Session | None,
    codes: object,
    cells: object,
    language: gr.Request = ENGLISH,
    **changes: object,
) -> dict[str, Any]:
    """What the canvas sends: `codes` are one for all cells, one each, or anything else."""
    if isinstance(codes, int | list):
        codes = base64.b64encode(np.atleast_1d(codes).astype("<u2").tobytes()).decode()
    sent = {"number": 3, "codes": codes, "cells": cells, "checkpoint": CHECKPOINT}
    updates: dict[str, Any] = editor.brush(session, gr.EventData(None, sent | changes), language)
    return updates


def test_a_stroke_of_the_code_brush_is_one_step(
    editor: Editor, session: Session, studio: FakeStudio
) -> None:
    updates = stroke(editor, session, 77, mask_of(session))
    painted = updates["session"]
    inside = painted.current.edited
    cells = inside[::4, ::4]
    assert painted.position == 1 and cells.sum() == 12
    np.testing.assert_array_equal(painted.current.codes, np.where(cells, 77, session.current.codes))
    colour = studio.decode(np.array([[77]]))[0, 0]
    np.testing.assert_array_equal(inside, cells.repeat(4, 0).repeat(4, 1))
    assert (painted.current.picture[inside] == colour).all()
    np.testing.assert_array_equal(
        painted.current.picture[~inside], session.current.picture[~inside]
    )
    assert painted.current.made == Made("brushed", cells=12, code=77)
    assert updates["canvas"]["answered"] == 3 and updates["undo"]["interactive"]
    assert updates["status"] == "Code 77 painted on 12 cells: edit 1 of 1."
    back = editor.undo(painted, ENGLISH)["session"]
    assert back.current is session.current
    assert editor.redo(back, ENGLISH)["session"].current is painted.current


def test_a_stroke_on_a_variation_keeps_it(
    editor: Editor, filling: Filling, session: Session
) -> None:
    proposed = run(filling, session, mask_of(session))[-1]["session"].choose(1)
    cells = np.zeros(session.current.codes.shape, bool)
    cells[0, 0] = True
    painted = stroke(editor, proposed, 9, pack_mask(cells))["session"]
    assert painted.draft is None and painted.position == 2
    np.testing.assert_array_equal(painted.history[1].picture, proposed.shown[0])
    expected = proposed.shown[1].copy()
    expected[0, 0] = 9
    np.testing.assert_array_equal(painted.current.codes, expected)


EMPTY = pack_mask(np.zeros((8, 16), bool))


@pytest.mark.parametrize(
    ("codes", "changes", "message"),
    [
        (512, {}, "That cannot be done: Codes go from 0 to 511, so there is no 512."),
        ([7, 8, 600, *[9] * 9], {}, "so there is no 600."),
        ([7, 8], {}, "must be 32 characters of base64 for 12 cells, not 8."),
        (1.5, {}, "The list of codes must be a text, not of type float."),
        ("<b>&", {}, "The list of codes is not base64 of 2 bytes."),
        (None, {}, "The list of codes must be a text"),
        (3, {"checkpoint": "<b>"}, "These codes were made by checkpoint '&lt;b&gt;'; loaded is"),
        (3, {"checkpoint": None}, "These codes were made by checkpoint None; loaded is"),
        (3, {"cells": EMPTY}, "Paint at least one cell of the picture first."),
        (3, {"cells": None}, "Paint at least one cell of the picture first."),
        (3, {"cells": {"mask": "AAAA", "rows": 4, "cols": 4}}, "The mask does not fit this"),
    ],
)
def test_codes_that_cannot_be_laid_are_refused_and_taken_off_the_canvas(
    editor: Editor,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    codes: object,
    changes: dict[str, object],
    message: str,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    updates = stroke(editor, session, codes, **{"cells": mask_of(session)} | changes)
    assert message in told[0]
    assert set(updates) == {"canvas"} and updates["canvas"]["answered"] == 3


def test_a_request_without_anything_is_refused(
    editor: Editor, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    assert set(editor.brush(session, gr.EventData(None, {}), ENGLISH)) == {"canvas"}
    assert told == [CATALOGUES["en"]["error_no_cells"]]


def test_a_model_that_breaks_loses_nothing(
    editor: Editor, session: Session, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    monkeypatch.setattr(studio, "render", lambda *_: [].pop())
    updates = stroke(editor, session, 3, mask_of(session))
    assert told == [CATALOGUES["en"]["error_unexpected"]]
    assert set(updates) == {"canvas"} and updates["canvas"]["answered"] == 3


def test_a_paste_gives_each_cell_its_own_code_in_one_step(
    editor: Editor, session: Session, studio: FakeStudio
) -> None:
    given = list(range(100, 112))
    updates = stroke(editor, session, given, mask_of(session))
    pasted = updates["session"]
    expected = session.current.codes.copy()
    for code, place in zip(given, [(r, c) for r in (2, 3) for c in range(3, 9)], strict=True):
        expected[place] = code
    np.testing.assert_array_equal(pasted.current.codes, expected)
    inside = np.zeros((8, 16), bool)
    inside[2:4, 3:9] = True
    inside = inside.repeat(4, 0).repeat(4, 1)
    decoded = studio.decode(expected)
    np.testing.assert_array_equal(pasted.current.picture[inside], decoded[inside])
    np.testing.assert_array_equal(pasted.current.picture[~inside], session.current.picture[~inside])
    assert pasted.position == 1 and updates["canvas"]["answered"] == 3
    assert updates["status"] == "12 codes pasted: edit 1 of 1."
    assert editor.undo(pasted, ENGLISH)["session"].current is session.current


def test_a_stroke_without_a_picture_is_refused_in_the_visitors_language(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    stroke(editor, None, 3, EMPTY, KOREAN)
    assert told == [CATALOGUES["ko"]["error_no_picture"]]


def pressed(number: object) -> gr.EventData:
    return gr.EventData(None, {"number": number})


def brushed(editor: Editor, session: Session, *codes: int) -> Session:
    for code in codes:
        session = stroke(editor, session, code, mask_of(session))["session"]
    return session


def test_the_strip_has_every_step_in_the_visitors_language(
    editor: Editor, filling: Filling, session: Session
) -> None:
    kept = editor.keep(run(filling, session, mask_of(session))[-1]["session"], ENGLISH)["session"]
    updates = editor.undo(brushed(editor, kept, 77), KOREAN)
    strip = updates["strip"]
    assert [(one["number"], one["name"]) for one in strip["steps"]] == [
        (0, "연 사진"),
        (1, "마스크 트랜스포머, 시드 5"),
        (2, "코드 77"),
    ]
    assert (strip["current"], strip["reference"], strip["waiting"]) == (1, NOBODY, False)
    again = editor.redo(updates["session"], ENGLISH)["strip"]
    assert [one["name"] for one in again["steps"]] == [
        "Opened",
        "Masked transformer, seed 5",
        "Code 77",
    ]


def test_a_step_that_is_pressed_is_gone_to(editor: Editor, session: Session) -> None:
    session = brushed(editor, session, 1, 2, 3)
    updates = editor.jump(session, pressed(1), ENGLISH)
    assert updates["session"].current is session.history[1]
    assert updates["undo"]["interactive"] and updates["redo"]["interactive"]
    assert updates["strip"]["current"] == 1 and len(updates["strip"]["steps"]) == 4
    assert updates["status"] == "You are at edit 1 of 3."
    # Undo and redo go on from there.
    assert editor.undo(updates["session"], ENGLISH)["session"].current is session.history[0]
    assert editor.redo(updates["session"], ENGLISH)["session"].current is session.history[2]


def test_while_variations_wait_no_step_is_gone_to_but_any_is_compared_with(
    editor: Editor, filling: Filling, session: Session
) -> None:
    waiting = run(filling, brushed(editor, session, 1), mask_of(session))[-1]
    assert waiting["strip"]["waiting"]
    updates = editor.jump(waiting["session"], pressed(0), ENGLISH)
    assert updates["session"] is waiting["session"] and "status" not in updates
    compared = editor.compare(waiting["session"], pressed(0), ENGLISH)
    assert compared["strip"]["reference"] == 0 and compared["decision"]["visible"]
    left, right = compared["slider"]["value"]
    np.testing.assert_array_equal(left, session.current.picture)
    np.testing.assert_array_equal(right, waiting["session"].draft.pictures[0])
    label = compared["slider"]["label"]
    assert label == "Left: Opened · right: 2. Masked transformer, seed 5"
    # The draft and the comparison outlast a job that fails or is stopped.
    stopped = filling.stopped(compared["session"], ENGLISH)
    assert stopped["session"].draft is waiting["session"].draft
    assert stopped["strip"]["reference"] == 0 and stopped["slider"]["label"] == label
    assert stopped["decision"]["visible"] and not stopped["strip"]["disabled"]


def test_any_two_steps_are_compared_and_named(editor: Editor, session: Session) -> None:
    updates = editor.jump(brushed(editor, session, 1, 2, 3), pressed(2), KOREAN)
    assert updates["slider"]["label"] == "왼쪽: 1. 코드 1 · 오른쪽: 2. 코드 2"  # the latest change
    compared = editor.compare(updates["session"], pressed(3), KOREAN)
    history = updates["session"].history
    assert compared["slider"]["label"] == "왼쪽: 3. 코드 3 · 오른쪽: 2. 코드 2"
    for picture, step in zip(compared["slider"]["value"], (3, 2), strict=True):
        np.testing.assert_array_equal(picture, history[step].picture)
    ended = editor.compare(compared["session"], pressed(NOBODY), KOREAN)
    assert ended["strip"]["reference"] == NOBODY
    assert ended["slider"]["label"] == updates["slider"]["label"]
    # At the first step there is nothing before it to compare with, until a step is chosen.
    first = editor.jump(ended["session"], pressed(0), KOREAN)
    assert not first["result"]["visible"]
    assert editor.compare(first["session"], pressed(2), KOREAN)["result"]["visible"]


@pytest.mark.parametrize("number", [7, -3, None, "1", {"a": 1}, float("nan")])
def test_a_step_that_is_not_there_is_refused(
    editor: Editor, session: Session, number: object
) -> None:
    actions = [editor.jump] if number is None else [editor.jump, editor.compare]
    for action in actions:
        with pytest.raises(gr.Error, match="no such step in the history"):
            action(brushed(editor, session, 1), pressed(number), ENGLISH)
        assert action(None, pressed(number), ENGLISH)["session"] is None
    with pytest.raises(gr.Error, match="no such step"):
        editor.jump(session, gr.EventData(None, {}), ENGLISH)


def test_while_a_job_runs_the_strip_cannot_be_pressed(filling: Filling, session: Session) -> None:
    assert filling.wait(session, None, ENGLISH)["strip"]["disabled"]


def test_nothing_to_undo_is_not_told_as_undone(editor: Editor, session: Session) -> None:
    for action in (editor.undo, editor.redo):
        updates = action(session, ENGLISH)
        assert updates["session"] is session and "status" not in updates


def test_close_ups_are_squares_that_hold_everything_painted() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        rows, columns = generator.integers(1, 40, 2)
        cells = np.zeros((rows, columns), bool)
        top, left = generator.integers(0, rows), generator.integers(0, columns)
        height, width = (
            generator.integers(1, rows - top + 1),
            generator.integers(1, columns - left + 1),
        )
        cells[top : top + height, left : left + width] = True
        # Every pixel says where it is, so that a cut can be placed.
        y, x = np.mgrid[0 : rows * 4, 0 : columns * 4]
        picture = np.stack([y, x, cells[y // 4, x // 4]], -1).astype(np.uint8)
        (cut,) = close_ups(picture[None], cells)
        assert cut.shape[0] == cut.shape[1] <= min(rows, columns) * 4
        if max(height, width) <= 0.6 * min(rows, columns):
            assert cut[..., 2].sum() == cells.sum() * 16


def test_another_checkpoint_writes_the_same_picture_in_its_codes_as_one_more_step() -> None:
    small = FakeStudio()
    large = FakeStudio(priors=(), name="large", checkpoint="ba9876543210", stride=8)
    tab = tab_of(small, large)
    editor, filling = Editor(tab), filling_of(tab)
    upload = Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 60, 3), np.uint8))
    opened = editor.open(upload, None, "fake", ENGLISH)["session"]
    painted = stroke(editor, opened, 77, mask_of(opened))["session"]
    updates = editor.switch(painted, "large", ENGLISH)
    switched = updates["session"]
    assert updates["model"] == switched.current.model == "large"
    # 36 × 60 pixels are no multiple of 8: the nearest size that is.
    assert switched.current.picture.shape == (32, 64, 3) and switched.current.codes.shape == (4, 8)
    np.testing.assert_array_equal(switched.current.codes, large.encode(switched.current.picture))
    assert 0.8 < switched.current.edited.sum() / painted.current.edited.sum() < 1.2
    assert "4 × 8 of 512 codes" in updates["status"] and "8 × 8 pixels" in updates["status"]
    # The step before it is compared at the same size.
    left, right = updates["slider"]["value"]
    assert left.shape == right.shape == (32, 64, 3)
    assert updates["slider"]["label"] == "Left: 1. Code 77 · right: 2. Codes of large"
    # The stroke, which is the only edit, is in the download at the upload's size; the rest is not.
    saved = switched.full_size()
    np.testing.assert_array_equal(saved[0], np.asarray(upload)[0])
    # It has no prior: painting it goes on, resampling is refused before it begins.
    verdict = filling.ready(switched, mask_of(switched), ENGLISH)[1]
    assert not verdict["is_valid"] and "large has no prior" in verdict["message"]
    assert "large has no prior" in filling.explain("large", None, 3, ENGLISH)["quality_note"]
    # Codes that were copied under the other checkpoint mean something else here.
    assert "session" not in stroke(editor, switched, 5, mask_of(switched))
    again = stroke(editor, switched, 5, mask_of(switched), checkpoint=large.checkpoint)["session"]
    assert again.current.model == "large"
    back = editor.undo(editor.undo(again, ENGLISH)["session"], ENGLISH)
    assert back["model"] == "fake" and back["session"].current is painted.current


def test_a_checkpoint_that_is_not_there_changes_nothing(editor: Editor, session: Session) -> None:
    with pytest.raises(gr.Error, match="model '&lt;b&gt;' is not known"):
        guarded(editor.switch)(session, "<b>", ENGLISH)
    assert editor.switch(session, "fake", ENGLISH)["session"] is session
