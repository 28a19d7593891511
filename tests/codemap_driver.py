"""The code map of a page in a browser, in cells instead of pixels; and what a stroke must be.

The geometry is computed here once more, in floating point and without a look at the script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import expect

from tests.codemap_page import COLS, ROWS

if TYPE_CHECKING:
    from playwright.sync_api import Page

Point = tuple[float, float]  # row, column, in cells; the middle of the first cell is (0.5, 0.5)

# The canvas is drawn once a frame at most, so two frames later it is as it should be.
DRAWN = "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
ALPHA_OF_CELLS = f"""async (canvas, [rows, cols]) => {{
    {DRAWN}
    const {{ width, height }} = canvas;
    const {{ data }} = canvas.getContext("2d").getImageData(0, 0, width, height);
    const middle = (cell, cells, pixels) => Math.floor((cell + 0.5) * pixels / cells);
    const alpha = (row, col) =>
        data[4 * (middle(row, rows, height) * width + middle(col, cols, width)) + 3];
    return Array.from({{ length: rows }}, (_, row) =>
        Array.from({{ length: cols }}, (_, col) => alpha(row, col)));
}}"""
COLOUR_OF_CORNER = f"""async canvas => {{
    {DRAWN}
    return [...canvas.getContext("2d").getImageData(9, 9, 1, 1).data].slice(0, 3);
}}"""
COLOUR_AT = f"""async (canvas, [across, down]) => {{
    {DRAWN}
    const [x, y] = [across * canvas.width, down * canvas.height].map(Math.floor);
    return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
}}"""


class MapPage:
    """The page under test, in cells instead of pixels."""

    def __init__(self, page: Page, rows: int = ROWS, cols: int = COLS) -> None:
        self.page, self.rows, self.cols = page, rows, cols
        self.ticket = 0
        self.overlay = page.locator("#map .codemap-overlay")
        self.stage = page.locator("#map .codemap-stage")
        self.count = page.locator("#map .codemap-count")
        expect(self.count).to_have_text(f"en 0 / {rows * cols}")

    def at(self, point: Point) -> Point:
        """x and y on the page, scrolled to its top."""
        self.page.evaluate("scrollTo(0, 0)")
        box = self.overlay.bounding_box()
        assert box is not None
        row, col = point
        return box["x"] + col / self.cols * box["width"], box["y"] + row / self.rows * box["height"]

    def drag(self, *points: Point, button: Any = "left", steps: int = 1) -> None:
        self.page.mouse.move(*self.at(points[0]))
        self.page.mouse.down(button=button)
        for point in points[1:]:
            self.page.mouse.move(*self.at(point), steps=steps)
        self.page.mouse.up(button=button)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def keys(self, *keys: str) -> None:
        """`press` with the focus on the map."""
        self.stage.focus()
        self.press(*keys)

    def tool(self, name: str) -> None:
        self.page.locator(f"#map [data-tool={name}]").click()

    def act(self, name: str) -> None:
        self.page.locator(f"#map [data-action={name}]").click()

    def server(self, name: str) -> None:
        """Has the server do something to the map."""
        self.page.locator(f"#{name}").dispatch_event("click")  # does not scroll, as a click may

    def drawn(self) -> np.ndarray:
        """bool (rows, cols): the cells whose middle is tinted on the canvas."""
        self.page.mouse.move(2, 2)  # takes the outline of the brush away
        expect(self.page.locator("#map .codemap-cell")).not_to_be_visible()
        alphas = self.overlay.evaluate(ALPHA_OF_CELLS, [self.rows, self.cols])
        return np.array(alphas) > 40

    def colour(self, point: Point) -> list[int]:
        """What is above the picture at a place: red, green, blue."""
        row, col = point
        at = [col / self.cols, row / self.rows]
        found: list[int] = self.overlay.evaluate(COLOUR_AT, at)
        return found

    def sent(self) -> np.ndarray:
        """bool (rows, cols): what Python gets."""
        self.ticket += 1
        self.page.locator("#request textarea").fill(f"{self.rows} {self.cols} {self.ticket}")
        self.server("read")
        region = self.page.locator("#region textarea")
        expect(region).to_have_value(re.compile(f"^ticket {self.ticket}\n"))
        return np.array([list(line) for line in region.input_value().split("\n")[1:]]) == "1"

    def expect_region(self, region: np.ndarray, drawn: bool = True) -> None:
        """Counted, sent and drawn are this region."""
        expect(self.count).to_have_text(f"en {region.sum()} / {region.size}")
        np.testing.assert_array_equal(self.sent(), region)
        if drawn:
            np.testing.assert_array_equal(self.drawn(), region)


def nothing() -> np.ndarray:
    return np.zeros((ROWS, COLS), bool)


def stroke(points: Sequence[Point], size: int) -> np.ndarray:
    """The cells whose middle is within size / 2 of the line through the points.

    Points snap to the middle of their cell, or for even sizes to the nearest corner of cells.
    """
    snapped = [np.floor(p) + 0.5 if size % 2 else np.floor(np.add(p, 0.5)) for p in points]
    region = nothing()
    for middle in np.ndindex(ROWS, COLS):
        centre = np.add(middle, 0.5)
        for a, b in pairwise([*snapped, snapped[-1]]):
            length = np.dot(b - a, b - a)
            along = np.clip(np.dot(centre - a, b - a) / length, 0, 1) if length else 0.0
            if np.linalg.norm(centre - (a + along * (b - a))) <= size / 2 + 1e-9:
                region[middle] = True
    return region


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    """A rectangle of cells, last row and column included."""
    region = nothing()
    region[top : bottom + 1, left : right + 1] = True
    return region
