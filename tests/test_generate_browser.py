"""The Generate tab as a person uses it, in a real browser, on a studio without models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from demo.jobs import Settings
from tests.fake_studio import MAP_SIZE, STRIDE, FakeStudio
from tests.running_app import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

OpenPage = Callable[..., "Page"]
SIDE = MAP_SIZE[0] * STRIDE


class Untouched(FakeStudio):
    """Counts what is encoded: a picture sent to the Edit tab has its codes already."""

    encoded = 0

    def encode(self, picture: np.ndarray) -> np.ndarray:
        self.encoded += 1
        return super().encode(picture)


@pytest.fixture(scope="module")
def studio() -> Untouched:
    return Untouched(("masked", "pixelcnn"))


@pytest.fixture(autouse=True)
def calm(studio: Untouched) -> None:
    studio.hold_at_step = studio.fail_at_step = studio.closed_at_step = None
    studio.encoded = 0


def open_tab(page: Page, name: str = "Generate") -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#generate-gallery")).to_have_count(0)


def status(page: Page) -> Locator:
    return page.locator("#generate-status p")


def tiles(page: Page) -> Locator:
    return page.locator("#generate-gallery .grid-container img")


def pixels(page: Page, index: int) -> np.ndarray:
    """What a tile shows, (H, W, 4) uint8, once it has arrived."""
    values = (
        tiles(page)
        .nth(index)
        .evaluate(
            """async (image) => {
            await image.decode();
            const [width, height] = [image.naturalWidth, image.naturalHeight];
            const context = new OffscreenCanvas(width, height).getContext("2d");
            context.drawImage(image, 0, 0);
            return [height, width, [...context.getImageData(0, 0, width, height).data]];
        }"""
        )
    )
    return np.array(values[2], np.uint8).reshape(values[0], values[1], 4)


def made(studio: FakeStudio, count: int, settings: Settings) -> np.ndarray:
    """Codes (count, h, w) that the studio makes when it is asked directly."""
    *_, last = studio.generate(count, settings)
    return last.codes


def test_generate_choose_save_and_send_to_edit(
    open_page: OpenPage, url: str, studio: Untouched, tmp_path: Path
) -> None:
    page = open_page(url)
    open_tab(page)
    expect(page.locator("#generate-empty")).to_contain_text("Given no picture at all")
    page.locator("#generate-label input").click()
    page.get_by_role("option", name="castle").click()
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("8 pictures in")
    expect(page.locator("#generate-empty")).to_be_hidden()
    settings = studio.settings
    assert settings is not None and (settings.label, settings.steps) == ("castle", 32)
    expect(status(page)).to_contain_text(f"seeds {settings.seed} to {settings.seed + 7}")
    expect(tiles(page)).to_have_count(8)
    codes = made(studio, 8, settings)
    for i in (0, 7):
        shown = pixels(page, i)
        np.testing.assert_array_equal(shown[..., :3], studio.decode(codes[i]))
        assert (shown[..., 3] == 255).all()

    for button in ("#generate-send", "#generate-save"):
        expect(page.locator(button)).to_be_disabled()
    tiles(page).nth(5).click()
    expect(page.locator("#generate-caption")).to_have_text(
        f"Picture 6 of 8: castle, seed {settings.seed + 5}."
    )
    for button, size in (("#generate-save", SIDE), ("#generate-save-all", 4 * SIDE + 6)):
        with page.expect_download() as download:
            page.click(button)
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        with Image.open(file) as saved:
            assert saved.format == "PNG" and saved.width == size
            if size == SIDE:
                assert file.name == f"codebrush-{settings.seed + 5}.png"
                np.testing.assert_array_equal(np.asarray(saved), studio.decode(codes[5]))

    page.click("#generate-send")
    expect(page.locator("#status p")).to_contain_text(f"{SIDE} × {SIDE} pixels, worked on at")
    expect(page.locator("#canvas .codemap-overlay")).to_be_in_viewport()
    expect(page.locator("#picture img").first).to_be_visible()
    assert studio.encoded == 0
    # An upload comes after it as if nothing had been sent.
    page.locator("#examples button").first.click()
    expect(page.locator("#status p")).to_contain_text("worked on at 256 × 256")
    assert studio.encoded == 1


def test_the_grid_fills_and_stop_keeps_what_there_is(
    open_page: OpenPage, url: str, studio: Untouched
) -> None:
    page = open_page(url)
    open_tab(page)
    page.locator("#generate-prior").get_by_label("PixelCNN").check()
    expect(page.locator("#generate-quality")).to_be_hidden()
    page.locator("#generate-more button").first.click()
    expect(page.locator("#generate-temperature input[type=number]")).to_have_value("1")
    page.locator("#generate-random").get_by_role("checkbox").uncheck()
    page.locator("#generate-seed input").fill("40")
    studio.hold_at_step = 12
    page.click("#generate")
    expect(status(page)).to_have_text("Pictures 1 to 4 of 8: row 12 of 32.")
    expect(tiles(page)).to_have_count(8)
    page.wait_for_timeout(300)
    opaque = [int((pixels(page, i)[..., 3] == 255).sum()) // STRIDE**2 for i in range(8)]
    # 12 of 32 parts of the map, and nothing yet of the second four.
    assert opaque == [96] * 4 + [0] * 4
    tiles(page).nth(1).click()
    expect(page.locator("#generate-caption")).to_contain_text("Picture 2 of 8 is not finished")
    expect(page.locator("#generate-send")).to_be_disabled()

    studio.hold_at_step = None
    expect(status(page)).to_contain_text("8 pictures in")
    studio.hold_at_step = 20
    page.click("#generate")
    expect(status(page)).to_contain_text("row 20 of 32")
    page.click("#generate-stop")
    expect(status(page)).to_have_text(
        "Stopped: 0 of 8 pictures are finished. All that is there stays."
    )
    until(lambda: studio.closed_at_step == 20)
    assert 0 < (pixels(page, 3)[..., 3] == 255).mean() < 1
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator("#generate-stop")).to_be_disabled()

    studio.hold_at_step = None
    page.locator("#generate-count").get_by_label("12").check()
    page.click("#generate")
    expect(status(page)).to_contain_text("12 pictures in")
    # The same seeds, whatever the size of the grid.
    assert studio.settings is not None and studio.settings.seed == 40
    alone = made(studio, 1, Settings(**{**vars(studio.settings), "seed": 51}))
    np.testing.assert_array_equal(pixels(page, 11)[..., :3], studio.decode(alone[0]))


def test_a_failure_says_so_and_keeps_the_grid(
    open_page: OpenPage, url: str, studio: Untouched
) -> None:
    page = open_page(url, ("failed",))
    open_tab(page)
    page.click("#generate")
    expect(status(page)).to_contain_text("8 pictures in")
    before = pixels(page, 0)
    studio.fail_at_step = 1
    page.click("#generate")
    expect(page.locator(".toast-body")).to_contain_text("Something went wrong on the server")
    expect(status(page)).to_contain_text("Stopped: 8 of 8")
    assert "secret detail" not in page.content()
    np.testing.assert_array_equal(pixels(page, 0), before)


def test_in_korean_on_a_phone_in_the_dark(open_page: OpenPage, url: str, studio: Untouched) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        color_scheme="dark",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    open_tab(page, "생성")
    expect(page.locator("#generate-empty")).to_contain_text("사전 모델은")
    page.locator("#generate").tap()
    expect(status(page)).to_contain_text("그림 8개를")
    # What runs it and what it says are in reach, beside the grid.
    for name in ("#generate", "#generate-status", "#generate-gallery"):
        expect(page.locator(name)).to_be_in_viewport()
    tiles(page).nth(2).tap()
    expect(page.locator("#generate-caption")).to_contain_text("8개 중 3번")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Nothing ends below the bar, and a picture keeps its shape.
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    last, bar = (page.locator(name).bounding_box() for name in ("#generate-more", ".bar"))
    assert last is not None and bar is not None and last["y"] + last["height"] <= bar["y"]
    tile = tiles(page).nth(2).bounding_box()
    assert tile is not None and abs(tile["width"] - tile["height"]) <= 1
    page.locator("#generate-send").evaluate("button => button.scrollIntoView({block: 'center'})")
    page.locator("#generate-send").tap()
    expect(page.locator("#status p")).to_contain_text(re.compile(f"{SIDE} × {SIDE} 픽셀"))
    assert studio.encoded == 0
