"""The Compare tab in a real browser: several checkpoints, one picture, every view in step."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from demo.drawing import error_map
from demo.shelf import Shelf
from tests.fake_studio import FakeStudio
from tests.running_app import running_app, until
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
CRISP = "canvas => getComputedStyle(canvas).imageRendering"


class Broken(FakeStudio):
    def encode(self, picture: np.ndarray) -> np.ndarray:
        raise RuntimeError("secret detail of a broken model")


class Counting(FakeStudio):
    """Counts how often a picture is coded."""

    coded = 0

    def encode(self, picture: np.ndarray) -> np.ndarray:
        self.coded += 1
        return super().encode(picture)


@pytest.fixture(scope="module")
def studio() -> FakeStudio:
    return FakeStudio()


@pytest.fixture(scope="module")
def coarse() -> Counting:
    return Counting(priors=(), name="coarse", checkpoint="ba9876543210", stride=8)


@pytest.fixture(scope="module")
def shelf(studio: FakeStudio, coarse: Counting) -> Shelf:
    return Shelf.of(studio, coarse, Broken(name="broken", checkpoint="ab9876543210"))


@pytest.fixture(scope="module")
def url(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(shelf, tmp_path_factory.mktemp("gradio")) as address:
        yield address


def compared(open_page: OpenPage, url: str, tmp_path: Path, **options: Any) -> Page:
    page = open_page(url, **options)
    choose(page, photograph(tmp_path / "photo.png"))
    page.get_by_role("tab").nth(2).click()
    expect(page.locator("#compare-table tbody tr")).to_have_count(4)
    return page


def pixels(place: Locator) -> np.ndarray:
    """What a canvas has `(H, W, 3)`."""
    url = place.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def side(page: Page, name: str) -> Locator:
    return page.locator(f"#comparison .comparison-side[data-side={name}]")


def view(page: Page, name: str) -> Locator:
    return page.locator(f"#comparison .comparison-grid [data-view='{name}']")


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
    # Searched codes come beside the nearest ones, with a row, a picture and points of their own.
    page.locator("#compare-search").get_by_role("checkbox").check()
    expect(rows).to_have_count(6)
    expect(rows.filter(has_text="fake, searched")).to_contain_text("2,880 B")
    expect(view(page, "fake//searched").locator("canvas")).to_be_visible()
    expect(page.locator("#compare-table")).to_contain_text(
        "fake, searched: 0.0% of the codes are not the nearest."  # 1 of 2,560
    )
    expect(page.locator("#compare-chart .chart-wide .chart-point")).to_have_count(
        2 * 3 + 2 * 2 + 18
    )
    page.locator("#compare-search").get_by_role("checkbox").uncheck()
    expect(rows).to_have_count(4)
    # Another choice keeps what is known; SSIM draws the chart anew.
    page.locator("#compare-checkpoints label", has_text="broken").click()
    expect(view(page, "broken")).to_have_count(0)
    page.locator("#compare-measure label", has_text="SSIM").click()
    expect(page.locator("#compare-chart .chart-wide")).to_contain_text("SSIM, higher is better")
    page.get_by_role("tab", name="Edit").click()
    page.get_by_role("tab", name="Compare").click()
    expect(rows).to_have_count(4)


def test_choosing_anew_or_leaving_ends_it_and_it_goes_on_where_it_was(
    open_page: OpenPage,
    url: str,
    tmp_path: Path,
    studio: FakeStudio,
    coarse: Counting,
    shelf: Shelf,
) -> None:
    def asked(times: int) -> None:
        """The prior has been asked so often, and is at work again."""
        until(lambda: len(studio.asked) == times and studio.closed_at_part is None)

    coarse.coded = 0
    studio.asked.clear()
    studio.hold_at_part = 2
    page = compared(open_page, url, tmp_path)
    edit, compare = (page.get_by_role("tab", name=name) for name in ("Edit", "Compare"))
    status = page.locator("#compare-status")
    expect(status).to_contain_text("Asking the prior of fake what its codes cost: 50%")
    asked(1)
    edit.click()
    until(lambda: studio.closed_at_part == 2)  # nobody is looking: the server has ended it
    compare.click()
    asked(2)
    # At once there and back again; and several choices, the last of which counts.
    edit.click()
    compare.click()
    asked(3)
    broken, webp = (
        page.locator(f"#compare-{kind} label", has_text=text)
        for kind, text in (("checkpoints", "broken"), ("codecs", "WebP"))
    )
    broken.click()
    expect(view(page, "broken")).to_have_count(0)
    asked(4)
    page.locator("#compare-measure label", has_text="SSIM").click()
    webp.click()
    broken.click()
    webp.click()
    broken.click()
    studio.hold_at_part = None
    expect(status).to_contain_text("Compared at")
    expect(view(page, "broken")).to_have_count(0)
    expect(view(page, "webp").locator("canvas")).to_be_visible()
    priced = page.locator("#compare-table tr", has_text="fake").locator("td").nth(3)
    expect(priced).not_to_have_text("–")
    expect(page.locator("#compare-chart .chart-wide")).to_contain_text("SSIM, higher is better")
    # All is known: coming back asks for nothing. But there is another on the shelf by now.
    times = len(studio.asked)
    newcomer = FakeStudio(priors=(), name="newcomer", checkpoint="aa9876543210")
    shelf.add("newcomer", lambda: newcomer)
    edit.click()
    compare.click()
    page.locator("#compare-checkpoints label", has_text="newcomer").click()
    expect(view(page, "newcomer").locator("canvas")).to_be_visible()
    expect(status).to_contain_text("Compared at")
    # One that has left the shelf since is not missed.
    shelf.remove("newcomer")
    broken.click()
    expect(view(page, "broken")).to_contain_text("Could not be compared")
    expect(view(page, "newcomer")).to_have_count(0)
    expect(page.locator("#compare-checkpoints label", has_text="newcomer")).to_have_count(0)
    assert len(studio.asked) == times and coarse.coded == 1
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_page_that_is_closed_ends_it(
    open_page: OpenPage, url: str, tmp_path: Path, studio: FakeStudio
) -> None:
    studio.hold_at_part = 3
    page = compared(open_page, url, tmp_path)
    expect(page.locator("#compare-status")).to_contain_text("75%")
    # And its connections: after `page.close()` alone the comparison once went on, nobody knows why.
    page.context.close()
    until(lambda: studio.closed_at_part == 3)
    studio.hold_at_part = None


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

    assert page.locator("#comparison canvas").first.evaluate(CRISP) == "pixelated"
    x, y, zoom = places[0]
    pair.press("ArrowLeft")
    moved = page.locator("#comparison canvas").first.evaluate(PLACE)
    np.testing.assert_allclose(moved, [min(0, x + 0.1), y, zoom], atol=0.01)
    small = view(page, "coarse").locator(".comparison-view")
    small.scroll_into_view_if_needed()
    box = small.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    page.mouse.up()
    places = page.locator("#comparison canvas").evaluate_all(f"all => all.map({PLACE})")
    np.testing.assert_allclose(places, [places[0]] * len(places), atol=0.01)
    np.testing.assert_allclose(places[0][:2], [moved[0] - 0.1, moved[1] - 0.1], atol=0.02)
    pair.press("0")
    expect(page.locator("#comparison .comparison-zoom")).to_have_text("1×")


def test_errors_are_those_of_the_pictures_and_any_two_lie_under_the_line(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    page = compared(open_page, url, tmp_path)
    expect(page.locator("#compare-status")).to_contain_text("Compared at")
    page.locator("#comparison select[data-side=left]").select_option("coarse")
    page.locator("#comparison select[data-side=right]").select_option("jpeg")
    original, coarse = (pixels(view(page, name)) for name in ("original", "coarse"))
    assert original.shape == (160, 256, 3)
    np.testing.assert_array_equal(pixels(side(page, "left")), coarse)
    page.locator("#comparison .comparison-pair").press("e")
    expect(page.locator("#comparison .comparison-legend")).to_be_visible()
    expected = error_map(original, coarse).astype(int)
    # The browser has 256 of the scale's colours.
    assert np.abs(pixels(view(page, "coarse")) - expected).max() <= 4
    np.testing.assert_array_equal(pixels(side(page, "left")), pixels(view(page, "coarse")))
    assert not pixels(view(page, "original")).any()


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
    # One finger draws the line, two zoom all pictures.
    pair, line = page.locator("#comparison .comparison-pair"), page.locator(".comparison-split")
    pair.evaluate("pair => pair.scrollIntoView({ block: 'center' })")
    box = pair.bounding_box()
    assert box is not None
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + u * box["width"], "y": box["y"] + v * box["height"], "id": i}
            for i, (u, v) in enumerate(places)
        ]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.5, 0.5))
    touch("touchMove", (0.6, 0.5))
    touch("touchMove", (0.8, 0.5))
    touch("touchEnd")
    expect(line).to_have_attribute("aria-valuenow", "80")
    touch("touchStart", (0.4, 0.3))
    touch("touchStart", (0.4, 0.3), (0.6, 0.3))
    touch("touchMove", (0.3, 0.3), (0.7, 0.3))
    touch("touchMove", (0.2, 0.3), (0.8, 0.3))
    touch("touchEnd")
    expect(page.locator("#comparison .comparison-zoom")).to_have_text("3×")
    places = page.locator("#comparison canvas").evaluate_all(f"all => all.map({PLACE})")
    np.testing.assert_allclose(places, [places[0]] * len(places), atol=0.01)
    expect(page.locator("#compare-chart .chart-narrow")).to_be_visible()
    expect(page.locator("#compare-chart .chart-wide")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
