"""The code map zoomed by wheel, keys and fingers, in a browser: the same cells are painted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.codemap_page import CODES, COLS, ROWS

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.codemap_driver import MapPage, Point, nothing, stroke

if TYPE_CHECKING:
    from tests.conftest import OpenPage


@pytest.fixture
def code_map(open_page: OpenPage, map_url: str) -> MapPage:
    return MapPage(open_page(map_url))


def test_zoomed_the_pointer_and_the_keys_reach_the_same_cells(code_map: MapPage) -> None:
    page, pill = code_map.page, code_map.page.locator("#map .codemap-zoom")
    cell = page.locator("#map .codemap-cell")
    expect(pill).to_be_hidden()
    page.mouse.move(*code_map.at((6.5, 20.5)))
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(pill).to_be_visible()
    # What the pointer is on has stayed there, and is what is painted; the cell beside it is not.
    expect(cell).to_have_text(f"en 6,20,{CODES[6, 20]}")
    page.mouse.click(*code_map.at((6.5, 20.5)))
    region = stroke([(6.5, 20.5)], 3)
    expect(code_map.count).to_have_text("en 9 / 768")
    page.mouse.move(*code_map.at((6.5, 21.5)))
    expect(cell).to_have_text(f"en 6,20,{CODES[6, 20]}")  # larger than it was

    # The middle button takes the map along: the pointer is on the same cell, nothing is painted.
    page.mouse.down(button="middle")
    page.mouse.move(*code_map.at((9.5, 25.5)), steps=3)
    page.mouse.up(button="middle")
    page.mouse.move(*code_map.at((9.4, 25.4)))
    expect(cell).to_have_text(f"en 6,20,{CODES[6, 20]}")
    np.testing.assert_array_equal(code_map.sent(), region)

    # A cursor that walks out of sight takes the map along.
    code_map.keys("End", *["PageDown"] * 3, "[", "[", "Space")
    region[ROWS - 1, COLS - 1] = True
    expect(code_map.count).to_have_text("en 10 / 768")
    assert sum(code_map.colour((ROWS - 0.5, COLS - 0.5))) > 0  # tinted there, at the very corner
    code_map.keys("0")
    expect(pill).to_be_hidden()
    code_map.expect_region(region)


def test_keys_zoom_and_a_new_picture_is_seen_whole(code_map: MapPage) -> None:
    pill = code_map.page.locator("#map .codemap-zoom")
    code_map.keys("+", "+")
    expect(pill).to_have_text("en zoom 2.3")  # 1.5 × 1.5
    code_map.keys("-")
    expect(pill).to_have_text("en zoom 1.5")
    pill.click()
    expect(pill).to_be_hidden()
    code_map.keys("+")
    code_map.server("new-picture")
    expect(pill).to_be_hidden()


def test_two_fingers_zoom_and_paint_nothing(open_page: OpenPage, map_url: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page(map_url, **phone)
    code_map = MapPage(page)
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *points: Point) -> None:
        fingers = [{"x": x, "y": y, "id": name} for name, (x, y) in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    first, second = code_map.at((10.5, 12.5)), code_map.at((10.5, 18.5))
    touch("touchStart", first)
    touch("touchStart", first, second)
    for step in range(1, 7):  # each 3 cells outwards: twice as far apart
        part = step / 12 * (second[0] - first[0])
        touch("touchMove", (first[0] - part, first[1]), (second[0] + part, second[1]))
    touch("touchEnd", (first[0], first[1]))
    touch("touchMove", (first[0] + 40, first[1]))  # the finger that is left does not paint
    touch("touchEnd")
    pill = page.locator("#map .codemap-zoom")
    expect(pill).to_have_text("en zoom 2.0")
    np.testing.assert_array_equal(code_map.sent(), nothing())
    page.touchscreen.tap(*code_map.at((10.5, 15.5)))  # between the fingers: it has stayed
    code_map.act("zoom_off")
    code_map.expect_region(stroke([(10.5, 15.5)], 3), drawn=False)
