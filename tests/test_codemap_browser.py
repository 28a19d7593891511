"""The code map in a real browser: what is painted, drawn, counted and sent is the same region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests import codemap_page
from tests.codemap_page import CODES, COLS, OTHER_MASK, PALETTE, PATCHES, ROWS

pytest.importorskip("playwright")
from playwright.sync_api import expect

from tests.codemap_driver import COLOUR_OF_CORNER, MapPage, Point, block, nothing, stroke

if TYPE_CHECKING:
    from tests.conftest import OpenPage


@pytest.fixture(scope="module")
def shared(open_shared_page: OpenPage, map_url: str) -> MapPage:
    return MapPage(open_shared_page(map_url))


@pytest.fixture
def code_map(shared: MapPage) -> MapPage:
    """A map as it is at first: loading the page takes a hundred times as long as resetting it."""
    shared.rows, shared.cols = ROWS, COLS
    shared.server("reset")
    expect(shared.page.locator("#inputs input")).to_have_value("0")
    expect(shared.count).to_have_text(f"en 0 / {ROWS * COLS}")
    shared.tool("brush")  # undo is another with the code brush in hand
    expect(shared.page.locator("#map [data-action=undo]")).to_be_disabled()
    expect(shared.page.locator("#map [data-action=invert]")).to_be_enabled()
    shared.page.locator("#map .codemap-size input").fill("3")
    shared.page.locator("#map [data-view=picture]").click()
    shared.page.locator("#request textarea").focus()
    return shared


@pytest.fixture(scope="module")
def phone(open_shared_page: OpenPage, map_url: str) -> MapPage:
    return MapPage(
        open_shared_page(
            map_url,
            viewport={"width": 390, "height": 844},
            device_scale_factor=3,
            has_touch=True,
            is_mobile=True,
            locale="fr-FR",
        )
    )


PATH = [(4.3, 5.3), (15.3, 9.3), (9.3, 27.3), (20.3, 18.3), (20.3, 3.3)]


def test_strokes_are_what_geometry_says(code_map: MapPage) -> None:
    slider = code_map.page.locator("#map .codemap-size input")
    for size in (1, 3, 4, 9):
        slider.fill(str(size))
        code_map.drag(*PATH)
        code_map.expect_region(stroke(PATH, size))
        code_map.act("clear")
    code_map.expect_region(nothing())


def test_a_stroke_may_leave_the_map_and_come_back(code_map: MapPage) -> None:
    path = [(3.3, 20.3), (-3.7, 24.3), (-3.7, 28.3), (6.3, 28.3)]
    code_map.drag(*path)
    code_map.expect_region(stroke(path, 3))


def test_no_place_of_a_fast_stroke_is_lost(code_map: MapPage) -> None:
    """Sent straight to the page in one task, as a browser that is behind would get them."""
    path = [(2.5, 2.5), (20.5, 8.5), (3.5, 15.5), (19.5, 22.5), (4.5, 29.5)]
    places = [code_map.at(point) for point in path]
    code_map.overlay.evaluate(
        """(canvas, places) => {
            const send = (type, [clientX, clientY], coalescedEvents = []) => {
                const place = { clientX, clientY, isPrimary: true, bubbles: true, buttons: 1 };
                canvas.dispatchEvent(new PointerEvent(type, { ...place, coalescedEvents }));
            };
            canvas.setPointerCapture = () => {};
            const events = places.map(([clientX, clientY]) =>
                new PointerEvent("pointermove", { clientX, clientY }));
            send("pointerdown", places[0]);
            send("pointermove", places.at(-1), events);
            send("pointerup", places.at(-1));
            send("pointerleave", places.at(-1));
            delete canvas.setPointerCapture; // the prototype's again
        }""",
        places,
    )
    code_map.expect_region(stroke(path, 3))


def test_every_way_to_erase(code_map: MapPage) -> None:
    region = nothing()
    code_map.act("invert")
    region |= True
    ways: list[tuple[float, str]] = [(3.5, "tool"), (9.5, "right button"), (15.5, "shift")]
    for row, way in ways:
        path = [(row, 4.5), (row, 20.5)]
        if way == "tool":
            code_map.tool("eraser")
        elif way == "shift":
            code_map.page.keyboard.down("Shift")
        code_map.drag(*path, button="right" if way == "right button" else "left")
        code_map.page.keyboard.up("Shift")
        code_map.tool("brush")
        region &= ~stroke(path, 3)
        code_map.expect_region(region, drawn=way == "shift")


def test_rectangles(code_map: MapPage) -> None:
    code_map.tool("rectangle")
    code_map.drag((18.2, 25.8), (5.9, 12.1))
    region = block(5, 12, 18, 25)
    code_map.expect_region(region)
    code_map.drag((20.5, 28.5), (ROWS + 0.8, COLS + 1.5))  # lets go outside the map
    region |= block(20, 28, ROWS - 1, COLS - 1)
    code_map.drag((8.5, 8.5), (8.5, 20.5), button="right")
    region &= ~block(8, 8, 8, 20)
    code_map.expect_region(region)


def test_undo_and_redo_by_button_and_key(code_map: MapPage) -> None:
    page = code_map.page
    undo, redo = (page.locator(f"#map [data-action={name}]") for name in ("undo", "redo"))
    expect(undo).to_be_disabled()
    first, second = [(4.5, 4.5), (4.5, 20.5)], [(12.5, 4.5), (12.5, 20.5)]
    code_map.drag(*first)
    code_map.drag(*second)
    both = stroke(first, 3) | stroke(second, 3)
    code_map.act("undo")
    code_map.expect_region(stroke(first, 3))
    code_map.keys("Control+z")
    code_map.expect_region(nothing(), drawn=False)
    expect(undo).to_be_disabled()
    code_map.keys("Control+z")  # nothing left, nothing happens
    code_map.act("redo")
    code_map.press("Control+y")
    code_map.expect_region(both)
    code_map.keys("Control+z", "Control+Shift+z")
    code_map.expect_region(both, drawn=False)
    code_map.keys("Control+z")
    code_map.drag(*first)  # paints nothing new: no step, and what can be redone stays
    expect(redo).to_be_enabled()
    code_map.act("invert")  # a new step: nothing to redo any more
    expect(redo).to_be_disabled()
    code_map.expect_region(~stroke(first, 3))


def test_one_event_for_each_change_and_none_without(code_map: MapPage) -> None:
    inputs = code_map.page.locator("#inputs input")
    path = [(4.5, 4.5), (4.5, 20.5)]
    code_map.drag(*path)
    expect(inputs).to_have_value("1")
    code_map.drag(*path)  # changes nothing
    code_map.act("undo")
    expect(inputs).to_have_value("2")
    code_map.keys("Control+z")  # nothing left to undo
    code_map.act("invert")
    expect(inputs).to_have_value("3")
    code_map.sent()
    expect(inputs).to_have_value("3")


def test_escape_takes_a_stroke_back(code_map: MapPage) -> None:
    page = code_map.page
    page.mouse.move(*code_map.at((4.5, 4.5)))
    page.mouse.down()
    page.mouse.move(*code_map.at((4.5, 20.5)))
    expect(code_map.count).to_have_text(f"en {stroke([(4.5, 4.5), (4.5, 20.5)], 3).sum()} / 768")
    code_map.press("Escape")
    page.mouse.up()
    code_map.expect_region(nothing())
    expect(page.locator("#map [data-action=undo]")).to_be_disabled()


def test_by_keyboard_alone(code_map: MapPage) -> None:
    page = code_map.page
    for _ in range(60):
        code_map.press("Tab")
        if code_map.stage.evaluate("stage => stage === document.activeElement"):
            break
    row, col = ROWS // 2, COLS // 2  # where the cursor of a new picture starts
    expect(code_map.stage).to_have_css("outline-style", "solid")  # from the next frame on
    expect(page.locator("#map .codemap-cell")).to_have_text(f"en {row},{col},{CODES[row, col]}")

    code_map.press("ArrowUp", "ArrowUp", "ArrowLeft", "[", "[", "Space")
    region = block(row - 2, col - 1, row - 2, col - 1)
    status = page.locator("#map [role=status]")
    expect(status).to_have_text("en 1 / 768")
    code_map.press("ArrowRight")
    expect(status).to_have_text(f"en {row - 2},{col},{CODES[row - 2, col]}, en not_selected")
    code_map.press("ArrowLeft", "Enter")  # the same key takes the cell out again
    code_map.expect_region(nothing())

    code_map.keys(
        "Home", "PageUp", "PageUp", "r", "Space", "End", "ArrowDown", "ArrowDown", "Enter"
    )
    region = block(0, 0, 2, COLS - 1)
    code_map.expect_region(region)
    code_map.keys("ArrowUp", "e", "]", "]", "]", "]", "Space")  # the eraser, five cells wide
    region &= ~stroke([(1.5, COLS - 0.5)], 5)
    code_map.expect_region(region)
    code_map.keys("Control+z")
    code_map.expect_region(block(0, 0, 2, COLS - 1), drawn=False)


def test_keys_leave_text_fields_alone(code_map: MapPage) -> None:
    field = code_map.page.locator("#request textarea")
    field.fill("")
    code_map.page.mouse.move(*code_map.at((5.5, 5.5)))  # over the map, but writing elsewhere
    field.press_sequentially("ie[")
    expect(field).to_have_value("ie[")
    expect(code_map.page.locator("#map [data-tool=brush]")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(code_map.page.locator("#map .codemap-size input")).to_have_value("3")


def test_inspecting_tells_row_column_and_code(code_map: MapPage) -> None:
    page = code_map.page
    page.mouse.move(*code_map.at((7.5, 11.5)))
    expect(page.locator("#map .codemap-cell")).to_have_text(f"en 7,11,{CODES[7, 11]}")
    code_map.keys("i")
    page.mouse.click(*code_map.at((9.5, 30.5)))
    expect(page.locator("#picked textarea")).to_have_value(f"9,30,{CODES[9, 30]}")
    code_map.expect_region(nothing(), drawn=False)


def test_a_stroke_with_a_code_shows_until_it_is_answered_and_leaves_the_region(
    code_map: MapPage,
) -> None:
    path = [(4.3, 5.3), (15.3, 9.3)]
    code_map.tool("code")
    code_map.page.locator("#map .codemap-code input").fill("7")
    code_map.page.mouse.move(*code_map.at((20.5, 20.5)))
    code_map.page.mouse.down()
    code_map.page.mouse.move(*code_map.at((20.5, 25.5)))
    code_map.keys("Escape")  # takes it back
    code_map.page.mouse.up()
    code_map.drag(*path)
    np.testing.assert_array_equal(code_map.drawn(), stroke(path, 3))
    np.testing.assert_array_equal(code_map.sent(), nothing())
    expect(code_map.page.locator("#inputs input")).to_have_value("0")
    code_map.server("answer-strokes")
    code_map.page.wait_for_timeout(300)
    np.testing.assert_array_equal(code_map.drawn(), nothing())


def test_a_stroke_with_a_code_is_shown_as_what_it_decodes_to(code_map: MapPage) -> None:
    code_map.tool("code")  # asks for the patches
    code_map.page.locator("#map .codemap-code input").fill("7")
    code_map.page.mouse.move(*code_map.at((10.5, 10.5)))
    code_map.page.mouse.down()
    code_map.page.mouse.move(*code_map.at((10.5, 14.5)))
    left, right = PATCHES[7, 0, 0].tolist(), PATCHES[7, 0, 3].tolist()
    for _ in range(100):  # until they have come
        shown = [code_map.colour((10.5, 12 + part)) for part in (0.25, 0.75)]
        if shown != [PALETTE[7].tolist()] * 2:
            break
    assert np.abs(np.subtract(shown, [left, right])).max() <= 2
    code_map.keys("Escape")
    code_map.page.mouse.up()


def test_region_stays_while_the_picture_changes(code_map: MapPage) -> None:
    path = [(4.5, 4.5), (14.5, 20.5)]
    code_map.drag(*path)
    region = stroke(path, 3)
    code_map.server("new-image")
    page = code_map.page
    page.mouse.move(*code_map.at((0.5, 0.5)))
    expect(page.locator("#map .codemap-cell")).to_have_text(f"en 0,0,{CODES[-1, 0]}")
    code_map.expect_region(region, drawn=False)
    code_map.keys("Control+z")
    code_map.expect_region(nothing())


def test_a_lost_release_ends_the_stroke(code_map: MapPage) -> None:
    """As when the button is let go over another window."""
    path = [(4.5, 4.5), (4.5, 20.5)]
    code_map.overlay.evaluate("canvas => { canvas.setPointerCapture = () => {}; }")
    code_map.drag(*path, (4.5, -1.5))
    code_map.overlay.evaluate("canvas => { delete canvas.setPointerCapture; }")
    region = stroke([*path, (4.5, -1.5)], 3)
    code_map.page.mouse.move(*code_map.at((20.5, 20.5)))
    code_map.page.mouse.move(*code_map.at((20.5, 25.5)))
    code_map.expect_region(region & stroke(path, 3), drawn=False)


def test_region_goes_with_its_picture(code_map: MapPage) -> None:
    code_map.drag((4.5, 4.5), (14.5, 20.5))
    code_map.server("new-picture")
    code_map.expect_region(nothing())
    expect(code_map.page.locator("#map [data-action=undo]")).to_be_disabled()
    code_map.drag((4.5, 4.5), (14.5, 20.5))
    code_map.server("new-grid")
    expect(code_map.count).to_have_text("en 0 / 256")
    code_map.rows, code_map.cols = 16, 16
    box = code_map.overlay.bounding_box()
    assert box is not None and abs(box["width"] - box["height"]) < 1
    code_map.expect_region(np.zeros((16, 16), bool))
    expect(code_map.page.locator("#map [data-action=undo]")).to_be_disabled()


def test_server_can_set_the_region_and_the_visitor_undo_it(code_map: MapPage) -> None:
    path = [(4.5, 4.5), (14.5, 20.5)]
    code_map.drag(*path)
    code_map.server("set-region")
    code_map.expect_region(OTHER_MASK)
    code_map.server("unset-region")
    code_map.expect_region(nothing())
    code_map.act("undo")
    code_map.expect_region(OTHER_MASK)
    code_map.act("undo")
    code_map.expect_region(stroke(path, 3))
    code_map.server("spoil-region")  # does not fit: the map shows and sends none
    code_map.expect_region(nothing())


def test_locked_while_a_job_runs(code_map: MapPage) -> None:
    page = code_map.page
    path = [(4.5, 4.5), (14.5, 20.5)]
    code_map.drag(*path)
    code_map.server("lock")
    expect(page.locator("#map [data-action=clear]")).to_be_disabled()
    expect(code_map.stage).to_have_attribute("aria-disabled", "true")
    code_map.drag((20.5, 4.5), (20.5, 20.5))
    code_map.keys("Control+z", "Space", "e")
    page.locator("#map [data-action=invert]").click(force=True)
    code_map.expect_region(stroke(path, 3))
    code_map.tool("inspect")
    page.mouse.click(*code_map.at((9.5, 30.5)))  # looking stays possible
    expect(page.locator("#picked textarea")).to_have_value(f"9,30,{CODES[9, 30]}")
    code_map.server("unlock")
    expect(page.locator("#map [data-action=clear]")).to_be_enabled()
    code_map.act("undo")
    code_map.expect_region(nothing())


def test_streamed_steps_neither_flicker_nor_touch_the_region(code_map: MapPage) -> None:
    page = code_map.page
    path = [(4.5, 4.5), (14.5, 20.5)]
    code_map.drag(*path)
    region = stroke(path, 3)
    # At every picture of the screen: the colour of a pixel of the picture, and what the note says.
    page.evaluate("""() => {
        const canvas = document.querySelector("#map .codemap-base");
        const note = document.querySelector("#map .codemap-note");
        window.seen = [];
        const look = () => {
            const [x, y] = [canvas.width - 5, canvas.height - 5];
            const { data } = canvas.getContext("2d").getImageData(x, y, 1, 1);
            window.seen.push([...data, note.textContent]);
            requestAnimationFrame(look);
        };
        look();
    }""")
    code_map.server("stream")
    expect(page.locator("#map .codemap-note")).to_contain_text("remaining")
    expect(page.locator("#map [data-action=clear]")).to_be_enabled()
    seen = page.evaluate("window.seen")
    assert {pixel[3] for pixel in seen} == {255}, "the picture was away for a moment"
    greys = [pixel[0] for pixel in seen if pixel[0] >= 98]
    assert greys == sorted(greys), "an older step was shown after a newer one"
    counts = [int(pixel[4].split()[1]) for pixel in seen if "remaining" in pixel[4]]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) >= 3
    code_map.expect_region(region, drawn=False)
    assert not code_map.drawn().any()  # outlined only: a tint would hide what came of it
    code_map.drag((20.5, 25.5), (20.5, 28.5))
    code_map.expect_region(region | stroke([(20.5, 25.5), (20.5, 28.5)], 3))


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_codes_to_fill_pulse_unless_motion_is_reduced(code_map: MapPage, motion: Any) -> None:
    page = code_map.page
    page.emulate_media(reduced_motion=motion)
    code_map.act("invert")
    # How often the canvas is drawn between two answers of the server.
    page.evaluate("""() => {
        const context = document.querySelector("#map .codemap-overlay").getContext("2d");
        window.drawn = 0;
        context.clearRect = function (...box) {
            window.drawn++;
            CanvasRenderingContext2D.prototype.clearRect.apply(this, box);
        };
    }""")
    code_map.server("show-remaining")
    expect(page.locator("#map .codemap-note")).to_have_text("en 154 remaining")
    page.evaluate("window.drawn = 0")
    if motion == "reduce":
        page.wait_for_timeout(300)
        assert page.evaluate("window.drawn") == 0
    else:
        page.wait_for_function("window.drawn > 3")
    page.emulate_media(reduced_motion="reduce")


def test_views(code_map: MapPage) -> None:
    page = code_map.page

    def pixel() -> list[int]:
        colour: list[int] = page.locator("#map .codemap-base").evaluate(COLOUR_OF_CORNER)
        return colour

    code = codemap_page.PALETTE[CODES[0, 0]]
    picture = np.array(pixel())
    assert abs(picture - (90, 120, 150)).max() <= 3
    page.locator("#map [data-view=codes]").click()
    np.testing.assert_array_equal(pixel(), code)
    page.locator("#map [data-view=both]").click()
    np.testing.assert_allclose(pixel(), 0.55 * code + 0.45 * picture, atol=2)


def test_without_a_picture_it_says_so(code_map: MapPage) -> None:
    page = code_map.page
    empty = page.locator("#empty .codemap-empty")
    expect(empty).to_be_visible()
    expect(empty).to_contain_text("en empty_title")
    expect(page.locator("#empty .codemap-stage")).not_to_be_visible()
    for button in page.locator("#empty button").all():
        expect(button).to_be_disabled()
    expect(page.locator("#map .codemap-empty")).not_to_be_visible()
    code_map.server("broken-image")  # the codes are still there to be seen
    code_map.drag((4.5, 4.5), (4.5, 8.5))
    code_map.expect_region(stroke([(4.5, 4.5), (4.5, 8.5)], 3))
    code_map.server("no-picture")
    expect(page.locator("#map .codemap-empty")).to_be_visible()


def test_all_places_of_a_code_by_key_and_button(code_map: MapPage) -> None:
    page = code_map.page
    code_map.stage.focus()
    page.mouse.move(*code_map.at((7.5, 11.5)))
    page.keyboard.press("a")  # the one under the pointer
    region = np.equal(CODES, CODES[7, 11])
    assert region.sum() > 1
    code_map.expect_region(region)
    code_map.tool("inspect")
    page.mouse.click(*code_map.at((0.5, 3.5)))
    code_map.act("same")
    code_map.expect_region(region | np.equal(CODES, CODES[0, 3]))


def test_words_are_in_the_language_of_the_browser(
    open_page: OpenPage, map_url: str, phone: MapPage
) -> None:
    page = open_page(map_url, locale="ko-KR")
    expect(page.locator("#map .codemap-count")).to_have_text("ko 0 / 768")
    expect(page.locator("#map .codemap")).to_have_attribute("lang", "ko")
    brush = page.get_by_role("button", name="ko brush").first
    expect(brush).to_have_attribute("title", "ko brush (B)")
    # French, which is not among them, gets the first one.
    expect(phone.page.locator("#map .codemap")).to_have_attribute("lang", "en")


def test_everything_has_a_name(code_map: MapPage) -> None:
    page = code_map.page
    for button in page.locator("#map button").all():
        name = button.get_attribute("aria-label") or button.text_content()
        assert name and name.startswith("en "), button.get_attribute("class")
    expect(page.locator("#map").get_by_role("application", name="en label")).to_be_visible()
    assert code_map.stage.evaluate(
        "stage => document.getElementById(stage.getAttribute('aria-describedby')).textContent"
    ).startswith("en help")
    expect(page.locator("#map").get_by_role("slider", name="en size")).to_be_visible()


def test_touch_on_a_phone(phone: MapPage) -> None:
    code_map, page = phone, phone.page
    devtools = page.context.new_cdp_session(page)

    def swipe(*places: Point) -> None:
        for kind, place in zip(
            ["touchStart", *["touchMove"] * (len(places) - 1)], places, strict=True
        ):
            points = [{"x": place[0], "y": place[1]}]
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    path = [(20.5 - step, 8.5 + step / 2) for step in range(18)]
    swipe(*map(code_map.at, path))
    assert page.evaluate("scrollY") == 0, "the page scrolled under the brush"
    code_map.expect_region(stroke(path, 3), drawn=False)

    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#map .codemap-toolbar").bounding_box()
    assert box is not None
    # The same movement from beside the canvas does scroll, so the check above can fail.
    start = box["y"] + box["height"] + 4
    swipe(*[(box["x"] - 6, start + 400 - 20 * step) for step in range(18)])
    page.wait_for_function("scrollY > 50")


def test_fits_a_phone(phone: MapPage) -> None:
    code_map, page = phone, phone.page
    code_map.tool("code")  # with all that comes with it
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.locator("#map button:visible").all():
        box = button.bounding_box()
        assert box is not None and box["width"] >= 36 and box["height"] >= 36
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    code_map.tool("brush")
    # One pixel of the canvas for each of the screen, and square cells.
    width, height, shown = code_map.overlay.evaluate(
        "canvas => [canvas.width, canvas.height, canvas.getBoundingClientRect().width]"
    )
    assert abs(width - 3 * shown) < 1
    assert abs(width / COLS - height / ROWS) < 0.1


def test_api_takes_a_region_and_refuses_another(map_url: str) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(map_url, verbose=False, analytics_enabled=False)
    request = f"{ROWS} {COLS} 1"
    answer = client.predict(codemap_page.example(), request, api_name="/region")
    lines = [list(line) for line in answer.split("\n")[1:]]
    np.testing.assert_array_equal(np.array(lines) == "1", OTHER_MASK)
    documented = client.view_api(return_format="dict")["named_endpoints"]["/region"]
    python_type = documented["parameters"][0]["python_type"]["type"]
    assert python_type.startswith("dict(mask: str, rows: int, cols: int)")
    with pytest.raises(AppError):
        client.predict({"mask": "AAAA", "rows": ROWS, "cols": COLS}, request, api_name="/region")
