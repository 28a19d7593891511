"""The Compare tab in a real browser: several checkpoints, one picture, every view in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from demo.shelf import Shelf
from tests.fake_studio import FakeStudio
from tests.running_app import running_app
from tests.test_app_browser import choose, photograph

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]

# Where a canvas lies on the screen, in parts of the view around it.
PLACE = """canvas => {
    const view = canvas.closest(".comparison-view, .comparison-side").getBoundingClientRect();
    const box = canvas.getBoundingClientRect();
    return [(box.x - view.x) / view.width, (box.y - view.y) / view.height, box.width / view.width];
}"""


class Broken(FakeStudio):
    def encode(self, picture: np.ndarray) -> np.ndarray:
        raise RuntimeError("secret detail of a broken model")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    coarse = FakeStudio(priors=(), name="coarse", checkpoint="ba9876543210", stride=8)
    broken = Broken(name="broken", checkpoint="ab9876543210")
    shelf = Shelf.of(FakeStudio(), coarse, broken)
    with running_app(shelf, tmp_path_factory.mktemp("gradio")) as address:
        yield address


def compared(open_page: OpenPage, url: str, tmp_path: Path, **options: Any) -> Page:
    page = open_page(url, **options)
    choose(page, photograph(tmp_path / "photo.png"))
    page.get_by_role("tab").nth(2).click()
    expect(page.locator("#compare-table tbody tr")).to_have_count(4)
    return page


def view(page: Page, name: str) -> Locator:
    return page.locator(f"#comparison .comparison-grid [data-view={name}]")


def test_every_way_has_its_picture_and_figures_and_one_that_fails_takes_none_along(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    page = open_page(url)
    page.get_by_role("tab", name="Compare").click()
    page.click("#go-edit")
    choose(page, photograph(tmp_path / "photo.png"))
    page.get_by_role("tab", name="Compare").click()
    rows = page.locator("#compare-table tbody tr")
    expect(page.locator("#compare-status")).to_contain_text("Compared at 256 × 160 pixels")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="fake").first).to_contain_text("2,880 B")  # 64 × 40 of 9 bits
    expect(rows.filter(has_text="coarse")).to_contain_text("720 B")
    for name in ("original", "fake", "coarse", "jpeg", "webp"):
        expect(view(page, name).locator("canvas")).to_be_visible()
    expect(view(page, "broken")).to_contain_text("Could not be compared")
    assert "secret detail" not in page.content()
    assert page.locator("#compare-chart .chart-wide .chart-point").count() == 3 + 2 + 2 * 9
    expect(page.locator("#compare-chart .chart-wide")).to_be_visible()
    expect(page.locator("#compare-chart .chart-narrow")).to_be_hidden()
    marks = page.locator("#compare-chart .chart-wide .chart-mark")
    fills = marks.evaluate_all("all => all.map((mark) => getComputedStyle(mark).stroke)")
    assert len(set(fills)) == 4  # a colour for each way
    # Another choice keeps what is known; SSIM draws the chart anew.
    page.locator("#compare-checkpoints label", has_text="broken").click()
    expect(view(page, "broken")).to_have_count(0)
    page.locator("#compare-measure label", has_text="SSIM").click()
    expect(page.locator("#compare-chart .chart-wide")).to_contain_text("SSIM, higher is better")
    page.get_by_role("tab", name="Edit").click()
    page.get_by_role("tab", name="Compare").click()
    expect(rows).to_have_count(4)


def test_the_line_by_mouse_and_keys_and_all_views_in_step(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    page = compared(open_page, url, tmp_path)
    line = page.locator("#comparison .comparison-split")
    expect(line).to_have_attribute("aria-valuenow", "50")
    line.focus()
    line.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "52")
    line.press("Home")
    expect(line).to_have_attribute("aria-valuenow", "0")
    pair = page.locator("#comparison .comparison-pair")
    pair.scroll_into_view_if_needed()
    box = pair.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    expect(line).to_have_attribute("aria-valuenow", "25")

    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.wheel(0, -300)
    expect(page.locator("#comparison .comparison-zoom")).not_to_have_text("1×")
    page.locator("#comparison [data-zoom=in]").click()
    places = page.locator("#comparison canvas").evaluate_all(f"all => all.map({PLACE})")
    assert len(places) == 2 + 5 and places[0][2] > 2
    np.testing.assert_allclose(places, [places[0]] * len(places), atol=0.01)

    before = view(page, "fake").locator("canvas").evaluate("canvas => canvas.toDataURL()")
    page.locator("#comparison [data-show=error]").click()
    after = view(page, "fake").locator("canvas").evaluate("canvas => canvas.toDataURL()")
    assert before != after
    black = "canvas => canvas.getContext('2d').getImageData(9, 9, 1, 1).data.slice(0, 3).join()"
    assert view(page, "original").locator("canvas").evaluate(black) == "0,0,0"


def test_in_korean_on_a_phone(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    phone: dict[str, Any] = {
        "viewport": {"width": 390, "height": 844},
        "locale": "ko-KR",
        "color_scheme": "dark",
        "has_touch": True,
        "is_mobile": True,
    }
    page = compared(open_page, url, tmp_path, **phone)
    expect(page.locator("#compare-status")).to_contain_text("비교했습니다")
    expect(page.locator("#comparison .comparison-hint")).to_contain_text("두 손가락으로")
    expect(page.locator("#compare-chart .chart-narrow")).to_be_visible()
    expect(page.locator("#compare-chart .chart-wide")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
