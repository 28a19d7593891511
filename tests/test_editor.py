"""What each action of the Edit tab answers, without a browser."""

from __future__ import annotations

import dataclasses
import logging
import math
from itertools import pairwise
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo.codemap import pack_mask
from demo.edit_view import EditParts, close_ups
from demo.editor import SIDE_BY_SIDE, Editor, guarded
from demo.jobs import BALANCED, QUALITIES, Quality, Settings
from demo.session import Session
from demo.text import CATALOGUES
from tests.fake_studio import FakeStudio

DEFAULTS: dict[str, Any] = {
    "prior": "masked",
    "mode": "vary",
    "quality": BALANCED,
    "variations": 2,
    "seed": 5,
    "random_seed": False,
    "label": "",
    "guidance": 1.0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
}


class Request(gr.Request):
    def __init__(self, language: str) -> None:
        self.headers = {"accept-language": language}


ENGLISH, KOREAN = Request("en"), Request("ko-KR")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def editor(studio: FakeStudio) -> Editor:
    """Its parts are their own names, so that its updates can be read."""
    parts: Any = {field.name: field.name for field in dataclasses.fields(EditParts)}
    return Editor(studio, EditParts(**parts))


@pytest.fixture
def session(editor: Editor) -> Session:
    opened: Session = editor.open(Image.new("RGB", (64, 32), "teal"), None, ENGLISH)["session"]
    return opened


def mask_of(session: Session) -> dict[str, Any]:
    cells = np.zeros(session.current.codes.shape, bool)
    cells[2:4, 3:9] = True
    return pack_mask(cells)


def run(editor: Editor, session: Session | None, mask: object, **changes: Any) -> list[Any]:
    settings = {**DEFAULTS, **changes}
    inputs: list[Any] = [session, mask, *settings.values(), ENGLISH]
    return list(editor.resample(*inputs))


def test_a_job_ends_with_a_session_that_proposes_its_variations(
    editor: Editor, session: Session
) -> None:
    updates = run(editor, session, mask_of(session))
    # Until the last, the session is not touched: whatever stops the job leaves it as it was.
    assert all("session" not in update for update in updates[:-1])
    draft = updates[-1]["session"].draft
    assert [origin.seed for origin in draft.origins] == [5, 6]
    assert draft.cells.sum() == 12 and draft.pictures.shape[0] == 2
    assert updates[0]["seed"] == 5
    assert updates[-1]["decision"]["visible"] and updates[-1]["gallery"]["visible"]
    assert not updates[-1]["stop"]["interactive"] and updates[-1]["resample"]["interactive"]


