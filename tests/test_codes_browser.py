"""The Codes tab in a real browser, on a studio without models: pointer, keys and colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from demo.code_sheet import nearest_codes, sheet_columns, sheet_order
from demo.drawing import ERROR_LIMIT, error_colours
from tests.fake_studio import LEVELS, FakeStudio

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

OpenPage = Callable[..., "Page"]
K = LEVELS**3
ROWS, COLS = 16, 24
# The canvas is drawn once a frame at most, so two frames later it is as it should be.
COLOURS = """async (canvas, [rows, cols]) => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const middle = (cell, cells, pixels) => Math.floor((cell + 0.5) * pixels / cells);
    const at = (row, col) => 4 * (middle(row, rows, height) * width + middle(col, cols, width));
    return Array.from({ length: rows }, (_, row) =>
        Array.from({ length: cols }, (_, col) => [...data.slice(at(row, col), at(row, col) + 4)]));
}"""
# Whether there is a line of a mark around the middle of each square.
OUTLINED = """async (canvas, [rows, cols]) => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const set = (x, y) => data[4 * (Math.min(height - 1, y) * width + Math.min(width - 1, x)) + 3];
    const edge = (cell, cells, pixels) => Math.max(1, Math.ceil(cell * pixels / cells - 0.5));
    const half = (cell, cells, pixels) => Math.floor((cell + 0.5) * pixels / cells);
    return Array.from({ length: rows }, (_, row) => Array.from({ length: cols }, (_, col) => {
        const [x, y] = [half(col, cols, width), half(row, rows, height)];
        const [left, right] = [edge(col, cols, width), edge(col + 1, cols, width) - 2];
        const [top, bottom] = [edge(row, rows, height), edge(row + 1, rows, height) - 2];
        return [set(left, y), set(right, y), set(x, top), set(x, bottom)].some(Boolean);
    }));
}"""


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """24 × 16 codes, some of them at many places: a few colours, and noise in a corner."""
    rng = np.random.default_rng(3)
    few = rng.integers(0, 256, (6, 3), dtype=np.uint8)
    cells = few[rng.integers(0, 6, (ROWS, COLS))]
    cells[:6, :6] = rng.integers(0, 256, (6, 6, 3))
    return cells.repeat(4, 0).repeat(4, 1)


@pytest.fixture(scope="module")
def codes(studio: FakeStudio, picture: np.ndarray) -> np.ndarray:
    return studio.encode(picture)


@pytest.fixture(scope="module")
def file(picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "picture.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="module")
def order(studio: FakeStudio) -> np.ndarray:
    return sheet_order(studio.code_book().vectors, sheet_columns(K))


class Codes:
    """The tab, with a picture open."""

    def __init__(self, page: Page, file: Path, tab: str = "Codes") -> None:
        self.page = page
        page.locator("#picture input[type=file]").first.set_input_files(file)
        expect(page.locator("#resample")).to_be_enabled()
        page.get_by_role("tab", name=tab, exact=True).click()
        self.map, self.sheet = (page.locator(f".explorer-{name}") for name in ("map", "sheet"))
        expect(self.map).to_be_visible()
        expect(self.sheet).to_be_visible()
        self.title = page.locator(".explorer-facts strong")
        self.near = page.locator(".explorer-near:not([hidden])")

    def place(
        self, board: Locator, row: int, col: int, rows: int, cols: int
    ) -> tuple[float, float]:
        board.evaluate("board => board.scrollIntoView({ block: 'center' })")
        box = board.bounding_box()
        assert box is not None
        x, y = (col + 0.5) * box["width"] / cols, (row + 0.5) * box["height"] / rows
        return box["x"] + x, box["y"] + y

    def cell(self, row: int, col: int) -> tuple[float, float]:
        return self.place(self.map, row, col, ROWS, COLS)

    def square(self, place: int) -> tuple[float, float]:
        columns = sheet_columns(K)
        return self.place(self.sheet, *divmod(place, columns), -(-K // columns), columns)

    def colours(self, board: Locator, rows: int, cols: int) -> np.ndarray:
        """RGBA of every square's middle (rows, cols, 4)."""
        return np.array(board.locator(".codemap-base").evaluate(COLOURS, [rows, cols]))

    def marked_cells(self) -> np.ndarray:
        return np.array(self.map.locator(".codemap-overlay").evaluate(OUTLINED, [ROWS, COLS]))

    def marked_squares(self) -> np.ndarray:
        """bool (K,), by place on the sheet."""
        columns = sheet_columns(K)
        overlay = self.sheet.locator(".codemap-overlay")
        return np.array(overlay.evaluate(OUTLINED, [-(-K // columns), columns])).ravel()[:K]

    def away(self) -> None:
        self.page.evaluate("scrollTo(0, 0)")
        self.page.mouse.move(2, 2)

    def show(self, colours: str) -> None:
        self.page.locator(f"[data-colours={colours}]").click()


@pytest.fixture(scope="module")
def shared(open_shared_page: OpenPage, url: str, file: Path) -> Codes:
    return Codes(open_shared_page(url), file)


@pytest.fixture
def tab(shared: Codes) -> Codes:
    """The tab as it is at first: loading the page takes much longer."""
    unpin = shared.page.locator(".explorer-unpin")
    if unpin.is_visible():
        unpin.click()
    shared.away()
    shared.show("similarity")
    shared.page.locator("[data-sheet=patches]").click()
    expect(shared.title).to_have_text("")
    return shared


def near_shown(tab: Codes) -> list[int]:
    return [int(button.get_attribute("data-code") or -1) for button in tab.near.all()]


def test_pointing_at_a_cell_tells_all_of_its_code(
    tab: Codes, codes: np.ndarray, studio: FakeStudio, order: np.ndarray
) -> None:
    code = codes[10, 20]
    tab.page.mouse.move(*tab.cell(10, 20))
    expect(tab.title).to_have_text(f"Code {code}")
    count = int((codes == code).sum())
    assert count > 20
    expect(tab.page.locator(".explorer-places")).to_contain_text(f"at {count} of 384 places")
    expect(tab.page.locator(".explorer-cell")).to_have_text("row 10, column 20")
    nearest = nearest_codes(studio.code_book().vectors)
    assert near_shown(tab) == nearest.codes[code].tolist()
    expect(tab.near.first.locator("span")).to_have_text(f"{nearest.distances[code, 0]:.2f}")
    # Where else it stands, and on the sheet itself and its neighbours.
    same = codes == code
    beside = same.copy()  # a line between two cells is drawn on both
    for axis in (0, 1):
        for shift in (-1, 1):
            beside |= np.roll(same, shift, axis)
    marked = tab.marked_cells()
    assert marked[same].any(axis=0) and not marked[~beside].any()
    marked = tab.marked_squares()
    assert marked[np.isin(order, [code, *nearest.codes[code]])].all()
    assert marked.sum() < 60
    tab.away()
    expect(tab.title).to_have_text("")
    assert not tab.marked_cells().any() and not tab.marked_squares().any()


def test_patches_alone_and_in_the_picture(
    tab: Codes, codes: np.ndarray, studio: FakeStudio
) -> None:
    tab.page.mouse.move(*tab.cell(9, 8))
    expect(tab.title).to_have_text(f"Code {codes[9, 8]}")
    canvas = tab.page.locator(".explorer-alone")
    np.testing.assert_array_equal(
        np.array(canvas.evaluate(COLOURS, [1, 1]))[0, 0, :3], studio.palette()[codes[9, 8]]
    )
    context = np.array(tab.page.locator(".explorer-context").evaluate(COLOURS, [5, 5]))
    around = studio.palette()[codes[7:12, 6:11]]
    np.testing.assert_array_equal(context[..., :3], around)
    tab.page.mouse.move(*tab.cell(0, 0))  # beyond the picture's edge is nothing
    expect(tab.title).to_have_text(f"Code {codes[0, 0]}")
    context = np.array(tab.page.locator(".explorer-context").evaluate(COLOURS, [5, 5]))
    assert (context[:2, :, 3] == 0).all() and (context[:, :2, 3] == 0).all()
    np.testing.assert_array_equal(context[2:, 2:, :3], studio.palette()[codes[:3, :3]])


def test_clicking_works_both_ways(tab: Codes, codes: np.ndarray, order: np.ndarray) -> None:
    code = codes[12, 3]
    place = int(np.flatnonzero(order == code)[0])
    tab.page.mouse.click(*tab.cell(12, 3))
    tab.away()
    expect(tab.title).to_have_text(f"Code {code}")  # it stays
    assert tab.marked_squares()[place] and tab.marked_cells()[codes == code].all()

    other = codes[3, 3]
    assert other != code
    tab.page.mouse.click(*tab.square(int(np.flatnonzero(order == other)[0])))
    tab.away()
    expect(tab.title).to_have_text(f"Code {other}")
    assert tab.marked_cells()[codes == other].all()
    # One that is not in the picture.
    unused = next(i for i, one in enumerate(order) if one not in codes)
    tab.page.mouse.click(*tab.square(unused))
    expect(tab.page.locator(".explorer-places")).to_have_text("nowhere in this picture")
    assert not tab.marked_cells().any()
    # A neighbour takes its place; the same once more lets go.
    neighbour = near_shown(tab)[0]
    tab.near.first.click()
    expect(tab.title).to_have_text(f"Code {neighbour}")
    tab.page.locator(".explorer-unpin").click()
    tab.away()
    expect(tab.title).to_have_text("")


def test_unused_codes_are_small_and_dim(
    tab: Codes, codes: np.ndarray, order: np.ndarray, studio: FakeStudio
) -> None:
    columns = sheet_columns(K)
    rows = -(-K // columns)
    colours = tab.colours(tab.sheet, rows, columns).reshape(-1, 4)[:K]
    used = np.isin(order, codes)
    assert 10 < used.sum() < 60
    assert (colours[used, 3] == 255).all() and (colours[~used, 3] < 128).all()
    np.testing.assert_array_equal(colours[used, :3], studio.palette()[order[used]])
    expect(tab.page.locator(".explorer-used")).to_contain_text(f"{used.sum()} of {K} codes")


def test_every_colouring_is_what_it_says(tab: Codes, codes: np.ndarray, studio: FakeStudio) -> None:
    def map_colours() -> np.ndarray:
        return tab.colours(tab.map, ROWS, COLS)[..., :3]

    heat = error_colours(np.linspace(0, ERROR_LIMIT, 256))
    np.testing.assert_array_equal(map_colours(), studio.palette()[codes])  # its palette

    tab.show("decoded")
    assert np.abs(map_colours().astype(int) - studio.palette()[codes]).max() <= 1

    tab.show("codes")
    distinct = map_colours().reshape(-1, 3)
    pairs = {
        (code, *colour) for code, colour in zip(codes.ravel(), map(tuple, distinct), strict=True)
    }
    assert len(pairs) == len(np.unique(codes))  # one colour a code ...
    assert len(np.unique(distinct, axis=0)) > 0.9 * len(pairs)  # ... and hardly one for two

    tab.show("frequency")
    counts = np.bincount(codes.ravel(), minlength=K)
    share = np.log(counts[codes]) / np.log(counts.max())
    np.testing.assert_array_equal(map_colours(), heat[np.rint(255 * share).astype(int)])
    expect(tab.page.locator(".explorer-low")).to_have_text("1")
    expect(tab.page.locator(".explorer-high")).to_have_text(str(counts.max()))

    tab.show("bits")
    bits = studio.bits(codes, "masked", None).astype(int)
    about = tab.page.locator(".explorer-about")
    expect(about).to_contain_text(f"The sum is {bits.sum():,} bits, {bits.mean():.1f} a code.")
    np.testing.assert_array_equal(map_colours(), heat[np.rint(255 * bits / 14).astype(int)])
    tab.page.mouse.move(*tab.cell(10, 20))
    expect(tab.page.locator(".explorer-cell")).to_have_text(
        f"row 10, column 20: {bits[10, 20]:.1f} bits"
    )
    # The sheet in the same colours: each used code's mean.
    tab.page.locator("[data-sheet=map]").click()
    tab.away()
    columns = sheet_columns(K)
    sheet = tab.colours(tab.sheet, -(-K // columns), columns).reshape(-1, 4)[:K]
    order = sheet_order(studio.code_book().vectors, columns)
    used = np.isin(order, codes)
    of_code = studio.bits(order, "masked", None)
    np.testing.assert_array_equal(
        sheet[used, :3], heat[np.rint(255 * of_code / 14).astype(int)][used]
    )


def test_by_keyboard_alone(tab: Codes, codes: np.ndarray, order: np.ndarray) -> None:
    page, spoken = tab.page, tab.page.locator("#explorer [role=status]")
    page.locator("[data-colours=bits]").focus()
    page.keyboard.press("Tab")
    expect(tab.map).to_be_focused()
    for key in ("Home", "PageUp", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(tab.title).to_have_text(f"Code {codes[1, 1]}")
    expect(spoken).to_contain_text(f"Code {codes[1, 1]}, row 1, column 1")
    expect(spoken).to_contain_text(" of 384 places")
    expect(spoken).to_contain_text(f"Nearest: {near_shown(tab)[0]}, ")
    assert tab.map.evaluate("map => getComputedStyle(map).outlineStyle") == "solid"
    for key in ("End", "ArrowRight", "PageDown", "ArrowDown"):  # the edges hold
        page.keyboard.press(key)
    expect(page.locator(".explorer-cell")).to_contain_text(f"row {ROWS - 1}, column {COLS - 1}")

    # Enter keeps the code, and the sheet's keys take up from it.
    page.keyboard.press("Enter")
    tab.sheet.focus()
    page.keyboard.press("ArrowLeft")
    place = int(np.flatnonzero(order == codes[-1, -1])[0])
    left = place if place % sheet_columns(K) == 0 else place - 1
    expect(tab.title).to_have_text(f"Code {order[left]}")
    expect(spoken).to_contain_text(f"Code {order[left]}")
    page.keyboard.press("Escape")
    tab.map.evaluate("map => document.activeElement.blur()")
    expect(tab.title).to_have_text("")


def test_bits_that_fail_say_so_and_the_map_goes_back(
    open_page: OpenPage, url: str, file: Path, studio: FakeStudio
) -> None:
    tab = Codes(open_page(url, ("failed",)), file)
    studio.fail_at_part = 2
    try:
        tab.show("bits")
        expect(tab.page.locator(".toast-body")).to_contain_text("Something went wrong")
        expect(tab.page.locator("[data-colours=similarity]")).to_have_attribute(
            "aria-pressed", "true"
        )
    finally:
        studio.fail_at_part = None
    assert "secret detail" not in tab.page.content()
    tab.show("bits")
    expect(tab.page.locator(".explorer-about")).to_contain_text("The sum is")


def test_without_a_picture_it_teaches_and_leads_to_one(
    open_page: OpenPage, url: str, file: Path, codes: np.ndarray, studio: FakeStudio
) -> None:
    page = open_page(url)
    page.get_by_role("tab", name="Codes").click()
    expect(page.locator(".explorer-empty")).to_contain_text("Every picture becomes a grid of codes")
    expect(page.locator(".explorer-map")).to_be_hidden()
    expect(page.locator(".explorer-sheet")).to_be_visible()  # the code book is there all the same
    page.click(".explorer-go")
    tab = Codes(page, file)
    expect(page.locator(".explorer-empty")).to_be_hidden()
    shown = tab.colours(tab.map, ROWS, COLS)[..., :3]
    np.testing.assert_array_equal(shown, studio.palette()[codes])
    # Another picture, in the tab when it is opened again.
    page.get_by_role("tab", name="Edit").click()
    page.locator("#picture").get_by_label("Remove Image").click()
    expect(page.locator("#status")).to_contain_text("Open a picture to begin")
    page.get_by_role("tab", name="Codes").click()
    expect(page.locator(".explorer-empty")).to_be_visible()


def test_korean_dark_on_a_phone_with_a_finger(
    open_page: OpenPage, url: str, file: Path, codes: np.ndarray, order: np.ndarray
) -> None:
    page = open_page(
        url,
        locale="ko-KR",
        color_scheme="dark",
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    tab = Codes(page, file, "코드")
    expect(page.locator(".explorer-places")).to_contain_text("눌러 보세요")
    page.touchscreen.tap(*tab.cell(8, 8))
    expect(tab.title).to_have_text(f"코드 {codes[8, 8]}")
    expect(page.locator(".explorer-cell")).to_have_text("8행 8열")
    assert tab.marked_squares()[np.flatnonzero(order == codes[8, 8])[0]]
    code = codes[2, 2]
    page.touchscreen.tap(*tab.square(int(np.flatnonzero(order == code)[0])))
    expect(tab.title).to_have_text(f"코드 {code}")
    assert tab.marked_cells()[codes == code].all()
    page.locator("[data-colours=bits]").tap()
    expect(page.locator(".explorer-about")).to_contain_text("합은")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Every word has been found, and none is English.
    words = page.locator("#explorer").inner_text()
    assert not re.search(r"_|[a-z]{4}", words.replace("Enter", "").replace("PixelCNN", ""))
