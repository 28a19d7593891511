"""Choosing among priors, and what surprises them, in a real browser on a studio without models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_studio import FakeStudio
from tests.running_app import running_app

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.test_app_browser import (
    at,
    canvas_of,
    choose,
    expect_canvas,
    paint,
    photograph,
    set_variations,
    status,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

OpenPage = Callable[..., "Page"]


@pytest.fixture(autouse=True)
def calm(studio: FakeStudio) -> None:
    studio.hold_at_part = studio.fail_at_part = None
    studio.asked.clear()


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return photograph(tmp_path / "photo.png")


def set_quality(page: Page, stop: int) -> None:
    """By keys, as the slider goes by words and has no field for a number."""
    slider = page.locator("#quality input[type=range]")
    slider.focus()
    slider.press("Home")
    for _ in range(stop - 1):
        slider.press("ArrowRight")


def legend(page: Page) -> Locator:
    return page.locator("#canvas .codemap-legend")


def look(page: Page, view: str) -> None:
    page.locator(f"#canvas [data-view={view}]").click()


def test_the_note_says_what_the_quality_means_for_the_prior(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    note = page.locator("#quality-note")
    # There is a choice, so it is to be seen without opening anything.
    expect(page.locator("#prior")).to_be_visible()
    expect(note).to_contain_text("Balanced. Masked transformer: 12 steps to fill")
    page.get_by_label("PixelCNN").check()
    expect(note).to_contain_text("Balanced. PixelCNN: 8 fillings grow side by side")
    set_quality(page, 1)
    expect(note).to_contain_text("Quick. PixelCNN: one filling")
    set_quality(page, 5)
    page.get_by_label("Side by side").check()
    expect(note).to_contain_text("Thorough. Masked transformer: 48 steps to fill")
    expect(note).to_contain_text("PixelCNN: 32 fillings")
    expect(page.locator("#quality input[type=number]")).to_be_hidden()


def test_both_priors_side_by_side_to_choose_and_keep(
    open_page: OpenPage, url: str, upload: Path
) -> None:
    page = open_page(url)
    choose(page, upload)
    paint(page, (10, 10), (14, 30))
    original = canvas_of(page)
    page.get_by_label("Side by side").check()
    set_quality(page, 2)
    set_variations(page, 2)
    page.click("#resample")
    expect(status(page)).to_contain_text("4 variations of")
    expect(status(page)).to_contain_text("Bits are what each costs PixelCNN")
    captions = page.locator("#gallery .caption-label")
    expect(captions).to_have_count(4)
    told = [
        re.fullmatch(r"(.+) · seed (\d+) · ([\d,]+) bits", words)
        for words in captions.all_inner_texts()
    ]
    assert [match and match[1] for match in told] == ["Masked transformer", "PixelCNN"] * 2
    first = int(told[0][2]) if told[0] else -1
    assert [match and int(match[2]) for match in told] == [first, first, first + 1, first + 1]
    for caption in captions.all():  # nothing of it is cut off
        assert caption.evaluate("one => one.scrollWidth <= one.clientWidth")

    page.locator("#gallery button").nth(3).click()
    expect(status(page)).to_contain_text(f"Variation 4 of 4: PixelCNN · seed {first + 1} · ")
    chosen = canvas_of(page)
    assert chosen != original
    page.click("#keep")
    expect(status(page)).to_contain_text("Kept: edit 1 of 1")
    expect_canvas(page, chosen)
    page.click("#undo")
    expect_canvas(page, original)


def test_surprise_comes_in_parts_and_follows_prior_label_and_codes(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(url)
    choose(page, upload)
    picture = canvas_of(page)
    studio.hold_at_part = 2
    look(page, "surprise")
    note = page.locator("#canvas .codemap-note")
    expect(note).to_have_text("Asking Masked transformer: 50% of the codes")
    paint(page, (30, 5), (30, 20))  # which can go on meanwhile
    studio.hold_at_part = None
    expect(note).not_to_contain_text("Asking")
    expect(legend(page)).to_contain_text("What surprises Masked transformer")
    expect(legend(page)).to_contain_text("12 bits or more: a surprise")
    page.mouse.move(*at(page, 3, 4))
    expect(page.locator("#canvas .codemap-cell")).to_have_text(
        re.compile(r"^row 3, column 4: code \d+, \d+\.0 bits$")
    )
    # Half a bit more for the other prior, and a quarter with a label: see FakeStudio.
    page.get_by_label("PixelCNN").check()
    expect(legend(page)).to_contain_text("What surprises PixelCNN")
    page.mouse.move(*at(page, 4, 4))
    expect(page.locator("#canvas .codemap-cell")).to_have_text(re.compile(r"\.5 bits$"))
    page.locator("#label input").click()
    page.get_by_role("option", name="Forest").click()
    expect(legend(page)).to_contain_text("What surprises PixelCNN, Forest")
    assert studio.asked == [("masked", None), ("pixelcnn", None), ("pixelcnn", "forest")]

    page.click("#resample")
    expect(status(page)).to_contain_text("codes filled in")
    expect(legend(page)).to_contain_text("What surprises PixelCNN, Forest")
    expect(note).not_to_contain_text("Asking")
    assert studio.asked[3:] == [("pixelcnn", "forest")]  # of what has been filled in
    page.click("#discard")
    expect(status(page)).to_contain_text("Discarded")
    look(page, "picture")
    expect_canvas(page, picture)


def test_leaving_and_coming_back_asks_nobody_again(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(url)
    choose(page, upload)
    look(page, "surprise")
    expect(legend(page)).to_contain_text("Masked transformer")
    expect(page.locator("#canvas .codemap-note")).not_to_contain_text("Asking")
    heat = canvas_of(page)
    page.get_by_label("PixelCNN").check()
    expect(legend(page)).to_contain_text("PixelCNN")
    expect(page.locator("#canvas .codemap-note")).not_to_contain_text("Asking")
    page.get_by_label("Masked transformer").check()
    expect_canvas(page, heat)
    assert studio.asked == [("masked", None), ("pixelcnn", None)]


def test_a_failure_gives_the_picture_back_and_it_can_be_asked_again(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(url, ("failed",))
    choose(page, upload)
    picture = canvas_of(page)
    studio.fail_at_part = 3
    look(page, "surprise")
    expect(page.locator(".toast-body")).to_contain_text("Nothing of yours was lost")
    expect_canvas(page, picture)
    assert "secret detail" not in page.content()
    studio.fail_at_part = None
    look(page, "surprise")
    expect(legend(page)).to_be_visible()
    expect(page.locator("#canvas .codemap-note")).not_to_contain_text("Asking")


def test_in_korean_on_a_phone(open_page: OpenPage, url: str, upload: Path) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    choose(page, upload)
    page.get_by_label("나란히 비교").check()
    expect(page.locator("#quality-note")).to_contain_text(
        "보통. 마스크 트랜스포머: 빈 곳을 (넓으면 나눈 부분마다) 12단계로"
    )
    overlay = page.locator("#canvas .codemap-overlay")
    overlay.scroll_into_view_if_needed()
    page.touchscreen.tap(*at(page, 20, 30))
    page.locator("#resample").tap()
    expect(status(page)).to_contain_text("모든 사전 모델이 같은 곳을")
    captions = page.locator("#gallery .caption-label")
    expect(captions.nth(0)).to_contain_text(
        re.compile(r"마스크 트랜스포머 · 시드 \d+ · [\d,]+비트")
    )
    expect(captions.nth(1)).to_contain_text("PixelCNN · 시드")
    page.locator("#canvas [data-view=surprise]").tap()
    expect(legend(page)).to_contain_text("PixelCNN에게 의외인 곳")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_with_one_prior_there_is_nothing_to_choose(open_page: OpenPage, tmp_path: Path) -> None:
    with running_app(FakeStudio(("masked",)), tmp_path) as address:
        page = open_page(address)
        expect(page.locator("#quality-note")).to_contain_text("Balanced. Masked transformer")
        expect(page.locator("#prior")).to_be_hidden()
