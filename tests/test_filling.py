"""What the jobs of the Edit tab answer, without a browser."""

from __future__ import annotations

import logging
import math
from itertools import pairwise
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo.codemap import pack_mask
from demo.editor import Editor
from demo.filling import SIDE_BY_SIDE, Filling
from demo.jobs import BALANCED, QUALITIES, Quality, Settings
from demo.session import Session
from demo.text import CATALOGUES
from tests.edit_tab import ENGLISH, KOREAN, filling_of, mask_of, more_like, run, tab_of
from tests.fake_studio import FakeStudio


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture
def filling(studio: FakeStudio) -> Filling:
    return filling_of(tab_of(studio))


@pytest.fixture
def session(studio: FakeStudio) -> Session:
    upload = Image.new("RGB", (64, 32), "teal")
    opened: Session = Editor(tab_of(studio)).open(upload, None, "fake", ENGLISH)["session"]
    return opened


def test_a_job_ends_with_a_session_that_proposes_its_variations(
    filling: Filling, session: Session
) -> None:
    updates = run(filling, session, mask_of(session))
    # Until the last, the session is not touched: whatever stops the job leaves it as it was.
    assert all("session" not in update for update in updates[:-1])
    draft = updates[-1]["session"].draft
    assert [origin.seed for origin in draft.origins] == [5, 6]
    assert draft.cells.sum() == 12 and draft.pictures.shape[0] == 2
    assert updates[0]["seed"] == 5
    assert updates[-1]["decision"]["visible"] and updates[-1]["gallery"]["visible"]
    assert not updates[-1]["stop"]["interactive"] and updates[-1]["resample"]["interactive"]


def test_a_random_seed_is_told_and_used(
    filling: Filling, session: Session, studio: FakeStudio
) -> None:
    updates = run(filling, session, mask_of(session), random_seed=True, seed=None)
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
    filling: Filling, session: Session, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(gr.Error) as refused:
        run(filling, session, mask_of(session), **changes)
    assert message in str(refused.value)
    assert session.draft is None


@pytest.mark.parametrize(("stop", "quality"), list(enumerate(QUALITIES, start=1)))
def test_one_quality_is_steps_for_one_prior_and_particles_for_the_other(
    filling: Filling, session: Session, studio: FakeStudio, stop: int, quality: Quality
) -> None:
    run(filling, session, mask_of(session), quality=stop)
    assert studio.settings is not None
    assert (studio.settings.steps, studio.settings.particles) == (quality.steps, quality.particles)
    for prior, number in (("masked", quality.steps), ("pixelcnn", quality.particles)):
        note = filling.explain("fake", prior, stop, ENGLISH)["quality_note"]
        assert note.startswith(CATALOGUES["en"][f"quality_{quality.name}"])
        assert str(number) in note or "one filling" in note
    both = filling.explain("fake", SIDE_BY_SIDE, stop, KOREAN)["quality_note"]
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
    filling: Filling, session: Session, studio: FakeStudio
) -> None:
    mask = mask_of(session)
    alone = {
        prior: run(filling, session, mask, prior=prior)[-1]["session"].draft
        for prior in ("masked", "pixelcnn")
    }
    *steps, last = run(filling, session, mask, prior=SIDE_BY_SIDE, label="castle")
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
    *_, last = run(filling_of(tab_of(FakeStudio(("masked",)))), session, mask_of(session))
    assert [words for _, words in last["gallery"]["value"]] == ["seed 5", "seed 6"]
    assert "bits" not in last["status"]


def test_without_a_picture_or_a_painted_cell_there_is_a_verdict_in_the_visitors_language(
    filling: Filling, session: Session
) -> None:
    def verdicts(*inputs: Any) -> list[bool]:
        return [verdict["is_valid"] for verdict in filling.ready(*inputs)]

    assert verdicts(session, mask_of(session), ENGLISH) == [True, True]
    assert verdicts(session, None, ENGLISH) == [True, False]
    assert "at least one cell" in filling.ready(session, None, ENGLISH)[1]["message"]
    assert "한 칸 이상" in filling.ready(session, None, KOREAN)[1]["message"]
    assert "Open a picture" in filling.ready(None, mask_of(session), ENGLISH)[1]["message"]
    other = pack_mask(np.ones((3, 3), bool))
    assert "3 × 3" in filling.ready(session, other, ENGLISH)[1]["message"]


