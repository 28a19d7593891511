"""Copying codes and pasting them, as a person does it in a real browser; no models."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from demo.shelf import Shelf
from tests.fake_studio import FakeStudio
from tests.running_app import running_app

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.canvas import Canvas

if TYPE_CHECKING:
    from playwright.sync_api import Page


OpenPage = Callable[..., "Page"]
SHAPE = ROWS, COLUMNS = 16, 24


@pytest.fixture(scope="module")
def url(studio: FakeStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    other = FakeStudio(name="other", checkpoint="ba9876543210")
    with running_app(Shelf.of(studio, other), tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    """No two alike nearby, so that every shift and every flip shows."""
    return (np.arange(ROWS * COLUMNS) * 37 % 512).reshape(ROWS, COLUMNS)


@pytest.fixture(scope="module")
def upload(studio: FakeStudio, codes: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "codes.png"
    Image.fromarray(studio.decode(codes)).save(path)
    return path


def expect_codes(canvas: Canvas, studio: FakeStudio, codes: np.ndarray, path: Path) -> None:
    """What is saved are these codes: the upload has one colour a cell, so nothing else is."""
    np.testing.assert_array_equal(studio.encode(canvas.saved(path)), codes)


def test_by_mouse_copy_paste_flip_undo(
    open_page: OpenPage,
    url: str,
    upload: Path,
    studio: FakeStudio,
    codes: np.ndarray,
    tmp_path: Path,
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    paste = page.locator("#canvas [data-tool=paste]")
    expect(paste).to_be_disabled()
    expect(page.locator("#canvas [data-action=copy]")).to_be_disabled()
    canvas.select((2, 3), (4, 7))
    canvas.act("copy")
    expect(canvas.note).to_have_text("15 codes copied. Paste puts them down wherever you like.")
    canvas.tool("paste")
    expect(canvas.note).to_have_text("Click where the 15 codes should go. Esc ends it.")
    expect(paste).to_have_attribute("aria-pressed", "true")

    # Several in a row, the second cut off by the corner of the map: only 2 × 3 cells are inside.
    expected = codes.copy()
    canvas.click(10, 12)
    expect(canvas.status).to_have_text("15 codes pasted: edit 1 of 1.")
    expected[9:12, 10:15] = codes[2:5, 3:8]
    canvas.click(ROWS - 1, COLUMNS - 1)
    expect(canvas.status).to_have_text("6 codes pasted: edit 2 of 2.")
    expected[ROWS - 2 :, COLUMNS - 3 :] = codes[2:4, 3:6]
    expect_codes(canvas, studio, expected, tmp_path / "pasted.png")

    # By key and by button, both at once: rows and columns in the opposite order.
    page.mouse.move(*canvas.at(12, 5))
    page.keyboard.press("h")
    canvas.act("flip_down")
    canvas.click(12, 5)
    expect(canvas.status).to_have_text("15 codes pasted: edit 3 of 3.")
    expected[11:14, 3:8] = codes[2:5, 3:8][::-1, ::-1]
    expect_codes(canvas, studio, expected, tmp_path / "flipped.png")

    # Escape gives the last tool back. What was pasted last is what is undone, then what before it.
    page.mouse.move(*canvas.at(8, 8))
    page.keyboard.press("Escape")
    expect(page.locator("#canvas [data-tool=rectangle]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Control+z")
    expect(canvas.status).to_have_text("Undone. You are at edit 2 of 3.")
    page.keyboard.press("Control+z")
    expect(canvas.status).to_have_text("Undone. You are at edit 1 of 3.")
    page.keyboard.press("Control+y")
    expect(canvas.status).to_have_text("Done again. You are at edit 2 of 3.")
    expected[11:14, 3:8] = codes[11:14, 3:8]
    expect_codes(canvas, studio, expected, tmp_path / "undone.png")
    expect(page.locator("#canvas .codemap-count")).to_have_text("15 of 384 codes painted")


def test_only_what_is_painted_is_copied(
    open_page: OpenPage,
    url: str,
    upload: Path,
    studio: FakeStudio,
    codes: np.ndarray,
    tmp_path: Path,
) -> None:
    """Two cells with a gap between them leave what is under the gap as it is."""
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    for column in (3, 5):
        canvas.select((3, column), (3, column))
    canvas.act("copy")
    canvas.tool("paste")
    canvas.click(9, 14)
    expect(canvas.status).to_have_text("2 codes pasted: edit 1 of 1.")
    expected = codes.copy()
    expected[9, [13, 15]] = codes[3, [3, 5]]
    expect_codes(canvas, studio, expected, tmp_path / "pasted.png")


def test_by_keyboard_alone(
    open_page: OpenPage,
    url: str,
    upload: Path,
    studio: FakeStudio,
    codes: np.ndarray,
    tmp_path: Path,
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    canvas.stage.focus()
    press = page.keyboard.press
    for key in ("[", "[", "Home", "PageUp", "PageUp"):
        press(key)
    press("Space")  # row 0, column 0
    press("ArrowRight")
    press("Space")
    expect(page.locator("#canvas .codemap-count")).to_have_text("2 of 384 codes painted")
    press("Control+c")
    press("Control+v")
    expect(canvas.note).to_have_text("Click where the 2 codes should go. Esc ends it.")
    for key in ("h", "PageDown", "ArrowRight", "ArrowRight", "Enter"):
        press(key)
    expect(canvas.status).to_have_text("2 codes pasted: edit 1 of 1.")
    expected = codes.copy()
    # Two cells have no middle one: the cursor is on the left of them.
    expected[8, 3:5] = codes[0, [1, 0]]
    press("Escape")
    expect(page.locator("#canvas [data-tool=brush]")).to_have_attribute("aria-pressed", "true")
    expect_codes(canvas, studio, expected, tmp_path / "pasted.png")
    canvas.stage.focus()
    press("Control+z")
    expect(canvas.status).to_have_text("Undone. You are at edit 0 of 1.")


@pytest.fixture(scope="module")
def second(studio: FakeStudio, codes: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "second.png"
    Image.fromarray(studio.decode(511 - codes)).save(path)
    return path


def test_transplant(
    open_page: OpenPage,
    url: str,
    upload: Path,
    second: Path,
    studio: FakeStudio,
    codes: np.ndarray,
    tmp_path: Path,
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    donor = Canvas(page, SHAPE, "second-canvas")
    expect(donor.stage).to_be_hidden()
    page.get_by_role("button", name="From another picture").click()
    page.locator("#second-picture input[type=file]").first.set_input_files(second)
    expect(donor.stage).to_be_visible()
    # It can be copied from, no more.
    expect(page.locator("#second-canvas [data-tool=code]")).to_be_hidden()
    expect(page.locator("#second-canvas [data-tool=paste]")).to_be_disabled()
    donor.select((5, 6), (7, 9))
    donor.act("copy")
    expect(donor.note).to_have_text("12 codes copied. Paste takes you to the picture above.")
    donor.tool("paste")
    expect(canvas.stage).to_be_focused()
    expect(canvas.note).to_have_text("Click where the 12 codes should go. Esc ends it.")
    canvas.click(2, 20)
    expect(canvas.status).to_have_text("12 codes pasted: edit 1 of 1.")
    expected = codes.copy()
    expected[1:4, 19:23] = 511 - codes[5:8, 6:10]
    expect_codes(canvas, studio, expected, tmp_path / "transplanted.png")

    # The keys reach the map that has the focus, whichever the pointer is over.
    donor.stage.focus()
    page.mouse.move(*canvas.at(8, 8))
    page.keyboard.press("e")
    expect(page.locator("#second-canvas [data-tool=eraser]")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.locator("#canvas [data-tool=paste]")).to_have_attribute("aria-pressed", "true")

    # Taking the second picture away leaves the first, and what was copied.
    page.locator("#second-picture").get_by_label("Remove Image").click()
    expect(donor.stage).to_be_hidden()
    canvas.click(12, 4)
    expect(canvas.status).to_have_text("12 codes pasted: edit 2 of 2.")


def test_a_picture_pasted_or_dropped_at_the_second_one_leaves_the_first(
    open_page: OpenPage, url: str, upload: Path, second: Path
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    canvas.select((2, 3), (4, 7))
    page.get_by_role("button", name="From another picture").click()
    donor = Canvas(page, SHAPE, "second-canvas")
    for kind in ("paste", "drop"):
        page.locator("#second-canvas").evaluate(
            """async (target, [kind, data]) => {
                const file = await (await fetch(`data:image/png;base64,${data}`)).blob();
                const files = new DataTransfer();
                files.items.add(new File([file], "second.png", { type: "image/png" }));
                const options = { bubbles: true, cancelable: true };
                target.dispatchEvent(kind === "paste"
                    ? new ClipboardEvent("paste", { ...options, clipboardData: files })
                    : new DragEvent("drop", { ...options, dataTransfer: files }));
            }""",
            [kind, base64.b64encode(second.read_bytes()).decode()],
        )
        expect(donor.stage).to_be_visible()
        page.locator("#second-picture").get_by_label("Remove Image").click()
        expect(donor.stage).to_be_hidden()
    expect(page.locator("#canvas .codemap-count")).to_have_text("15 of 384 codes painted")


def test_codes_of_another_checkpoint_are_refused_with_a_word(
    open_page: OpenPage, url: str, upload: Path
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    canvas.select((2, 3), (4, 7))
    canvas.act("copy")
    page.locator("#model input").click()
    page.get_by_role("option", name="other").click()
    expect(canvas.status).to_contain_text("other")
    canvas.tool("paste")
    canvas.click(10, 12)
    expect(canvas.note).to_contain_text("The copied codes are of another checkpoint")
    # Nothing was sent. What is copied here is pasted here.
    canvas.act("copy")
    expect(canvas.note).to_contain_text("15 codes copied.")
    canvas.click(10, 12)
    expect(canvas.status).to_have_text("15 codes pasted: edit 2 of 2.")


def test_a_second_picture_that_cannot_be_read_is_refused_and_costs_nothing(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    page.get_by_role("button", name="From another picture").click()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.locator("#second-picture input[type=file]").first.set_input_files(tmp_path / "broken.png")
    expect(page.get_by_test_id("toast-body")).to_be_visible()
    expect(page.locator("#second-canvas .codemap-empty")).to_be_visible()
    canvas.select((2, 3), (4, 7))
    expect(page.locator("#canvas .codemap-count")).to_have_text("15 of 384 codes painted")


def test_with_a_finger_in_korean(
    open_page: OpenPage,
    url: str,
    upload: Path,
    studio: FakeStudio,
    codes: np.ndarray,
    tmp_path: Path,
) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    canvas = Canvas(page, SHAPE).open(upload)
    page.touchscreen.tap(*canvas.at(4, 4))  # a brush of 3 × 3
    page.get_by_role("button", name="칠한 코드 복사").tap()
    page.get_by_role("button", name="복사한 코드 붙여넣기").tap()
    expect(canvas.note).to_have_text("코드 9개를 놓을 곳을 누르세요. 도장을 다시 누르면 끝납니다.")
    page.touchscreen.tap(*canvas.at(10, 15))
    expect(canvas.status).to_have_text("코드 9개를 붙여넣었습니다: 편집 1개 중 1번째.")
    expected = codes.copy()
    expected[9:12, 14:17] = codes[3:6, 3:6]
    expect_codes(canvas, studio, expected, tmp_path / "pasted.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
