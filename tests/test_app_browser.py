"""The page as a person uses it, in a real browser, on a studio without models.

`open_page` fails a test for any request to another host and any error on the console.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.fake_studio import STRIDE, FakeStudio
from tests.running_app import until

if TYPE_CHECKING:
    from gradio_client import Client
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
expect.set_options(timeout=30_000)  # the machine may be busy

OpenPage = Callable[..., "Page"]
# The validator's verdict travels as HTTP 422, which the browser reports.
UNPAINTED = ("422",)


@pytest.fixture(autouse=True)
def calm(studio: FakeStudio) -> None:
    studio.hold_at_step = studio.fail_at_step = studio.closed_at_step = None


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return photograph(tmp_path / "photo.png")


def photograph(path: Path) -> Path:
    """A file of 320 × 200 pixels: worked on at 256 × 160, in 64 × 40 codes."""
    y, x = np.mgrid[0:200, 0:320]
    smooth = np.stack([x * 0.7, y, 255 - x * 0.5], -1)
    noise = np.random.default_rng(0).normal(0, 12, smooth.shape)
    Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(path)
    return path


def choose(page: Page, path: Path) -> None:
    page.locator("#picture input[type=file]").first.set_input_files(path)
    expect(page.locator(".codemap-count")).to_contain_text("0")
    expect(page.locator("#resample")).to_be_enabled()


def at(
    page: Page, row: float, column: float, rows: int = 40, columns: int = 64
) -> tuple[float, float]:
    """Where on the screen a cell of the map is."""
    box = page.locator("#canvas .codemap-overlay").bounding_box()
    assert box is not None
    return box["x"] + (column + 0.5) * box["width"] / columns, box["y"] + (row + 0.5) * box[
        "height"
    ] / rows


def paint(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    page.locator("#canvas .codemap-overlay").scroll_into_view_if_needed()
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=6)
    page.mouse.up()
    expect(page.locator(".codemap-count")).not_to_have_text(re.compile(r"^0 "))


def canvas_of(page: Page) -> str:
    """What the picture's canvas shows, as one long text."""
    page.wait_for_timeout(150)  # until a new picture is decoded and drawn
    return page.locator("#canvas .codemap-base").evaluate("canvas => canvas.toDataURL()")


def expect_canvas(page: Page, shown: str) -> None:
    """Wait until the canvas shows just this."""
    page.wait_for_function(
        "shown => document.querySelector('#canvas .codemap-base').toDataURL() === shown", arg=shown
    )


def status(page: Page) -> Locator:
    return page.locator("#status p")


def set_variations(page: Page, number: int) -> None:
    field = page.locator("#variations input[type=number]")
    field.fill(str(number))
    field.press("Tab")


def test_open_paint_resample_choose_keep_undo_download(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio, tmp_path: Path
) -> None:
    page = open_page(url, UNPAINTED)
    expect(status(page)).to_contain_text("Open a picture to begin")
    expect(page.locator("#resample")).to_be_disabled()
    choose(page, upload)
    expect(status(page)).to_contain_text(
        "320 × 200 pixels, worked on at 256 × 160: 64 × 40 = 2,560"
    )
    original = canvas_of(page)

    # Nothing is painted: the canvas says what is missing, and nothing starts.
    studio.settings = None
    page.click("#resample")
    expect(page.locator("#canvas")).to_contain_text("Paint at least one cell")
    assert studio.settings is None

    paint(page, (10, 10), (20, 30))
    set_variations(page, 3)
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("3 variations of")
    assert studio.settings is not None and studio.settings.variations == 3
    seeds = re.search(r"with seeds (\d+) to (\d+)", status(page).inner_text())
    assert seeds is not None and int(seeds[2]) == int(seeds[1]) + 2 == studio.settings.seed + 2
    first = canvas_of(page)
    assert first != original
    page.locator("#gallery button").nth(1).click()
    expect(status(page)).to_contain_text(f"Variation 2 of 3: seed {studio.settings.seed + 1} · ")
    second = canvas_of(page)
    assert second not in (first, original)
    # Undo waits for the decision.
    expect(page.locator("#undo")).to_be_disabled()

    page.click("#keep")
    expect(status(page)).to_contain_text("Kept: edit 1 of 1")
    expect(page.locator(".codemap-count")).to_contain_text("0 of 2560")
    expect_canvas(page, second)
    page.click("#undo")
    expect(status(page)).to_contain_text("edit 0 of 1")
    expect_canvas(page, original)
    page.click("#redo")
    expect(status(page)).to_contain_text("edit 1 of 1")
    expect_canvas(page, second)

    with page.expect_download() as download:
        page.click("#download")
    file = tmp_path / "download.png"
    download.value.save_as(file)
    assert download.value.suggested_filename == "codebrush.png"
    with Image.open(file) as saved, Image.open(upload) as source:
        assert saved.format == "PNG" and saved.size == source.size
        same = (np.asarray(saved.convert("RGB")) == np.asarray(source)).all(-1)
    assert same[:40].all() and same[-70:].all()  # far from the stroke
    assert not same.all()


