"""Nothing that a Korean visitor sees is left in English: every tab, every word of the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.shelf import Shelf
from tests.fake_studio import FakeStudio
from tests.running_app import running_app
from tests.test_app_browser import choose, paint, photograph, set_variations

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]

# Every text, label, hint and placeholder that can be seen or is spoken.
WORDS = """() => {
    const seen = (element) => element.checkVisibility({ visibilityProperty: true });
    const words = [];
    const kinds = NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT;
    const walker = document.createTreeWalker(document.body, kinds);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.nodeType === Node.TEXT_NODE) {
            const parent = node.parentElement;
            const ours = !parent.closest("script, style, footer");
            if (ours && seen(parent)) words.push(node.data);
        } else if (seen(node) && !node.closest("footer")) {
            for (const name of ["aria-label", "title", "placeholder", "alt"]) {
                words.push(node.getAttribute(name) ?? "");
            }
        }
    }
    return words;
}"""
# Names, units and keys, which are the same in Korean.
SAME = {
    *(
        "Codebrush",
        "PNG",
        "GIF",
        "JPEG",
        "WebP",
        "jpeg",
        "webp",
        "PixelCNN",
        "PSNR",
        "SSIM",
        "FSQ",
        "dB",
        "px",
    ),
    *("Ctrl", "Shift", "Alt", "Esc", "Enter", "Home", "End", "Space", "Tab", "Delete", "PageUp"),
    *(
        "PageDown",
        "Page",
        "Up",
        "Down",
        "Top",
        "fake",
        "bare",
        "castle",
        "photos",
        "test",
        "top",
        "MB",
        "kB",
        "API",
    ),
}
# What Gradio's own buttons are called, for which it has no Korean.
GRADIO = re.compile(
    "Capture from camera|Paste from clipboard|Upload file|Remove Image|Fullscreen|undo|Empty value"
    "|Reset to default value|Thumbnail \\d+ of \\d+|(number input|range slider) for .*"
)


def english(words: list[str]) -> set[str]:
    """Those of the words that have an English word in them and no Korean one."""
    found = set()
    for text in words:
        left = [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in SAME]
        if left and not re.search("[가-힣]", text) and not GRADIO.fullmatch(text.strip()):
            found.add(text.strip())
    return found


def test_english_is_found_where_it_is() -> None:
    assert english(["Resample", "PNG 저장", "PixelCNN", "12 dB", "PSNR", "K = 64"]) == {"Resample"}


def test_every_tab_is_korean(open_page: OpenPage, tmp_path: Path) -> None:
    bare = FakeStudio(priors=(), name="bare", checkpoint="ba9876543210", stride=8)
    with running_app(Shelf.of(FakeStudio(), bare), tmp_path / "gradio") as url:
        page = open_page(url, locale="ko-KR")
        left: dict[str, set[str]] = {}
        expect(page.locator("#resample")).to_be_visible()
        names = [name.strip() for name in page.get_by_role("tab").all_inner_texts()]
        for name in names:
            page.get_by_role("tab", name=name, exact=True).click()
            page.wait_for_timeout(700)  # what a tab shows comes by itself
            left[f"{name}, no picture"] = english(page.evaluate(WORDS))
        page.get_by_role("tab", name=names[0], exact=True).click()
        choose(page, photograph(tmp_path / "photo.png"))
        paint(page, (10, 10), (14, 20))
        set_variations(page, 2)
        page.locator("#resample").click()
        expect(page.locator("#keep")).to_be_visible()
        for closed in page.locator("button.label-wrap:not(.open)").all():
            if closed.is_visible():
                closed.click()
        for name in names:
            page.get_by_role("tab", name=name, exact=True).click()
            page.wait_for_timeout(700)  # what a tab shows comes by itself
            left[name] = english(page.evaluate(WORDS))
        page.get_by_role("tab", name=names[0], exact=True).click()
        page.keyboard.press("?")
        left["shortcuts"] = english(page.evaluate(WORDS))
        told = [f"{name}: {sorted(words)}" for name, words in left.items() if words]
        assert not told, "\n".join(told)
        page.close()  # before the app is, or it would complain of losing it