def test_a_failure_leaves_the_session_and_tells_nothing_of_itself(
    filling: Filling, session: Session, studio: FakeStudio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.fail_at_step = 2
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as failed:
        run(filling, session, mask_of(session))
    assert "secret" not in str(failed.value) and "Nothing of yours was lost" in str(failed.value)
    assert "secret" in caplog.text
    back = filling.stopped(session, ENGLISH)
    assert back["session"] is session and back["resample"]["interactive"]


def test_more_like_one_keeps_a_share_of_its_codes_and_itself_to_choose_from(
    filling: Filling, session: Session
) -> None:
    waiting = run(filling, session, mask_of(session))[-1]["session"].choose(1)
    parent = waiting.draft
    updates = more_like(filling, waiting, likeness=0.75)
    # The seed alone would not give them again: the field for it is left as it is.
    assert all("seed" not in update and "session" not in update for update in updates[:-1])
    draft = updates[-1]["session"].draft
    assert [(o.seed, o.akin) for o in draft.origins] == [
        (6, None),
        *((seed, 6) for seed in (7, 8, 9, 10)),  # after those there were
    ]
    assert draft.chosen == 1 and updates[-1]["decision"]["visible"]
    np.testing.assert_array_equal(draft.codes[0], parent.codes[1])
    np.testing.assert_array_equal(draft.pictures[0], parent.pictures[1])
    equal = draft.codes[1:] == parent.codes[1]
    assert equal[:, ~draft.cells].all()
    assert (equal[:, draft.cells].sum(1) >= 9).all()  # of twelve
    assert not equal.all((1, 2)).any()
    captions = [words for _, words in updates[-1]["gallery"]["value"]]
    bits = [f"{origin.bits:,.0f} bits" for origin in draft.origins]
    assert (
        captions[0] == f"seed 6 · {bits[0]}" and captions[1] == f"seed 7 · like seed 6 · {bits[1]}"
    )
    assert updates[-1]["status"].startswith("4 variations like seed 6 in ")
    kept = updates[-1]["session"].keep()
    assert filling.stopped(kept, ENGLISH)["strip"]["steps"][-1]["name"] == (
        "Masked transformer, seed 7, like seed 6"
    )
    # And once more, of one of those.
    again = more_like(filling, updates[-1]["session"].choose(3), variations=6)[-1]["session"].draft
    assert [(o.seed, o.akin) for o in again.origins[:2]] == [(9, 6), (11, 9)]
    assert len(again.origins) == 7


@pytest.mark.parametrize("likeness", [0.1, 0.9])
def test_the_more_likeness_the_more_codes_stay(
    filling: Filling, session: Session, likeness: float
) -> None:
    waiting = run(filling, session, pack_mask(np.ones((8, 16), bool)))[-1]["session"]
    draft = more_like(filling, waiting, likeness=likeness, variations=8)[-1]["session"].draft
    equal = (draft.codes[1:] == draft.codes[0]).mean((1, 2))
    assert (np.abs(equal - likeness) < 0.05).all()


def test_more_like_one_under_every_prior_from_new_seeds(
    filling: Filling, session: Session, studio: FakeStudio
) -> None:
    waiting = run(filling, session, mask_of(session), mode="remove")[-1]["session"]
    updates = more_like(filling, waiting, prior=SIDE_BY_SIDE, random_seed=True, mode="remove")
    draft = updates[-1]["session"].draft
    assert [o.prior for o in draft.origins] == ["masked", *["masked", "pixelcnn"] * 4]
    seeds = [origin.seed for origin in draft.origins[1:]]
    assert seeds[0] == seeds[1] == seeds[2] - 1
    assert studio.settings is not None and studio.settings.seed == seeds[0]
    assert studio.settings.mode == "vary"  # what was removed is not there to be blanked again
    for i, origin in enumerate(draft.origins):  # all of them under the judge as it is now
        expected = studio.bits(draft.codes[i], "pixelcnn", None)[draft.cells].sum()
        assert origin.bits == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"likeness": 1.0}, "keep must be a number from 0 to 0.95, not 1.0"),
        ({"likeness": "much"}, "keep must be a number"),
        ({"variations": "many"}, "variations must be a whole number"),
        ({"prior": "oracle"}, "prior 'oracle' is not known"),
    ],
)
def test_wrong_settings_for_more_like_one_are_refused_before_anything_changes(
    filling: Filling, session: Session, changes: dict[str, Any], message: str
) -> None:
    waiting = run(filling, session, mask_of(session))[-1]["session"]
    with pytest.raises(gr.Error) as refused:
        more_like(filling, waiting, **changes)
    assert message in str(refused.value)


def test_without_a_variation_there_is_nothing_to_make_more_like(
    filling: Filling, session: Session
) -> None:
    for nothing in (None, session):
        with pytest.raises(gr.Error, match="There is no variation to make more like"):
            more_like(filling, nothing)


def test_a_failure_of_more_like_one_keeps_the_variations_there_were(
    filling: Filling, session: Session, studio: FakeStudio
) -> None:
    waiting = run(filling, session, mask_of(session))[-1]["session"].choose(1).compare(0)
    studio.fail_at_step = 2
    with pytest.raises(gr.Error, match="Nothing of yours was lost"):
        more_like(filling, waiting)
    back = filling.stopped(waiting, ENGLISH)
    assert back["session"] is waiting and back["decision"]["visible"]
    assert back["gallery"]["selected_index"] == 1 and back["strip"]["reference"] == 0
    assert "value" not in back["canvas"]  # the painted region stays as it is
