"""Comparing as was chosen: in what order, what is told on the way, and what a failure leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from demo import contenders, contest
from demo.contenders import Choice, Results, searched
from demo.shelf import Shelf
from tests.fake_studio import FakeStudio


class Counting(FakeStudio):
    """Counts how often a picture is coded."""

    coded = 0

    def encode(self, picture: np.ndarray) -> np.ndarray:
        self.coded += 1
        return super().encode(picture)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (32, 48, 3), dtype=np.uint8)


def run(shelf: Shelf, known: Results, choice: Choice) -> tuple[Results, list[str]]:
    states = list(contest.contest(shelf, known, choice, "en"))
    return states[-1][0], [text for _, text in states]


def test_it_tells_how_far_it_is_and_ends_with_everything(picture: np.ndarray) -> None:
    choice = Choice(("fake", "coarse"), ("jpeg", "webp"))
    shelf = Shelf.of(FakeStudio(), FakeStudio(priors=(), name="coarse", stride=8))
    results, texts = run(shelf, Results(picture), choice)
    assert results.complete and list(results.shown) == ["fake", "coarse", "jpeg", "webp"]
    counted = [f"Comparing at 48 × 32 pixels: {done} of 4 …" for done in range(5)]
    assert texts[:5] == counted
    read = [text.split(": ")[1] for text in texts if "prior of fake" in text]
    assert read == ["0% …", "25% …", "50% …", "75% …", "100% …"]
    assert texts[-1].startswith("Compared at 48 × 32 pixels")
    codes = FakeStudio().encode(picture)
    assert results.prior_bits == {"fake": pytest.approx((codes % 13 + 0.5).sum()), "coarse": None}


def test_searched_codes_stand_beside_the_nearest(picture: np.ndarray) -> None:
    choice = Choice(("fake", "coarse"), ("webp",), search=True)
    shelf = Shelf.of(FakeStudio(), FakeStudio(priors=(), name="coarse", stride=8))
    results, texts = run(shelf, Results(picture), choice)
    assert results.complete and not replace(results, choice=Choice(("else",), ())).complete
    assert list(results.shown) == [
        *("fake", searched("fake"), "coarse", searched("coarse"), "webp")
    ]
    told = [text.split(": ")[1] for text in texts if "codes of fake that decode better" in text]
    assert told == ["0% …", "50% …", "100% …", "100% …"]
    for name, stride in (("fake", 4), ("coarse", 8)):
        nearest, found = results.by_codes[name], results.by_codes[searched(name)]
        assert nearest.changed is None
        assert found.changed == pytest.approx(stride**2 / picture[..., 0].size)  # one code
        assert found.use is not None and nearest.use is not None and found.bits == nearest.bits
        assert np.argwhere(found.use.codes != nearest.use.codes).tolist() == [[0, 0]]
        assert (found.picture[:stride, :stride] != nearest.picture[:stride, :stride]).any()
        assert (found.picture[stride:] == nearest.picture[stride:]).all()
    # The prior has read the searched map, not the nearest once more.
    codes = results.by_codes[searched("fake")].use.codes  # type: ignore[union-attr]
    assert results.prior_bits[searched("fake")] == pytest.approx((codes % 13 + 0.5).sum())
    # Without them, what is known of them is kept, and not shown.
    again, texts = run(shelf, results, replace(choice, search=False))
    assert list(again.shown) == ["fake", "coarse", "webp"] and len(again.by_codes) == 4
    assert not any("decode better" in text for text in texts)


def test_whoever_ends_it_has_lost_nothing(picture: np.ndarray) -> None:
    """However early: what was known is not worked out again, and in the end it is all the same."""
    choice = Choice(("counting",), ("webp",))
    whole, texts = run(Shelf.of(Counting(name="counting")), Results(picture), choice)
    for steps in range(1, len(texts)):
        studio = Counting(name="counting")
        job = contest.contest(Shelf.of(studio), Results(picture), choice, "en")
        for _ in range(steps):
            known, _text = next(job)
        job.close()
        assert studio.coded == len(known.by_codes)
        results, _texts = run(Shelf.of(studio), known, choice)
        assert studio.coded == 1 and results.complete
        assert results.prior_bits == whole.prior_bits and results.curves == whole.curves
        assert results.by_codec.keys() == whole.by_codec.keys()


@pytest.mark.parametrize("broken", ["encode_to_bytes", "encode_at"])
def test_a_codec_that_fails_takes_nothing_along_and_is_tried_again(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    whole = getattr(contenders, broken)

    def fails(*arguments: object) -> object:
        if arguments[-1] == "jpeg":
            raise OSError("secret detail of a broken codec")
        return whole(*arguments)

    monkeypatch.setattr(contenders, broken, fails)
    shelf, choice = Shelf.of(FakeStudio()), Choice(("fake",), ("jpeg", "webp"))
    results, _texts = run(shelf, Results(picture), choice)
    assert not results.complete and list(results.failed) == ["jpeg"]
    assert "secret" not in results.failed["jpeg"]
    assert {"fake", "webp"} <= results.shown.keys() and "webp" in results.curves
    assert "fake" in results.prior_bits
    monkeypatch.setattr(contenders, broken, whole)
    again, _texts = run(shelf, results, choice)
    assert again.complete and not again.failed


def test_a_prior_that_fails_is_tried_again(picture: np.ndarray) -> None:
    studio, choice = FakeStudio(), Choice(("fake",), ())
    studio.fail_at_part = 3
    results, _texts = run(Shelf.of(studio), Results(picture), choice)
    assert list(results.failed) == ["fake"] and results.prior_bits == {}
    studio.fail_at_part = None
    results, _texts = run(Shelf.of(studio), results, choice)
    assert results.complete and not results.failed
