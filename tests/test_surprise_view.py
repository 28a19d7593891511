"""The view "Surprise" without a browser: bits as they come, kept until there are other codes."""

from __future__ import annotations

import base64
import logging
import math
from typing import Any

import gradio as gr
import numpy as np
import pytest

from demo.filling import SIDE_BY_SIDE
from demo.session import Draft, Origin, Session, Snapshot
from demo.shelf import Shelf
from demo.surprise import Kept, Surprise
from tests.edit_tab import Request
from tests.fake_studio import PARTS, FakeStudio

CANVAS: Any = "canvas"  # stand for themselves, so that updates can be read
KEPT: Any = "kept"


class Visitor(Request):
    def __init__(self, name: str, language: str = "en") -> None:
        super().__init__(language)
        self.session_hash = name


VISITOR = Visitor("a visitor")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def surprise(studio: FakeStudio) -> Surprise:
    return Surprise(Shelf.of(studio), CANVAS, KEPT)


@pytest.fixture
def session(studio: FakeStudio) -> Session:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return Session.of(picture, Snapshot.untouched(picture, studio.encode(picture), "fake"))


def bits_in(update: dict[Any, Any]) -> np.ndarray:
    """The bits (h, w) that an update lays on the canvas, as the browser reads them."""
    data = np.frombuffer(base64.b64decode(update[CANVAS]["heat"]["bits"]), "<u2")
    return np.where(data == 65535, np.nan, data / 256).reshape(8, 12)


def test_bits_are_shown_as_they_come(
    surprise: Surprise, session: Session, studio: FakeStudio
) -> None:
    *updates, last = surprise.show(session, None, "masked", "", VISITOR)
    known = [int((~np.isnan(bits_in(update))).sum()) for update in updates]
    assert known == [0, *(12 * 8 * part // PARTS for part in range(1, PARTS + 1))]
    expected = studio.bits(session.current.codes, "masked", None)
    np.testing.assert_allclose(bits_in(updates[-1]), expected, atol=1 / 256)
    heat = updates[-1][CANVAS]["heat"]
    assert heat["name"] == "Masked transformer" and heat["top"] == math.log2(512) + 3
    np.testing.assert_array_equal(last[KEPT].bits[heat["judge"]], expected)


def test_they_are_for_the_chosen_prior_and_label_and_named_so(
    surprise: Surprise, session: Session, studio: FakeStudio
) -> None:
    visitor = Visitor("another", "ko")
    *_, shown, _ = surprise.show(session, None, "pixelcnn", "castle", visitor)
    assert studio.asked == [("pixelcnn", "castle")]
    expected = studio.bits(session.current.codes, "pixelcnn", "castle")
    np.testing.assert_allclose(bits_in(shown), expected, atol=1 / 256)
    assert shown[CANVAS]["heat"]["name"] == "PixelCNN, castle"  # a class without a message
    *_, shown, _ = surprise.show(session, None, "masked", "forest", visitor)
    assert shown[CANVAS]["heat"]["name"] == "마스크 트랜스포머, 숲"
    # The canvas shows bits under its own judge only: it must be told the same name.
    assert (
        surprise.judge("fake", "masked", "forest")[CANVAS]["judge"]
        == shown[CANVAS]["heat"]["judge"]
    )
    everyone = [(prior, label) for prior in ("masked", "pixelcnn") for label in ("", "forest")]
    assert len({surprise.judge("fake", *who)[CANVAS]["judge"] for who in everyone}) == 4
    pixelcnn = surprise.judge("fake", "pixelcnn", "")
    # Side by side it is whoever judges what the priors make.
    assert surprise.judge("fake", SIDE_BY_SIDE, "")[CANVAS]["judge"] == pixelcnn[CANVAS]["judge"]


def test_what_was_computed_is_kept_until_there_are_other_codes(
    surprise: Surprise, session: Session, studio: FakeStudio
) -> None:
    kept: Kept | None = None
    for prior in ("masked", "pixelcnn", "masked"):
        for update in surprise.show(session, kept, prior, "", VISITOR):
            kept = update.get(KEPT, kept)
    assert studio.asked == [("masked", None), ("pixelcnn", None)]
    codes = session.current.codes
    other = np.where(np.arange(12) < 3, codes, 7)
    cells = np.broadcast_to(np.arange(12) >= 3, codes.shape)
    pictures = session.current.picture[None]
    session = session.propose(Draft(pictures, other[None], cells, (Origin("masked", 0),)))
    *_, shown, last = surprise.show(session, kept, "masked", "", VISITOR)
    np.testing.assert_allclose(bits_in(shown), studio.bits(other, "masked", None), atol=1 / 256)
    assert list(last[KEPT].bits) == [shown[CANVAS]["heat"]["judge"]]


def test_a_newer_question_ends_the_visitors_older_one_and_nobody_elses(
    surprise: Surprise, session: Session
) -> None:
    older = surprise.show(session, None, "masked", "", VISITOR)
    other = surprise.show(session, None, "masked", "", Visitor("somebody else"))
    for job in (older, other):
        next(job)
        next(job)
    newer = surprise.show(session, None, "pixelcnn", "", VISITOR)
    next(newer)
    assert list(older) == []
    assert len(list(other)) == PARTS and len(list(newer)) == PARTS + 1
    assert not surprise._last


def test_a_failure_takes_the_view_back_and_tells_nothing_of_itself(
    surprise: Surprise, session: Session, studio: FakeStudio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.fail_at_part = 2
    seen = []
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as failed:
        for update in surprise.show(session, None, "masked", "", VISITOR):
            seen.append(update)
    assert seen[-1] == {CANVAS: gr.update(heat="")}
    assert "secret" not in str(failed.value) and "secret" in caplog.text
    assert not surprise._last


def test_what_is_not_there_is_refused_or_not_begun(surprise: Surprise, session: Session) -> None:
    (update,) = surprise.show(None, None, "masked", "", VISITOR)
    assert update == {KEPT: None}  # nothing is changed
    with pytest.raises(gr.Error, match="Known: masked, pixelcnn"):
        list(surprise.show(session, None, "oracle", "", VISITOR))