def test_a_random_seed_is_told_and_used(
    editor: Editor, session: Session, studio: FakeStudio
) -> None:
    updates = run(editor, session, mask_of(session), random_seed=True, seed=None)
    assert studio.settings is not None
    assert updates[0]["seed"] == studio.settings.seed
    assert str(studio.settings.seed) in updates[-1]["status"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": math.nan}, "temperature must be a number from 0.05 to 5, not nan"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, not -1"),
        ({"seed": None}, "seed must be a whole number"),
        ({"variations": 9}, "variations must be a whole number from 1 to 8, not 9"),
        ({"mode": "<b>"}, "mode '&lt;b&gt;' is not known. Known: vary, remove."),
        ({"prior": "oracle"}, "prior 'oracle' is not known. Known: masked, pixelcnn."),
        ({"quality": 6}, "quality must be a whole number from 1 to 5, not 6"),
        ({"quality": None}, "quality must be a whole number"),
    ],
)
def test_wrong_settings_are_refused_before_anything_changes(
    editor: Editor, session: Session, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(gr.Error) as refused:
        run(editor, session, mask_of(session), **changes)
    assert message in str(refused.value)
    assert session.draft is None


@pytest.mark.parametrize(("stop", "quality"), list(enumerate(QUALITIES, start=1)))
def test_one_quality_is_steps_for_one_prior_and_particles_for_the_other(
    editor: Editor, session: Session, studio: FakeStudio, stop: int, quality: Quality
) -> None:
    run(editor, session, mask_of(session), quality=stop)
    assert studio.settings is not None
    assert (studio.settings.steps, studio.settings.particles) == (quality.steps, quality.particles)
    for prior, number in (("masked", quality.steps), ("pixelcnn", quality.particles)):
        note = editor.explain(prior, stop, ENGLISH)["quality_note"]
        assert note.startswith(CATALOGUES["en"][f"quality_{quality.name}"])
        assert str(number) in note or "one filling" in note
    both = editor.explain(SIDE_BY_SIDE, stop, KOREAN)["quality_note"]
    assert "마스크 트랜스포머" in both and "PixelCNN" in both
    assert (f"{quality.particles}개" in both) == (quality.particles > 1)


def test_qualities_take_more_and_more_of_what_settings_allow() -> None:
    assert 3 <= len(QUALITIES) <= 5
    for less, more in pairwise(QUALITIES):
        assert less.steps < more.steps and less.particles < more.particles
    for quality in QUALITIES:
        Settings(steps=quality.steps, particles=quality.particles)
    balanced = QUALITIES[BALANCED - 1]
    assert (balanced.steps, balanced.particles) == (Settings.steps, Settings.particles)


def test_side_by_side_every_prior_fills_the_same_hole_from_the_same_seeds(
    editor: Editor, session: Session, studio: FakeStudio
) -> None:
    mask = mask_of(session)
    alone = {
        prior: run(editor, session, mask, prior=prior)[-1]["session"].draft
        for prior in ("masked", "pixelcnn")
    }
    *steps, last = run(editor, session, mask, prior=SIDE_BY_SIDE, label="castle")
    draft = last["session"].draft
    assert [(o.prior, o.seed) for o in draft.origins] == [
        ("masked", 5),
        ("pixelcnn", 5),
        ("masked", 6),
        ("pixelcnn", 6),
    ]
    for i, origin in enumerate(draft.origins):
        one = alone[origin.prior]
        np.testing.assert_array_equal(draft.codes[i], one.codes[origin.seed - 5])
        np.testing.assert_array_equal(draft.pictures[i], one.pictures[origin.seed - 5])
        # One and the same judge, which is told the label.
        expected = studio.bits(draft.codes[i], "pixelcnn", "castle")[draft.cells].sum()
        assert origin.bits == pytest.approx(expected)
    captions = [words for _, words in last["gallery"]["value"]]
    assert captions[1] == f"PixelCNN · seed 5 · {draft.origins[1].bits:,.0f} bits"
    assert captions[2].startswith("Masked transformer · seed 6 · ")
    assert "4 variations" in last["status"] and "PixelCNN" in last["status"]
    told = [update["status"] for update in steps if "status" in update]
    assert any("Masked transformer, step 12 of 12" in text for text in told)
    assert any("PixelCNN, row 2 of 2" in text for text in told)

    def kept(index: int) -> np.ndarray:
        codes: np.ndarray = last["session"].choose(index).keep().current.codes
        return codes

    np.testing.assert_array_equal(kept(3), draft.codes[3])


def test_with_one_prior_there_are_seeds_to_choose_by_and_nobody_to_judge(
    session: Session,
) -> None:
    parts: Any = {field.name: field.name for field in dataclasses.fields(EditParts)}
    *_, last = run(Editor(FakeStudio(("masked",)), EditParts(**parts)), session, mask_of(session))
    assert [words for _, words in last["gallery"]["value"]] == ["seed 5", "seed 6"]
    assert "bits" not in last["status"]


def test_without_a_picture_or_a_painted_cell_there_is_a_verdict_in_the_visitors_language(
    editor: Editor, session: Session
) -> None:
    def verdicts(*inputs: Any) -> list[bool]:
        return [verdict["is_valid"] for verdict in editor.ready(*inputs)]

    assert verdicts(session, mask_of(session), ENGLISH) == [True, True]
    assert verdicts(session, None, ENGLISH) == [True, False]
    assert "at least one cell" in editor.ready(session, None, ENGLISH)[1]["message"]
    assert "한 칸 이상" in editor.ready(session, None, KOREAN)[1]["message"]
    assert "Open a picture" in editor.ready(None, mask_of(session), ENGLISH)[1]["message"]
    other = pack_mask(np.ones((3, 3), bool))
    assert "3 × 3" in editor.ready(session, other, ENGLISH)[1]["message"]


def test_a_failure_leaves_the_session_and_tells_nothing_of_itself(
    editor: Editor, session: Session, studio: FakeStudio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.fail_at_step = 2
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as failed:
        run(editor, session, mask_of(session))
    assert "secret" not in str(failed.value) and "Nothing of yours was lost" in str(failed.value)
    assert "secret" in caplog.text
    back = editor.stopped(session, ENGLISH)
    assert back["session"] is session and back["resample"]["interactive"]


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


def test_actions_without_a_session_are_harmless(editor: Editor) -> None:
    for action in (editor.keep, editor.discard, editor.undo, editor.redo, editor.stopped):
        updates = action(None, ENGLISH)
        assert updates["session"] is None and not updates["resample"]["interactive"]
    with pytest.raises(gr.Error, match="Open a picture"):
        editor.save(None, ENGLISH)


def stroke(
    editor: Editor, session: Session | None, code: object, mask: object, language: Request = ENGLISH
) -> dict[str, Any]:
    sent = {"number": 3, "code": code, "cells": mask}
    updates: dict[str, Any] = editor.brush(session, gr.EventData(None, sent), language)
    return updates


def test_a_stroke_of_the_code_brush_is_one_step(
    editor: Editor, session: Session, studio: FakeStudio
) -> None:
    updates = stroke(editor, session, 77, mask_of(session))
    painted = updates["session"]
    cells = painted.current.edited
    assert painted.position == 1 and cells.sum() == 12
    np.testing.assert_array_equal(painted.current.codes, np.where(cells, 77, session.current.codes))
    colour = studio.decode(np.array([[77]]))[0, 0]
    inside = cells.repeat(4, 0).repeat(4, 1)
    assert (painted.current.picture[inside] == colour).all()
    np.testing.assert_array_equal(
        painted.current.picture[~inside], session.current.picture[~inside]
    )
    assert updates["canvas"]["answered"] == 3 and updates["undo"]["interactive"]
    assert updates["status"] == "Code 77 painted on 12 cells: edit 1 of 1."
    back = editor.undo(painted, ENGLISH)["session"]
    assert back.current is session.current
    assert editor.redo(back, ENGLISH)["session"].current is painted.current


def test_a_stroke_on_a_variation_keeps_it(editor: Editor, session: Session) -> None:
    proposed = run(editor, session, mask_of(session))[-1]["session"].choose(1)
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
    ("code", "mask", "message"),
    [
        (512, None, "code must be a whole number from 0 to 511, not 512."),
        (-1, None, "code must be a whole number from 0 to 511, not -1."),
        (1.5, None, "code must be a whole number from 0 to 511, not 1.5."),
        ("<b>", None, "not '&lt;b&gt;'."),
        (3, EMPTY, "Paint at least one cell of the picture first."),
        (3, {"mask": "AAAA", "rows": 4, "cols": 4}, "The mask does not fit this picture."),
    ],
)
def test_a_stroke_that_cannot_be_is_refused_and_taken_off_the_canvas(
    editor: Editor,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    code: object,
    mask: object,
    message: str,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    updates = stroke(editor, session, code, mask or mask_of(session))
    assert message in told[0]
    assert set(updates) == {"canvas"} and updates["canvas"]["answered"] == 3


def test_a_stroke_without_a_picture_is_refused_in_the_visitors_language(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    stroke(editor, None, 3, EMPTY, KOREAN)
    assert told == [CATALOGUES["ko"]["error_no_picture"]]


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