def test_steps_are_shown_and_stop_stops(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(url)
    choose(page, upload)
    paint(page, (5, 5), (5, 40))
    count = page.locator(".codemap-count").inner_text()
    original = canvas_of(page)
    studio.hold_at_step = 2
    page.click("#resample")
    expect(status(page)).to_contain_text("Masked transformer, step 2 of 12")
    assert canvas_of(page) != original
    expect(page.locator("#resample")).to_be_disabled()
    page.click("#stop")
    expect(status(page)).to_have_text("Stopped. Your picture and your mask are as they were.")
    expect(page.locator("#resample")).to_be_enabled()
    expect_canvas(page, original)
    assert page.locator(".codemap-count").inner_text() == count
    until(lambda: studio.closed_at_step == 2)

    # It was only stopped: the same mask runs again, and can be discarded.
    studio.hold_at_step = None
    page.click("#resample")
    expect(status(page)).to_contain_text("codes filled in")
    page.click("#discard")
    expect(status(page)).to_contain_text("Discarded")
    expect_canvas(page, original)
    assert page.locator(".codemap-count").inner_text() == count
    expect(page.locator("#keep")).to_be_hidden()


def test_a_failure_says_so_keeps_everything_and_tells_nothing(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(url, ("failed",))
    choose(page, upload)
    paint(page, (5, 5), (8, 20))
    original = canvas_of(page)
    studio.fail_at_step = 2
    page.click("#resample")
    expect(status(page)).to_contain_text("Stopped. Your picture and your mask are as they were.")
    expect(page.locator(".toast-body")).to_contain_text("Nothing of yours was lost")
    assert "secret detail" not in page.content()
    expect_canvas(page, original)
    studio.fail_at_step = None
    page.click("#resample")
    expect(status(page)).to_contain_text("codes filled in")


def test_a_broken_picture_is_refused_and_the_one_at_work_stays(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(url)
    choose(page, upload)
    original = canvas_of(page)
    broken = tmp_path / "broken.png"
    broken.write_bytes(upload.read_bytes()[:3000])
    page.locator("#picture input[type=file]").first.set_input_files(broken)
    expect(page.locator(".toast-body")).to_be_visible()
    expect_canvas(page, original)
    expect(page.locator("#resample")).to_be_enabled()

    page.locator("#picture").get_by_label("Remove Image").click()
    expect(status(page)).to_contain_text("Open a picture to begin")
    expect(page.locator("#resample")).to_be_disabled()
    expect(page.locator("#canvas")).to_contain_text("No picture yet")


def test_a_picture_can_be_pasted_or_dropped_anywhere(
    open_page: OpenPage, url: str, upload: Path
) -> None:
    page = open_page(url)
    expect(page.locator("#canvas")).to_contain_text("No picture yet")
    give = """([kind, data]) => {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "photo.png", { type: "image/png" }));
        const options = { bubbles: true, cancelable: true };
        const event = kind === "paste"
            ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
            : new DragEvent("drop", { ...options, dataTransfer: transfer });
        return !document.querySelector("#canvas").dispatchEvent(event);
    }"""
    for kind, width in (("paste", 320), ("drop", 160)):
        with Image.open(upload) as image:
            buffer = io.BytesIO()
            image.crop((0, 0, width, 200)).save(buffer, "PNG")
        # The browser itself must do nothing with it: it would leave the page for a dropped file.
        assert page.evaluate(give, [kind, base64.b64encode(buffer.getvalue()).decode()])
        expect(status(page)).to_contain_text(f"{width} × 200 pixels")
    expect(page.locator("#resample")).to_be_enabled()


def test_after_a_reload_the_page_starts_afresh(open_page: OpenPage, url: str, upload: Path) -> None:
    page = open_page(url)
    choose(page, upload)
    page.reload()
    expect(status(page)).to_contain_text("Open a picture to begin")
    expect(page.locator("#resample")).to_be_disabled()
    choose(page, upload)
    paint(page, (5, 5), (8, 20))
    page.click("#resample")
    expect(status(page)).to_contain_text("codes filled in")


def test_korean_dark_on_a_phone_with_a_finger(
    open_page: OpenPage, url: str, upload: Path, studio: FakeStudio
) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        color_scheme="dark",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    expect(status(page)).to_contain_text("사진을 열어 시작하세요")
    choose(page, upload)
    expect(status(page)).to_contain_text("320 × 200 픽셀")
    overlay = page.locator("#canvas .codemap-overlay")
    overlay.scroll_into_view_if_needed()
    page.touchscreen.tap(*at(page, 20, 30))
    expect(page.locator(".codemap-count")).not_to_have_text(re.compile("중 0개"))
    # Run and decide without leaving the canvas: both are on the screen with it.
    page.locator("#resample").tap()
    expect(status(page)).to_contain_text("채웠습니다")
    for name in ("#canvas .codemap-overlay", "#resample", "#keep", "#discard"):
        expect(page.locator(name)).to_be_in_viewport()
    page.locator("#keep").tap()
    expect(status(page)).to_contain_text("적용했습니다")
    page.get_by_role("tab", name="비교").tap()
    expect(page.locator("#comparison")).to_contain_text("원본")
    # Nothing is wider than the screen, and the page is dark.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    red, green, blue = re.findall(
        r"\d+",
        page.evaluate(
            "getComputedStyle(document.querySelector('.gradio-container')).backgroundColor"
        ),
    )[:3]
    assert max(int(red), int(green), int(blue)) < 60


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    from gradio_client import Client

    client = Client(url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def test_a_program_can_inpaint(
    client: Client, upload: Path, tmp_path: Path, studio: FakeStudio
) -> None:
    from gradio_client import handle_file

    mask = np.zeros((200, 320), np.uint8)
    mask[50:90, 100:180] = 255
    mask_path = tmp_path / "mask.png"
    Image.fromarray(mask).save(mask_path)

    def inpaint(**arguments: Any) -> np.ndarray:
        files = {"picture": handle_file(upload), "mask": handle_file(mask_path)}
        result = client.predict(**{**files, **arguments}, api_name="/inpaint")
        with Image.open(result) as image:
            assert image.format == "PNG"
            return np.asarray(image.convert("RGB"))

    result = inpaint(seed=7)
    with Image.open(upload) as image:
        original = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(result[mask == 0], original[mask == 0])
    assert (result[mask == 255] != original[mask == 255]).any()
    np.testing.assert_array_equal(inpaint(seed=7), result)
    inpaint(seed=7, prior="pixelcnn", particles=3, steps=5)
    assert studio.settings is not None
    assert (studio.settings.prior, studio.settings.particles) == ("pixelcnn", 3)
    assert studio.settings.steps == 5
    assert (inpaint(seed=8) != result).any()

    secret = tmp_path / "secret.png"
    Image.new("RGB", (320, 200)).save(secret)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, not -1"),
        ({"temperature": 0}, "temperature must be a number from 0.05 to 5, not 0"),
        ({"particles": 65}, "particles must be a whole number from 1 to 64, not 65"),
        ({"mode": "<b>"}, "mode '&lt;b&gt;' is not known. Known: vary, remove"),
        ({"mask": {"path": str(secret)}}, "mask must be a file that was uploaded"),
        ({"picture": None}, "picture must be a file that was uploaded"),
    ]
    for wrong, message in cases:
        with pytest.raises(Exception, match=re.escape(message)):
            inpaint(**wrong)


def test_the_fake_studios_pictures_are_what_the_page_expects() -> None:
    """Its codes stand for its pictures, as a real studio's do: else these tests prove little."""
    studio = FakeStudio()
    buffer = io.BytesIO()
    Image.new("RGB", (40, 24), (200, 30, 90)).save(buffer, "PNG")
    picture = studio.prepare(Image.open(buffer))
    codes = studio.encode(picture)
    assert codes.shape == (24 // STRIDE, 40 // STRIDE)
    assert np.abs(studio.decode(codes).astype(int) - picture).max() <= 16
    np.testing.assert_array_equal(studio.encode(studio.decode(codes)), codes)
