"""The history strip and More like this as a person uses them, in a real browser; no models."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.fake_studio import STRIDE, FakeStudio

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.canvas import Canvas

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


OpenPage = Callable[..., "Page"]
SHAPE = ROWS, COLUMNS = 20, 30
CODES = (77, 300, 511)  # painted one after the other, each further to the right
PLACES = (4, 12, 20)


@pytest.fixture(autouse=True)
def calm(studio: FakeStudio) -> None:
    studio.hold_at_step = studio.fail_at_step = None


def opened(page: Page, folder: Path) -> Page:
    """With a black picture on the canvas."""
    path = folder / "black.png"
    Image.new("RGB", (COLUMNS * STRIDE, ROWS * STRIDE)).save(path)
    Canvas(page, SHAPE).open(path)
    return page


def painted(page: Page) -> None:
    """Three steps: a stroke of three cells by three with each of the codes."""
    page.locator("[data-tool=code]").click()
    for number, (code, column) in enumerate(zip(CODES, PLACES, strict=True), start=1):
        page.locator(".codemap-code input").fill(str(code))
        Canvas(page, SHAPE).click(10, column)
        expect(steps(page)).to_have_count(number + 1)


def selected(page: Page) -> None:
    """A rectangle of 5 × 4 cells is painted, to be resampled."""
    Canvas(page, SHAPE).select((2, 2), (5, 6))
    expect(page.locator(".codemap-count")).to_contain_text("20")


def resampled(page: Page, variations: int) -> None:
    selected(page)
    field = page.locator("#variations input[type=number]")
    field.fill(str(variations))
    field.press("Tab")
    page.locator("#resample").click()
    expect(page.locator("#keep")).to_be_visible()


def steps(page: Page) -> Locator:
    return page.locator("#history .history-step")


def expect_current(page: Page, number: int) -> None:
    expect(page.locator("#history [aria-current=step]")).to_have_attribute(
        "data-number", str(number)
    )


def label(page: Page) -> Locator:
    """What the comparison says that it compares."""
    return page.locator("#slider [data-testid=block-label]")


def sides(page: Page) -> list[np.ndarray]:
    """The two pictures that are compared, left and right."""
    read = """async image => {
        const blob = await (await fetch(image.src)).blob();
        const reader = new FileReader();
        return await new Promise(done => {
            reader.onload = () => done(reader.result);
            reader.readAsDataURL(blob);
        });
    }"""
    pictures = []
    for image in page.locator("#slider img").all()[:2]:
        data = image.evaluate(read).split(",")[1]
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    return pictures


def steps_in(picture: np.ndarray) -> int:
    """How many of the strokes are in a picture."""
    row = (10 * STRIDE + STRIDE // 2, *(c * STRIDE + STRIDE // 2 for c in PLACES))
    found = [bool(picture[row[0], column].any()) for column in row[1:]]
    assert found == sorted(found, reverse=True)
    return sum(found)


def test_going_to_a_step_and_comparing_two_by_mouse(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    page = open_page(url)
    expect(page.locator("#history .history")).to_be_hidden()
    opened(page, tmp_path)
    expect(steps(page)).to_have_text(["Opened"])
    painted(page)
    expect(steps(page).locator("span")).to_have_text(["Opened", "Code 77", "Code 300", "Code 511"])
    expect_current(page, 3)
    expect(label(page)).to_have_text("Left: 2. Code 300 · right: 3. Code 511")
    assert [steps_in(side) for side in sides(page)] == [2, 3]

    # Back to the first edit: the others are undone, and there to be done again.
    steps(page).nth(1).click()
    expect_current(page, 1)
    expect(page.locator("#status p")).to_have_text("You are at edit 1 of 3.")
    expect(page.locator("#history [data-undone]")).to_have_count(2)
    expect(label(page)).to_have_text("Left: Opened · right: 1. Code 77")
    page.locator("#redo").click()
    expect_current(page, 2)
    page.locator("#undo").click()
    expect_current(page, 1)

    # With an undone one, by the button; then with another, by Shift and a press.
    compare = page.locator("#history .history-compare")
    compare.click()
    expect(page.locator(".history-note")).to_have_text("Press the step to compare with.")
    steps(page).nth(3).click()
    expect(label(page)).to_have_text("Left: 3. Code 511 · right: 1. Code 77")
    expect(page.locator("#history [data-left]")).to_have_attribute("data-number", "3")
    assert [steps_in(side) for side in sides(page)] == [3, 1]
    expect_current(page, 1)
    steps(page).nth(0).click(modifiers=["Shift"])
    expect(label(page)).to_have_text("Left: Opened · right: 1. Code 77")
    steps(page).nth(3).click()
    expect(label(page)).to_have_text("Left: Opened · right: 3. Code 511")
    assert [steps_in(side) for side in sides(page)] == [0, 3]
    expect(compare).to_have_text("End comparison")
    compare.click()
    expect(page.locator("#history [data-left]")).to_have_count(0)
    expect(label(page)).to_have_text("Left: 2. Code 300 · right: 3. Code 511")

    # What is painted on a step that was gone back to takes the place of those after it.
    steps(page).nth(1).click()
    expect_current(page, 1)
    Canvas(page, SHAPE).click(15, 5)
    expect(steps(page).locator("span")).to_have_text(["Opened", "Code 77", "Code 511"])
    expect_current(page, 2)


def test_all_of_it_by_keyboard(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    page = opened(open_page(url), tmp_path)
    painted(page)
    # From the last control of the canvas, Tab leads over the button to the step on the canvas.
    page.locator("#history .history-compare").focus()
    page.keyboard.press("Tab")
    focused = page.locator("#history .history-step:focus")
    expect(focused).to_have_attribute("aria-label", "3. Code 511, on the canvas")
    page.keyboard.press("ArrowLeft")
    expect(focused).to_have_attribute("aria-label", "2. Code 300")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_current(page, 1)
    expect(focused).to_have_attribute("aria-label", "1. Code 77, on the canvas")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("aria-label", "3. Code 511, undone")
    page.keyboard.press("c")
    expect(focused).to_have_attribute("aria-label", "3. Code 511, undone, compared with")
    expect(label(page)).to_have_text("Left: 3. Code 511 · right: 1. Code 77")
    page.keyboard.press("Escape")
    expect(label(page)).to_have_text("Left: Opened · right: 1. Code 77")
    expect(focused).to_have_attribute("aria-label", "3. Code 511, undone")
    page.keyboard.press("Space")
    expect_current(page, 3)
    # Tab leaves the strip: it is one stop.
    page.keyboard.press("Tab")
    expect(page.locator("#undo")).to_be_focused()


def test_by_finger_on_a_phone_in_korean(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    phone = {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "locale": "ko-KR",
        "color_scheme": "dark",
    }
    page = opened(open_page(url, **phone), tmp_path)
    painted(page)
    expect(steps(page).locator("span")).to_have_text(["연 사진", "코드 77", "코드 300", "코드 511"])
    steps(page).nth(2).tap()
    expect_current(page, 2)
    expect(page.locator("#status p")).to_have_text("편집 3개 중 2번째입니다.")
    compare = page.locator("#history .history-compare")
    box = compare.bounding_box()
    assert box is not None and box["height"] >= 44
    compare.tap()
    expect(page.locator(".history-note")).to_have_text("비교할 단계를 누르세요.")
    steps(page).nth(0).tap()
    expect(label(page)).to_have_text("왼쪽: 연 사진 · 오른쪽: 2. 코드 300")
    assert [steps_in(side) for side in sides(page)] == [0, 2]
    # The comparison is far below: it comes into view.
    expect(page.locator("#slider")).to_be_in_viewport(ratio=0.5)
    # A long row scrolls by itself; the page stays as wide as the phone.
    page.locator("[data-tool=code]").click()
    for column in range(2, 10, 2):
        Canvas(page, SHAPE).click(3, column)
    expect_current(page, 6)
    scroll = page.locator("#history .history-steps")
    page.wait_for_function(
        "list => list.scrollLeft > 0 && list.scrollWidth > list.clientWidth",
        arg=scroll.element_handle(),
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    visible = (
        steps(page)
        .nth(6)
        .evaluate(
            """step => {
            const list = step.closest(".history-steps").getBoundingClientRect();
            const box = step.getBoundingClientRect();
            return box.left >= list.left && box.right <= list.right + 1;
        }"""
        )
    )
    assert visible


def test_more_like_one_and_nothing_is_lost_by_a_failure_a_stop_or_another_tab(
    open_page: OpenPage, url: str, studio: FakeStudio, tmp_path: Path
) -> None:
    page = opened(open_page(url), tmp_path)
    painted(page)
    resampled(page, 2)
    captions = page.locator("#gallery .caption-label")
    expect(captions).to_have_count(2)
    assert studio.settings is not None
    seed = studio.settings.seed + 1
    page.locator("#gallery .thumbnail-item").nth(1).click()
    expect(page.locator("#status p")).to_contain_text(f"Variation 2 of 2: seed {seed} ")
    # No step is gone to while they wait for decision, but one can be compared with.
    expect(page.locator(".history-note")).to_have_text("Keep or discard first.")
    steps(page).nth(0).click(modifiers=["Shift"])
    compared = f"Left: Opened · right: 4. Masked transformer, seed {seed}"
    expect(label(page)).to_have_text(compared)
    steps(page).nth(1).click()
    canvas = page.locator("#canvas .codemap-base")
    page.wait_for_timeout(150)  # until the variation is drawn
    shown = canvas.evaluate("canvas => canvas.toDataURL()")

    def nothing_is_lost() -> None:
        expect(page.locator("#keep")).to_be_visible()
        expect(captions).to_have_count(2)
        expect(label(page)).to_have_text(compared)
        expect(steps(page)).to_have_count(4)
        expect_current(page, 3)
        expect(page.locator("#history [data-left]")).to_have_attribute("data-number", "0")
        expect(page.locator(".codemap-count")).to_contain_text("20 of 600")
        page.wait_for_function(
            "shown => document.querySelector('#canvas .codemap-base').toDataURL() === shown",
            arg=shown,
        )

    nothing_is_lost()
    for number in (1, 0):
        page.get_by_role("tab").nth(number).click()
    nothing_is_lost()

    studio.fail_at_step = 2
    page.locator("#more-like").click()
    toast = page.locator(".toast-body")
    expect(toast).to_contain_text("Nothing of yours was lost")
    toast.get_by_role("button").first.click()
    nothing_is_lost()

    studio.fail_at_step, studio.hold_at_step = None, 3
    page.locator("#more-like").click()
    expect(page.locator("#status p")).to_contain_text("step 3 of 12")
    expect(steps(page).nth(0)).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#history .history-compare")).to_have_attribute("aria-disabled", "true")
    page.locator("#stop").click()
    expect(page.locator("#status p")).to_contain_text("Stopped.")
    studio.hold_at_step = None
    nothing_is_lost()

    page.locator("#more-like").click()
    expect(captions).to_have_count(5)
    expect(captions.nth(0)).to_have_text(re.compile(rf"^seed {seed} · [\d,]+ bits$"))
    for caption in captions.all()[1:]:
        expect(caption).to_have_text(re.compile(rf"^seed \d+ · like seed {seed} · [\d,]+ bits$"))
    expect(page.locator("#status p")).to_contain_text(f"4 variations like seed {seed} in ")
    assert studio.settings.keep == pytest.approx(0.3)
    page.locator("#gallery .thumbnail-item").nth(2).click()
    expect(page.locator("#status p")).to_contain_text("Variation 3 of 5")
    page.locator("#more-like").click()  # again, of one of those
    expect(captions.nth(1)).not_to_contain_text(f"like seed {seed} ")
    expect(captions).to_have_count(5)
    page.locator("#keep").click()
    expect(steps(page)).to_have_count(5)
    expect(steps(page).nth(4)).to_contain_text("like seed")
