"""The code brush as a person uses it, in a real browser, on a studio without models."""

from __future__ import annotations

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
    from playwright.sync_api import Page


OpenPage = Callable[..., "Page"]
SHAPE = ROWS, COLUMNS = 20, 30


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """Two halves, each of one code: 0 on the left, 511 on the right."""
    picture = np.zeros((ROWS * STRIDE, COLUMNS * STRIDE, 3), np.uint8)
    picture[:, COLUMNS // 2 * STRIDE :] = 255
    path = tmp_path / "halves.png"
    Image.fromarray(picture).save(path)
    return path


def test_take_up_paint_fill_undo_save(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio, tmp_path: Path
) -> None:
    page = open_page(url)
    canvas = Canvas(page, SHAPE).open(upload)
    note, field = page.locator(".codemap-note"), page.locator(".codemap-code input")
    status, undo = page.locator("#status p"), page.locator("#undo")
    expect(field).to_be_hidden()
    canvas.tool("code")
    expect(note).to_have_text("Press a code to take it up, then paint with it.")

    # The first press takes the code of the right half, the stroke paints it on the left.
    canvas.click(5, COLUMNS - 3)
    expect(field).to_have_value("511")
    canvas.drag((5, 3), (5, 9))
    stroke = 9 * 3  # a brush of 3 × 3 cells along 7
    expect(status).to_have_text(f"Code 511 painted on {stroke} cells: edit 1 of 1.")
    expect(page.locator(".codemap-count")).to_have_text(f"0 of {ROWS * COLUMNS} codes painted")

    # The region that is there for resampling takes one code just as well.
    canvas.select((12, 2), (15, 6))
    canvas.tool("code")
    field.fill("900")
    expect(note).to_have_text("Codes go from 0 to 511.")
    expect(page.locator("[data-action=fill]")).to_be_disabled()
    field.fill("77")
    canvas.act("fill")
    expect(status).to_have_text("Code 77 painted on 20 cells: edit 2 of 2.")
    result = canvas.saved(tmp_path / "result.png")
    colour = studio.decode(np.array([[77]]))[0, 0]
    filled = np.s_[12 * STRIDE : 16 * STRIDE, 2 * STRIDE : 7 * STRIDE]
    assert (result[filled] == colour).all()
    assert (result[:, COLUMNS // 2 * STRIDE :] == 255).all()
    changed = (result[:, : COLUMNS // 2 * STRIDE] != 0).any(-1)
    assert changed.sum() == (stroke + 20) * STRIDE**2

    # Undo by key and by button are the same history.
    page.locator("#canvas .codemap-stage").focus()
    page.keyboard.press("Control+z")
    expect(status).to_have_text("Undone. You are at edit 1 of 2.")
    expect(undo).to_be_enabled()
    undo.click()
    expect(undo).to_be_disabled()
    with Image.open(upload) as original:
        np.testing.assert_array_equal(canvas.saved(tmp_path / "undone.png"), np.asarray(original))

    # Right button: the code of a cell; one press paints it.
    canvas.click(3, 3, button="right")
    expect(field).to_have_value("0")
    canvas.click(5, COLUMNS - 3)
    expect(status).to_have_text("Code 0 painted on 9 cells: edit 1 of 1.")
    expect(page.locator("#redo")).to_be_disabled()


def test_korean_with_a_finger(open_page: OpenPage, url: str, upload: Path) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    canvas = Canvas(page, SHAPE).open(upload)
    brush = page.get_by_role("button", name="코드 붓: 코드 하나로 칠하기")
    brush.tap()
    expect(page.locator(".codemap-note")).to_have_text("먼저 코드를 눌러 집은 다음 칠하세요.")
    page.touchscreen.tap(*canvas.at(4, COLUMNS - 4))
    expect(page.get_by_role("spinbutton", name="칠할 코드")).to_have_value("511")
    page.touchscreen.tap(*canvas.at(4, 4))
    expect(page.locator("#status p")).to_have_text(
        "9칸을 코드 511(으)로 칠했습니다: 편집 1개 중 1번째."
    )
