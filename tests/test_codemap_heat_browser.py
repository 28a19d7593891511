"""The view "surprise" of the code map in a browser: asked for once, true to codes and judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.codemap_page import BITS, CODES, COLS, HEAT_PALETTE, PICTURE_COLOUR, ROWS

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.codemap_driver import DRAWN, MapPage

if TYPE_CHECKING:
    from tests.conftest import OpenPage

OPACITY = 0.7

COLOURS_OF_CELLS = f"""async (canvas, [rows, cols]) => {{
    {DRAWN}
    const {{ width, height }} = canvas;
    const {{ data }} = canvas.getContext("2d").getImageData(0, 0, width, height);
    const middle = (cell, cells, pixels) => Math.floor((cell + 0.5) * pixels / cells);
    return Array.from({{ length: rows }}, (_, row) => Array.from({{ length: cols }}, (_, col) => {{
        const at = 4 * (middle(row, rows, height) * width + middle(col, cols, width));
        return [...data.slice(at, at + 3)];
    }}));
}}"""


@pytest.fixture
def code_map(open_page: OpenPage, map_url: str) -> MapPage:
    return MapPage(open_page(map_url))


def look(code_map: MapPage, view: str) -> None:
    code_map.page.locator(f"#map [data-view={view}]").click()


def expect_asked(code_map: MapPage, times: int) -> None:
    expect(code_map.page.locator("#asks input")).to_have_value(str(times))


def drawn(code_map: MapPage) -> np.ndarray:
    """What the canvas shows in the middle of every cell, (rows, cols, 3)."""
    base = code_map.page.locator("#map .codemap-base")
    return np.array(base.evaluate(COLOURS_OF_CELLS, [ROWS, COLS]))


def colours_of(bits: np.ndarray) -> np.ndarray:
    """(rows, cols, 3): the palette's, 0 to 12 bits, over a picture that is grey by then."""
    stops = np.linspace(0, 12, len(HEAT_PALETTE))
    heat = np.stack([np.interp(bits, stops, channel) for channel in HEAT_PALETTE.T], -1)
    grey = np.dot(PICTURE_COLOUR, (0.3, 0.59, 0.11))  # the canvas' own weights of the channels
    return OPACITY * heat + (1 - OPACITY) * grey


def test_it_asks_once_shows_what_comes_and_tells_the_bits(code_map: MapPage) -> None:
    page = code_map.page
    legend, note = page.locator("#map .codemap-legend"), page.locator("#map .codemap-note")
    before = drawn(code_map)
    expect_asked(code_map, 0)
    look(code_map, "surprise")
    expect_asked(code_map, 1)
    expect(note).to_have_text("en heat_waiting")
    expect(legend).to_be_hidden()
    np.testing.assert_array_equal(drawn(code_map), before)

    code_map.server("half-heat")
    expect(note).to_have_text("en Somebody 50")
    half = drawn(code_map)
    np.testing.assert_allclose(half[:12], colours_of(BITS)[:12], atol=3)
    assert np.ptp(half[12:], axis=(0, 1)).max() <= 1  # the picture, which is of one colour

    code_map.server("heat")
    expect(note).not_to_contain_text("Somebody")
    np.testing.assert_allclose(drawn(code_map), colours_of(BITS), atol=3)
    expect(legend).to_contain_text("en heat Somebody")
    expect(legend).to_contain_text("en heat_low")
    expect(legend).to_contain_text("en 12")
    scale = legend.locator(".codemap-scale").evaluate("bar => getComputedStyle(bar).background")
    assert "rgb(0, 0, 0)" in scale and "rgb(255, 255, 255)" in scale

    cell = page.locator("#map .codemap-cell")
    page.mouse.move(*code_map.at((0.5, 0.5)))
    expect(cell).to_have_text(f"en 0,0,{CODES[0, 0]},3.0")
    expect(page.locator("#map .codemap-swatch")).to_have_css("background-color", "rgb(80, 20, 120)")
    # By keyboard and to those who cannot see it, too.
    code_map.keys("Home", "PageUp", "PageUp", "ArrowRight")
    expect(page.locator("#map [role=status]")).to_contain_text(f"en 0,1,{CODES[0, 1]},20.0")
    look(code_map, "picture")
    np.testing.assert_array_equal(drawn(code_map), before)
    page.mouse.move(*code_map.at((0.5, 0.5)))
    expect(cell).to_have_text(f"en 0,0,{CODES[0, 0]}")
    look(code_map, "surprise")  # it is all there
    expect(legend).to_be_visible()
    expect_asked(code_map, 1)


def test_bits_of_other_codes_or_by_another_judge_are_never_shown(code_map: MapPage) -> None:
    legend = code_map.page.locator("#map .codemap-legend")
    look(code_map, "surprise")
    expect_asked(code_map, 1)
    # Each change is waited for: the answers to two that are under way may come in either order.
    code_map.server("heat")
    expect(legend).to_be_visible()
    code_map.server("heat-of-other-codes")
    expect(legend).to_be_hidden()
    code_map.server("heat")
    expect(legend).to_be_visible()
    expect_asked(code_map, 1)
    code_map.server("other-judge")  # asked anew, as the visitor is still looking
    expect(legend).to_be_hidden()
    expect_asked(code_map, 2)
    code_map.server("same-judge")
    expect(legend).to_be_visible()
    code_map.server("other-codes")
    expect(legend).to_be_hidden()
    expect_asked(code_map, 3)
    code_map.server("same-codes")
    expect(legend).to_be_visible()
    expect_asked(code_map, 3)


def test_what_a_job_has_interrupted_is_asked_for_when_it_ends(code_map: MapPage) -> None:
    look(code_map, "surprise")
    code_map.server("half-heat")
    expect(code_map.page.locator("#map .codemap-legend")).to_be_visible()
    expect_asked(code_map, 1)
    code_map.server("lock")
    expect(code_map.stage).to_have_attribute("aria-disabled", "true")
    expect_asked(code_map, 1)
    code_map.server("unlock")
    expect_asked(code_map, 2)


def test_where_it_fails_the_picture_comes_back_and_it_can_be_asked_again(code_map: MapPage) -> None:
    page = code_map.page
    look(code_map, "surprise")
    code_map.server("half-heat")
    expect(page.locator("#map .codemap-legend")).to_be_visible()
    code_map.server("no-heat")
    expect(page.locator("#map [data-view=picture]")).to_have_attribute("aria-pressed", "true")
    expect_asked(code_map, 1)
    look(code_map, "surprise")
    expect_asked(code_map, 2)


def test_without_colours_there_is_no_such_view(code_map: MapPage) -> None:
    expect(code_map.page.locator("#map [data-view=surprise]")).to_be_visible()
    expect(code_map.page.locator("#empty [data-view=both]")).to_be_visible()
    expect(code_map.page.locator("#empty [data-view=surprise]")).to_be_hidden()
