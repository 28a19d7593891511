"""Out and in, in a real browser: code maps, masks, the animation, links, and what is remembered."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from demo.shelf import Shelf
from tests.fake_studio import CHECKPOINT, FakeStudio
from tests.running_app import running_app
from tests.test_app_browser import (
    canvas_of,
    choose,
    expect_canvas,
    paint,
    photograph,
    set_variations,
    status,
)
from vq.code_file import CodeFile
from vq.pictures import read_mask

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bare = FakeStudio(priors=("pixelcnn",), name="bare", checkpoint="ba9876543210")
    with running_app(Shelf.of(FakeStudio(), bare), tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return photograph(tmp_path / "photo.png")


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def give(page: Page, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click(button)
    chooser.value.set_files(path)


def fold_out(page: Page, accordion: str) -> None:
    page.locator(f"{accordion} > button").click()


def count(page: Page) -> Locator:
    return page.locator("#canvas .codemap-count")


def resample(page: Page) -> None:
    paint(page, (10, 10), (20, 30))
    page.click("#resample")
    expect(page.locator("#keep")).to_be_visible()


def toast(page: Page) -> Locator:
    return page.locator(".toast-body").last


def test_a_code_map_goes_out_and_comes_back_byte_for_byte(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(url)
    fold_out(page, "#files")
    for button in ("#save-codes", "#save-mask", "#save-filling"):
        expect(page.locator(button)).to_be_disabled()
    choose(page, upload)
    resample(page)
    first = save(page, "#save-codes", tmp_path)
    assert first.name == "codebrush.codes"
    expect(status(page)).to_contain_text("40 × 64 codes of fake")
    file = CodeFile.load(first)
    assert file.checkpoint == CHECKPOINT and file.codes.shape == (40, 64)

    page = open_page(url)
    fold_out(page, "#files")
    give(page, "#open-codes", first)
    expect(status(page)).to_contain_text("256 × 160 pixels, worked on at 256 × 160")
    shown = canvas_of(page)
    (tmp_path / "again").mkdir()
    assert save(page, "#save-codes", tmp_path / "again").read_bytes() == first.read_bytes()

    # An edit of it, and then files that cannot be opened: a message each, and the work stays.
    resample(page)
    page.click("#keep")
    expect(page.locator("#undo")).to_be_enabled()
    edited = canvas_of(page)
    assert edited != shown
    broken = tmp_path / "broken.codes"
    broken.write_bytes(first.read_bytes()[:-7])
    give(page, "#open-codes", broken)
    expect(toast(page)).to_contain_text("ends too early")
    CodeFile("cafecafecafe", 512, file.codes).save(broken)
    give(page, "#open-codes", broken)
    expect(toast(page)).to_contain_text("checkpoint 'cafecafecafe'")
    give(page, "#open-codes", first)
    expect(status(page)).to_contain_text("open already, and your edits are still there")
    expect_canvas(page, edited)
    page.click("#undo")
    expect_canvas(page, shown)


def test_a_code_map_can_be_dropped_anywhere_and_chooses_its_checkpoint(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.codes"
    codes = FakeStudio().encode(FakeStudio().prepare(Image.open(photograph(tmp_path / "a.png"))))
    CodeFile("ba9876543210", 512, codes).save(path)
    page = open_page(url)
    expect(page.locator("#model input")).to_have_value("fake")
    drop = """(data) => {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "a.codes"));
        const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer });
        return !document.querySelector("#canvas").dispatchEvent(event);
    }"""
    expect(page.locator("#dropped-codes")).to_be_attached()
    assert page.evaluate(drop, base64.b64encode(path.read_bytes()).decode())
    expect(status(page)).to_contain_text("64 × 40 = 2,560 codes")
    expect(page.locator("#model input")).to_have_value("bare")


def test_a_mask_goes_out_and_comes_in_and_can_be_undone(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(url)
    choose(page, upload)
    fold_out(page, "#files")
    page.click("#save-mask")
    expect(toast(page)).to_contain_text("at least one cell")
    paint(page, (10, 10), (20, 30))
    painted = count(page).inner_text()
    path = save(page, "#save-mask", tmp_path)
    assert path.name == "codebrush-mask.png"
    expect(status(page)).to_contain_text("320 × 200 pixels")
    cells = int(painted.split()[0])
    assert read_mask(path, (320, 200)).sum() == cells * 5 * 5  # 5 × 5 pixels of the upload a code

    page.locator("#canvas [data-action=clear]").click()
    expect(count(page)).to_contain_text("0 of")
    give(page, "#open-mask", path)
    expect(status(page)).to_contain_text(f"{cells} codes are painted")
    expect(count(page)).to_have_text(painted)
    page.locator("#canvas [data-action=undo]").click()
    expect(count(page)).to_contain_text("0 of")
    page.locator("#canvas [data-action=redo]").click()
    expect(count(page)).to_have_text(painted)

    tall = tmp_path / "tall.png"
    Image.new("L", (200, 320), 255).save(tall)
    give(page, "#open-mask", tall)
    expect(toast(page)).to_contain_text("The mask is 200 × 320 pixels, the picture 320 × 200")
    expect(count(page)).to_have_text(painted)


def test_how_a_hole_was_filled_downloads_as_an_animation(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(url)
    choose(page, upload)
    expect(page.locator("#save-filling")).to_be_disabled()
    resample(page)
    path = save(page, "#save-filling", tmp_path)
    assert path.name == "codebrush.gif"
    with Image.open(path) as image:
        assert image.format == "GIF" and image.size == (256, 160)
        # 12 steps, the picture as it was, and the empty hole.
        assert getattr(image, "n_frames", 1) == 14
        for frame in range(14):
            image.seek(frame)
            image.load()
        assert image.info["duration"] > 1000  # the result stays longest
    expect(status(page)).to_contain_text("a GIF of 14 pictures")
    page.click("#keep")
    expect(status(page)).to_contain_text("Kept")
    assert save(page, "#save-filling", tmp_path).read_bytes() == path.read_bytes()
    page.click("#undo")
    expect(page.locator("#save-filling")).to_be_disabled()


def number(page: Page, setting: str) -> Locator:
    return page.locator(f"{setting} input[type=number]")


def change_settings(page: Page) -> None:
    fold_out(page, "#more")
    page.locator("#mode").get_by_label("Remove").check()
    page.locator("#prior").get_by_label("Side by side").check()
    page.locator("#label input").click()
    page.get_by_role("option", name="castle").click()
    set_variations(page, 4)
    page.locator("#random input").uncheck()
    for setting, value in (("#seed", "77"), ("#temperature", "1.1"), ("#top-k", "100")):
        number(page, setting).fill(value)
        number(page, setting).press("Tab")


def expect_settings(page: Page) -> None:
    fold_out(page, "#more")
    expect(page.locator("#mode").get_by_label("Remove")).to_be_checked()
    expect(page.locator("#prior").get_by_label("Side by side")).to_be_checked()
    expect(page.locator("#label input")).to_have_value("castle")
    expect(number(page, "#variations")).to_have_value("4")
    expect(page.locator("#random input")).not_to_be_checked()
    for setting, value in (("#seed", "77"), ("#temperature", "1.1"), ("#top-k", "100")):
        expect(number(page, setting)).to_have_value(value)


def expect_defaults(page: Page) -> None:
    expect(page.locator("#mode").get_by_label("Vary")).to_be_checked()
    expect(page.locator("#prior").get_by_label("Masked transformer")).to_be_checked()
    expect(page.locator("#label input")).to_have_value("No label")
    expect(number(page, "#variations")).to_have_value("1")
    expect(page.locator("#random input")).to_be_checked()
    for setting, value in (("#temperature", "0.9"), ("#top-k", "0")):
        expect(number(page, setting)).to_have_value(value)


def test_a_link_carries_the_settings_and_a_reload_keeps_them(open_page: OpenPage, url: str) -> None:
    page = open_page(url, permissions=["clipboard-read", "clipboard-write"])
    change_settings(page)
    page.click("#copy-link")
    expect(status(page)).to_contain_text("It carries no picture")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link in status(page).inner_text()
    assert link == f"{url}?prior=side+by+side&mode=remove&n=4&seed=77&label=castle&t=1.1&k=100"
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    page.click("#copy-link")
    expect(status(page)).to_contain_text("does not let the page copy. The link with these settings")
    expect(status(page)).to_contain_text(link)

    # Elsewhere, where nothing is remembered; one setting is out of range, another nonsense.
    other = open_page(f"{link}&p=7&quality=<b>best</b>")
    expect(toast(other)).to_contain_text("quality = '<b>best</b>', p = '7'")
    expect_settings(other)

    page.reload()
    expect_settings(page)
    # A link wins over what is remembered, for all it does not name as well.
    page.goto(f"{url}?n=2")
    expect(number(page, "#variations")).to_have_value("2")
    expect(page.locator("#mode").get_by_label("Vary")).to_be_checked()

    page.goto(url)
    expect_settings(page)
    page.click("#reset-settings")
    expect(status(page)).to_contain_text("as they were at first")
    expect_defaults(page)
    page.reload()
    fold_out(page, "#more")
    expect_defaults(page)


def test_a_link_names_the_checkpoint_and_what_belongs_to_it(open_page: OpenPage, url: str) -> None:
    page = open_page(f"{url}?model=bare&prior=pixelcnn&quality=1")
    expect(page.locator("#model input")).to_have_value("bare")
    expect(page.locator("#prior")).to_be_hidden()  # there is one only
    expect(page.locator("#quality-note")).to_contain_text("PixelCNN")
    page = open_page(f"{url}?model=bare&prior=masked")
    expect(toast(page)).to_contain_text("prior = 'masked'")
    expect(page.locator("#model input")).to_have_value("bare")


def test_files_on_a_phone_in_korean(
    open_page: OpenPage, url: str, upload: Path, tmp_path: Path
) -> None:
    page = open_page(
        url,
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        locale="ko-KR",
        color_scheme="dark",
    )
    choose(page, upload)
    resample(page)
    save(page, "#save-filling", tmp_path)
    expect(status(page)).to_contain_text("14장짜리 GIF")
    fold_out(page, "#files")
    expect(page.locator("#files")).to_contain_text("코드 맵은 작은")
    path = save(page, "#save-codes", tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    give(page, "#open-codes", path)
    expect(toast(page)).to_contain_text("중간에 끊겨 있습니다")
    fold_out(page, "#more")
    page.click("#reset-settings")
    expect(status(page)).to_contain_text("처음 값으로")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = [page.locator(one).bounding_box() for one in ("#download", "#save-filling")]
    assert tops[0] and tops[1] and tops[0]["y"] == tops[1]["y"]
    for button in ("#save-filling", "#save-codes", "#open-mask", "#copy-link"):
        box = page.locator(button).bounding_box()
        assert (
            box is not None
            and box["height"] >= 44
            and re.search("[가-힣]", page.locator(button).inner_text())
        )
