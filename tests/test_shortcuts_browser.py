"""The sheet of keys, and the keys of the whole page, in a real browser; no models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from demo.shortcuts import SHORTCUTS
from demo.text import CATALOGUES
from tests.fake_studio import FakeStudio

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

OpenPage = Callable[..., "Page"]


def test_the_sheet_opens_by_key_traps_the_focus_and_gives_it_back(
    open_page: OpenPage, url: str
) -> None:
    page = open_page(url)
    sheet = page.locator("dialog.keys-sheet")
    tab = page.get_by_role("tab", name="Codes", exact=True)
    tab.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    rows = sheet.locator("dl > div").all_inner_texts()
    assert len(rows) == sum(map(len, SHORTCUTS.values()))
    for group in SHORTCUTS.values():
        for one in group.values():
            assert any(CATALOGUES["en"][one.label] in row for row in rows)
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"  # the browser's own bar
            " || document.querySelector('dialog').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(tab).to_be_focused()

    # The button does the same; a press beside the sheet closes it, and so does the key.
    opener = page.get_by_role("button", name="Keyboard shortcuts")
    opener.click()
    expect(sheet).to_be_visible()
    page.mouse.click(5, 5)
    expect(sheet).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("?")
    expect(sheet).to_be_visible()
    page.keyboard.press("?")
    expect(sheet).to_be_hidden()


def test_on_a_phone_in_korean(open_page: OpenPage, url: str) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    page.get_by_role("button", name="단축키").tap()
    sheet = page.get_by_role("dialog", name="단축키")
    expect(sheet.get_by_text("지우개")).to_be_visible()
    box = sheet.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert box["y"] >= 0 and box["y"] + box["height"] <= 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sheet.get_by_role("button", name="닫기").tap()
    expect(sheet).to_be_hidden()


def test_resample_and_stop_by_keys_but_not_through_the_sheet(
    open_page: OpenPage, url: str, studio: FakeStudio, tmp_path: Path
) -> None:
    page = open_page(url)
    Image.new("RGB", (96, 64), "teal").save(tmp_path / "plain.png")
    page.locator("#picture input[type=file]").first.set_input_files(tmp_path / "plain.png")
    expect(page.locator("#resample")).to_be_enabled()
    page.locator("#canvas .codemap-stage").focus()
    for key in ("c", "b", "Space"):  # another tool and back: keys of the table
        page.keyboard.press(key)
    studio.hold_at_step = 2
    try:
        page.keyboard.press("Control+Enter")
        expect(page.locator("#status p")).to_contain_text("step 2 of")
        page.keyboard.press("?")
        page.keyboard.press("Escape")  # is the sheet's
        expect(page.locator("dialog.keys-sheet")).to_be_hidden()
        expect(page.locator("#stop")).to_be_enabled()
        page.keyboard.press("Escape")
        expect(page.locator("#status p")).to_contain_text("Stopped.")
    finally:
        studio.hold_at_step = None


def test_signs_are_written_in_fields(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.locator("#more button").first.click()
    field = page.locator("#seed input")
    field.focus()
    page.keyboard.press("?")
    expect(page.locator("dialog.keys-sheet")).to_be_hidden()
