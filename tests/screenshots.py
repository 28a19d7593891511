"""Pictures of the page, to look at: ``python -m tests.screenshots OUTDIR``.

Every tab, on a desk and on a phone, light and dark, English and Korean; and ``docs/edit.png`` for
the README. It runs the app as it ships. Without the checkpoints, or with ``--fake``, a studio
without models stands in.
"""

from __future__ import annotations

import argparse
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from vq.checkpoints import DEFAULT_CHECKPOINT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from demo.shelf import Shelf

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
LOCALES = {"en": "en-US", "ko": "ko-KR"}
PATIENCE = 120_000  # ms

# A stroke over the lion's rock, as fractions of the canvas.
STROKE = [(0.52, 0.88), (0.66, 0.82), (0.8, 0.78), (0.9, 0.74)]


def a_shelf(fake: bool) -> Shelf:
    from demo.shelf import Shelf

    if fake or not DEFAULT_CHECKPOINT.is_dir():
        from tests.fake_studio import FakeStudio

        return Shelf.of(FakeStudio())
    from demo.studio import loader

    return Shelf.of_folder(loader)


def open_at(browser: Browser, url: str, size: str, scheme: str, language: str) -> Page:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=LOCALES[language],
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=size == "phone",
        is_mobile=size == "phone",
        reduced_motion="reduce",
        device_scale_factor=2 if size == "phone" else 1,
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#canvas .codemap-empty")
    return page


def paint(page: Page) -> None:
    page.locator("#resample:not([disabled])").wait_for()
    canvas = page.locator("#canvas .codemap-overlay")
    # Not just into view: on a phone a bar lies over the lower end of the screen.
    canvas.evaluate("canvas => canvas.scrollIntoView({ block: 'center' })")
    box = canvas.bounding_box()
    assert box is not None
    for i, (x, y) in enumerate(STROKE):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if i == 0:
            page.mouse.down()
    page.mouse.up()


def settle(page: Page) -> None:
    """Until every picture has arrived and nothing moves."""
    # Some load when they are scrolled to, but a whole page is shot without scrolling.
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function(
        "[...document.images].every((image) => image.complete || image.offsetParent === null)"
    )
    page.wait_for_timeout(600)


def resample(page: Page, variations: int) -> None:
    field = page.locator("#variations input[type=number]")
    field.fill(str(variations))
    field.press("Tab")
    page.locator("#resample").click()
    page.locator("#keep").wait_for()


def open_tab(page: Page, name: str) -> bool:
    """The tab of that name, a pattern; False where the page has none."""
    tab = page.get_by_role("tab").filter(has_text=re.compile(f"^({name})$"))
    if tab.count():
        tab.click()
    return tab.count() > 0


def compared(page: Page) -> None:
    """Every checkpoint is compared, and priced by its prior where it has one."""
    page.wait_for_function(
        "document.querySelectorAll('#comparison figure canvas').length > 3 &&"
        " document.querySelectorAll('#compare-chart .chart-wide .chart-hollow').length > 1"
    )


def generate(page: Page) -> None:
    page.locator("#generate").click()
    page.locator("#generate-save-all").wait_for()
    page.locator("#generate:not([disabled])").wait_for()
    page.locator("#generate-gallery .grid-container button").nth(1).click()
    page.locator("#generate-send:not([disabled])").wait_for()


def visit(browser: Browser, url: str, out: Path, size: str, scheme: str, language: str) -> None:
    """One visitor, through every tab."""
    page = open_at(browser, url, size, scheme, language)

    def shoot(name: str) -> None:
        settle(page)
        page.screenshot(path=out / f"{name}-{size}-{scheme}-{language}.png", full_page=True)

    shoot("1-empty")
    page.locator("#examples button").first.click()
    paint(page)
    shoot("2-painted")
    page.keyboard.press("?")
    shoot("2-keys")
    page.keyboard.press("Escape")
    side_by_side = page.locator("#prior").get_by_role("radio").last
    if side_by_side.is_visible():
        side_by_side.check()
    resample(page, 4)
    page.locator("#more button").first.click()
    shoot("3-variations")
    page.locator("#canvas [data-view=surprise]").click()
    page.locator("#canvas .codemap-legend").wait_for()
    page.wait_for_function("document.querySelector('#canvas .codemap-note').textContent === ''")
    shoot("3-surprise")
    page.locator("#canvas [data-view=picture]").click()
    page.locator("#keep").click()
    page.locator("#history .history-step").nth(1).wait_for()
    shoot("3-history")
    page.get_by_role("tab").nth(1).click()
    page.locator("#explorer .explorer-map").wait_for()
    page.locator("#explorer .explorer-map .codemap-overlay").click()
    shoot("4-codes")
    page.get_by_role("tab").nth(2).click()
    compared(page)
    shoot("5-compare")
    page.get_by_role("tab").nth(3).click()
    page.locator("#generate").wait_for()
    shoot("6-generate-empty")
    generate(page)
    shoot("7-generated")
    if open_tab(page, "Learn|배우기"):
        page.locator("#learn-first tr", has_text="PixelCNN").wait_for()
        shoot("8-learn")
    if open_tab(page, "Models|모델"):
        page.locator("#models-found label").first.click()
        page.locator("#models-card h3").first.wait_for()
        shoot("9-models")
    page.context.close()


def for_the_readme(browser: Browser, url: str) -> None:
    """The Edit tab with a region resampled, and that picture in two other tabs."""
    page = open_at(browser, url, "desk", "light", "en")
    page.locator("#examples button").first.click()
    paint(page)
    resample(page, 4)
    settle(page)
    (ROOT / "docs").mkdir(exist_ok=True)
    page.screenshot(path=ROOT / "docs" / "edit.png", full_page=True)
    page.get_by_role("tab").nth(1).click()
    page.locator("#explorer .explorer-map .codemap-overlay").click()
    settle(page)
    page.screenshot(path=ROOT / "docs" / "codes.png")
    page.get_by_role("tab").nth(2).click()
    compared(page)
    settle(page)
    page.screenshot(path=ROOT / "docs" / "compare.png", full_page=True)
    page.get_by_role("tab").nth(3).click()
    page.locator("#generate-more button").first.click()
    page.locator("#generate-random").get_by_role("checkbox").uncheck()
    page.locator("#generate-seed input").fill("0")
    page.locator("#generate-more button").first.click()
    generate(page)
    settle(page)
    page.screenshot(path=ROOT / "docs" / "generate.png")
    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--fake", action="store_true", help="a studio without models")
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)

    from playwright.sync_api import sync_playwright

    from demo import page

    shelf = a_shelf(arguments.fake)
    library = None
    if not arguments.fake:
        from demo import studio
        from demo.models import Library

        library = Library(shelf, studio.loader)
    demo = page.build(shelf, library)
    _, url, _ = demo.launch(**page.LAUNCH, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        for size, scheme, language in itertools.product(SIZES, SCHEMES, LOCALES):
            visit(browser, url, arguments.outdir, size, scheme, language)
        if not arguments.fake:
            for_the_readme(browser, url)
        browser.close()
    demo.close()


if __name__ == "__main__":
    main()
