"""The canvas of the Edit tab in a browser, in cells instead of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Canvas:
    """Its map has `shape` (rows, columns). The second picture's is named "second-canvas"."""

    def __init__(self, page: Page, shape: tuple[int, int], name: str = "canvas") -> None:
        self.page, self.shape, self.name = page, shape, name
        self.stage = page.locator(f"#{name} .codemap-stage")
        self.overlay = page.locator(f"#{name} .codemap-overlay")
        self.note = page.locator(f"#{name} .codemap-note")
        self.status = page.locator("#status p")

    def open(self, upload: Path) -> Canvas:
        self.page.locator("#picture input[type=file]").first.set_input_files(upload)
        expect(self.page.locator("#resample")).to_be_enabled()
        return self

    def at(self, row: int, column: int) -> tuple[float, float]:
        """Where on the screen the middle of a cell is."""
        self.overlay.evaluate("canvas => canvas.scrollIntoView({ block: 'center' })")
        box = self.overlay.bounding_box()
        assert box is not None
        rows, columns = self.shape
        x = box["x"] + (column + 0.5) * box["width"] / columns
        return x, box["y"] + (row + 0.5) * box["height"] / rows

    def click(self, row: int, column: int, **options: Any) -> None:
        self.page.mouse.click(*self.at(row, column), **options)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=6)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.page.locator(f"#{self.name} [data-tool={name}]").click()

    def act(self, name: str) -> None:
        self.page.locator(f"#{self.name} [data-action={name}]").click()

    def select(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """The rectangle tool from one cell to another, both included."""
        self.tool("rectangle")
        self.drag(start, end)

    def saved(self, path: Path) -> np.ndarray:
        with self.page.expect_download() as download:
            self.page.click("#download")
        download.value.save_as(path)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
