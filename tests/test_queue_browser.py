"""Who waits is told the place in the queue, in the own language, until the job shows its steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_studio import FakeStudio
from tests.test_app_browser import UNPAINTED, choose, paint, photograph

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]

# Keeps what the status line says from now on, as a screen reader would say it.
LISTEN = """(line) => {
    window.said = [];
    const note = () => {
        const text = line.textContent.trim();
        if (text !== window.said.at(-1)) window.said.push(text);
    };
    const all = { childList: true, characterData: true, subtree: true };
    new MutationObserver(note).observe(line, all);
}"""
PLACE = re.compile(r"in the queue|대기열")


@pytest.fixture(autouse=True)
def calm(studio: FakeStudio) -> Iterator[None]:
    yield
    studio.hold_at_step = None


def status(page: Page) -> Locator:
    return page.locator("#generate-status p")


def generating(open_page: OpenPage, url: str, locale: str) -> Page:
    """A visitor who has pressed Generate."""
    page = open_page(url, locale=locale)
    page.get_by_role("tab", name={"en-US": "Generate", "ko-KR": "생성"}[locale]).click()
    page.locator("#generate-status .html-container").evaluate(LISTEN)
    page.locator("#generate").click()
    return page


def said(page: Page) -> list[str]:
    """The places that were said, in order."""
    return [text for text in page.evaluate("window.said") if PLACE.search(text)]


def test_places_move_up_when_one_leaves_or_is_served(
    open_page: OpenPage, url: str, studio: FakeStudio
) -> None:
    studio.hold_at_step = 1
    first = generating(open_page, url, "en-US")
    expect(status(first)).to_contain_text("row 1 of")
    second = generating(open_page, url, "en-US")
    expect(status(second)).to_have_text("You are number 1 in the queue …")
    third = generating(open_page, url, "ko-KR")
    expect(status(third)).to_have_text("대기열에서 2번째입니다 …")
    fourth = generating(open_page, url, "en-US")
    expect(status(fourth)).to_have_text("You are number 3 in the queue …")

    second.locator("#generate-stop").click()
    expect(status(second)).to_have_text("Press Generate (Ctrl+Enter).")
    expect(status(third)).to_have_text("대기열에서 1번째입니다 …")
    expect(status(fourth)).to_have_text("You are number 2 in the queue …")
    third.context.close()  # a closed tab gives up its place
    expect(status(fourth)).to_have_text("You are number 1 in the queue …")

    first.locator("#generate-stop").click()
    expect(status(fourth)).to_contain_text("row 1 of")
    studio.hold_at_step = None
    expect(status(fourth)).to_contain_text("8 pictures in")
    expect(fourth.locator("#generate-gallery .grid-container img")).to_have_count(8)
    assert said(first) == []  # nobody was before
    assert said(fourth) == [f"You are number {place} in the queue …" for place in (3, 2, 1)]


def test_who_waits_to_resample_is_told_so_and_then_served(
    open_page: OpenPage, url: str, studio: FakeStudio, tmp_path: Path
) -> None:
    studio.hold_at_step = 1
    pages = []
    for locale in ("en-US", "ko-KR"):
        page = open_page(url, UNPAINTED, locale=locale)
        choose(page, photograph(tmp_path / "photo.png"))
        paint(page, (10, 10), (20, 30))
        page.locator("#status .html-container").evaluate(LISTEN)
        page.locator("#resample").click()
        pages.append(page)
        if len(pages) == 1:
            expect(page.locator("#status p")).to_contain_text("step 1 of")
    here, there = pages
    expect(there.locator("#status p")).to_have_text("대기열에서 1번째입니다 …")
    studio.hold_at_step = None
    for page, done in ((here, "codes filled"), (there, "채웠습니다")):
        expect(page.locator("#result")).to_be_visible()
        expect(page.locator("#status p")).to_contain_text(done)
    assert said(here) == [] and said(there) == ["대기열에서 1번째입니다 …"]
