"""The Python side of the code map: what goes to the browser, and what is believed of the answer."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client.utils import json_schema_to_python_type
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from demo.codemap import (
    TEXT_KEYS,
    CodeMap,
    CodeMapError,
    Heat,
    Patches,
    data_url,
    pack_mask,
    read_codes,
    read_mask,
)

TEXT = {"en": dict.fromkeys(TEXT_KEYS, "words")}
sides = st.integers(1, 128)
masks = st.tuples(sides, sides).flatmap(lambda shape: arrays(bool, shape))
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@given(masks)
def test_mask_comes_back_as_it_went(mask: np.ndarray) -> None:
    rows, cols = mask.shape
    value = json.loads(json.dumps(pack_mask(mask)))
    read = read_mask(value, rows, cols)
    assert read.dtype == bool
    np.testing.assert_array_equal(read, mask)
    read[:] = True  # the caller's own copy


@given(masks)
def test_bits_are_rows_from_the_top_high_bit_first(mask: np.ndarray) -> None:
    data = base64.b64decode(pack_mask(mask)["mask"])
    bits = "".join(f"{byte:08b}" for byte in data)
    expected = "".join("1" if cell else "0" for row in mask for cell in row)
    assert bits[: mask.size] == expected and set(bits[mask.size :]) <= {"0"}


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_painted_yet(value: object) -> None:
    read = read_mask(value, 3, 5)
    assert read.shape == (3, 5) and read.dtype == bool and not read.any()


@given(junk)
def test_junk_is_refused_with_a_message(value: object) -> None:
    assume(value is not None and value != "")
    with pytest.raises(CodeMapError, match="painted region"):
        read_mask(value, 8, 8)


@given(junk, junk, junk)
def test_junk_in_the_right_keys_is_refused_or_read(
    mask: object, rows: object, cols: object
) -> None:
    for value in (
        {"mask": mask, "rows": rows, "cols": cols},
        {"mask": mask, "rows": 8, "cols": 8},
    ):
        try:
            read = read_mask(value, 8, 8)
        except CodeMapError as error:
            assert len(str(error)) < 200
        else:
            assert read.shape == (8, 8) and isinstance(mask, str)


@given(st.text(alphabet="AQgw/+=-_ \n\0é", min_size=12, max_size=12))
def test_text_of_the_right_length_is_base64_or_refused(text: str) -> None:
    value = {"mask": text, "rows": 8, "cols": 8}
    try:
        read = read_mask(value, 8, 8)
    except CodeMapError:
        return
    assert base64.b64encode(np.packbits(read).tobytes()) == text.encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 16}, r"16 × 8 codes, but this picture has 8 × 8"),
        ({"cols": 7}, r"8 × 7 codes, but this picture has 8 × 8"),
        ({"rows": 8.0}, "rows must be a whole number from 1 to 128"),
        ({"rows": True}, "rows must be a whole number"),
        ({"cols": "8"}, "cols must be a whole number"),
        ({"cols": 10**6000}, "cols must be a whole number"),
        ({"rows": -8}, "rows must be a whole number"),
        ({"mask": None}, "mask must be a text, not of type NoneType"),
        ({"mask": b"AAAAAAAAAAA="}, "mask must be a text"),
        ({"mask": "AAAA"}, "12 characters of base64 for 8 × 8 codes, not 4"),
        ({"mask": "A" * 100_000_000}, "not 100000000"),
        ({"mask": "AAAAAAAAAA=="}, "not base64 of 8 bytes"),
        ({"mask": "AAAAAAAAAAAA"}, "not base64 of 8 bytes"),
        ({"mask": "AAAA AAAAAA="}, "not base64 of 8 bytes"),
        ({"mask": "AAAAAAAAAA\u0661="}, "not base64 of 8 bytes"),
    ],
)
def test_refusals_name_cause_and_limit(change: dict[str, Any], message: str) -> None:
    value = pack_mask(np.zeros((8, 8), bool)) | change
    with pytest.raises(CodeMapError, match=message):
        read_mask(value, 8, 8)


def test_missing_keys_are_named() -> None:
    with pytest.raises(CodeMapError, match="lacks mask and cols"):
        read_mask({"rows": 8}, 8, 8)
    with pytest.raises(CodeMapError, match="not a value of type list"):
        read_mask([1], 8, 8)


def two_bytes_each(codes: list[int]) -> str:
    return base64.b64encode(b"".join(code.to_bytes(2, "little") for code in codes)).decode()


@given(st.lists(st.integers(0, 511), min_size=1, max_size=300))
def test_codes_for_cells_come_in_their_order_or_one_for_all(codes: list[int]) -> None:
    read = read_codes(json.loads(json.dumps(two_bytes_each(codes))), len(codes), 512)
    assert read.tolist() == codes
    assert read_codes(two_bytes_each(codes[:1]), len(codes), 512).tolist() == codes[:1]


@given(junk | st.text(alphabet="AQgw/+=-_ \n", max_size=12), st.integers(1, 5))
def test_junk_in_place_of_codes_is_refused_or_read(value: object, cells: int) -> None:
    try:
        read = read_codes(value, cells, 512)
    except CodeMapError as error:
        assert len(str(error)) < 200
    else:
        assert isinstance(value, str) and read.size in (1, cells)
        assert two_bytes_each(read.tolist()) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "list of codes must be a text, not of type NoneType"),
        ([1, 2], "must be a text, not of type list"),
        (two_bytes_each([1, 2, 3, 4]), "8 characters of base64 for 3 cells, not 12"),
        ("A" * 100_000_000, "8 characters of base64 for 3 cells, not 100000000"),
        ("AAAAAAA!", "not base64 of 6 bytes"),
        ("AAA!", "not base64 of 2 bytes"),
        (two_bytes_each([1, 2, 512]), "Codes go from 0 to 511, so there is no 512"),
        (two_bytes_each([65535]), "so there is no 65535"),
    ],
)
def test_codes_that_cannot_be_are_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(CodeMapError, match=message):
        read_codes(value, 3, 512)


@pytest.mark.parametrize(
    "mask", [np.zeros((8, 8)), np.zeros(8, bool), np.zeros((129, 8), bool), np.zeros((0, 8), bool)]
)
def test_only_masks_are_packed(mask: np.ndarray) -> None:
    with pytest.raises(CodeMapError):
        pack_mask(mask)


def test_codes_travel_as_two_bytes() -> None:
    codes = np.array([[0, 1, 255], [256, 511, 65535]])
    packed = CodeMap.update(codes=codes)
    assert (packed["rows"], packed["cols"]) == (2, 3)
    assert base64.b64decode(packed["codes"]) == b"".join(
        int(code).to_bytes(2, "little") for code in codes.ravel()
    )


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([[-1]]), "0 to 65535"),
        (np.array([[65536]]), "0 to 65535"),
        (np.array([[1.0]]), "whole numbers"),
        (np.array([1]), "two dimensions"),
        (np.zeros((1, 129), int), "1 to 128 rows"),
    ],
)
def test_codes_that_do_not_fit_are_refused(codes: np.ndarray, message: str) -> None:
    with pytest.raises(CodeMapError, match=message):
        CodeMap.update(codes=codes)


@given(masks, st.integers(0, 2**32))
def test_bits_travel_as_two_bytes_in_256ths(unknown: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    bits = generator.exponential(30, unknown.shape).astype(np.float32)
    bits[unknown] = np.nan
    codes = generator.integers(0, 512, unknown.shape)
    heat = CodeMap.update(heat=Heat(codes, bits, "judge", "A judge", 12))["heat"]
    heat = json.loads(json.dumps(heat))
    assert heat["codes"] == CodeMap.update(codes=codes)["codes"]  # as the browser compares them
    assert (heat["judge"], heat["name"], heat["top"]) == ("judge", "A judge", 12.0)
    parts = np.frombuffer(base64.b64decode(heat["bits"]), "<u2").reshape(unknown.shape)
    np.testing.assert_array_equal(parts == 65535, unknown)
    known = np.minimum(bits[~unknown], 65534 / 256)
    assert abs(parts[~unknown] / 256 - known).max(initial=0) <= 1 / 512 + 1e-6


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (Heat(np.zeros((2, 3), int), np.zeros((3, 2)), "", "", 12), r"\(2, 3\) have its shape"),
        (Heat(np.zeros((1, 2), int), np.array([[0.5, -0.1]]), "", "", 12), "from -0.1"),
        (Heat(np.zeros((1, 1), int), np.zeros((1, 1)), "", "", 0), "above 0 bits, not at 0"),
        (Heat(np.zeros((1, 1), int), np.zeros((1, 1)), "", "", np.nan), "not at nan"),
        (Heat(np.zeros((1, 1), int), np.zeros((1, 1)), "", "", np.inf), "not at inf"),
        (Heat(np.zeros((1, 129), int), np.zeros((1, 129)), "", "", 12), "1 to 128 rows"),
    ],
)
def test_heat_that_does_not_fit_is_refused(heat: Heat, message: str) -> None:
    with pytest.raises(CodeMapError, match=message):
        CodeMap.update(heat=heat)


@given(st.integers(1, 40), st.integers(1, 8))
def test_patches_travel_edge_to_edge_without_loss(number: int, side: int) -> None:
    pictures = np.random.default_rng(number).integers(0, 256, (number, side, side, 3), np.uint8)
    packed = json.loads(json.dumps(CodeMap.update(patches=Patches("who", pictures))["patches"]))
    assert packed["checkpoint"] == "who"
    head, _, body = packed["sheet"].partition(",")
    assert head == "data:image/png;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))
    columns = packed["columns"]
    assert sheet.shape[1] == columns * side and columns >= sheet.shape[0] // side
    for code, picture in enumerate(pictures):
        top, left = code // columns * side, code % columns * side
        np.testing.assert_array_equal(sheet[top : top + side, left : left + side], picture)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 3, 3), (2, 4, 4, 4)])
def test_patches_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodeMapError, match=r"\(K, s, s, 3\), not uint8"):
        CodeMap.update(patches=Patches("who", np.zeros(shape, np.uint8)))
    floats: Any = np.zeros((2, 4, 4, 3))
    with pytest.raises(CodeMapError, match="not float64"):
        CodeMap.update(patches=Patches("who", floats))


def test_a_full_map_stays_small() -> None:
    codes = np.full((128, 128), 65535)
    changes = CodeMap.update(codes=codes, remaining=np.ones((128, 128), bool))
    assert len(json.dumps(changes)) < 50_000
    heat = CodeMap.update(heat=Heat(codes, np.full(codes.shape, 7.0), "judge", "A judge", 12))
    assert len(json.dumps(heat)) < 90_000


def test_update_changes_only_what_is_given_and_none_takes_away() -> None:
    assert CodeMap.update(disabled=True) == gr.update(disabled=True)
    assert CodeMap.update(image=None, remaining=None) == gr.update(image="", remaining="")
    assert CodeMap.update(heat=None, judge="other") == gr.update(heat="", judge="other")
    assert CodeMap.update(value=None) == gr.update(value=None)


def test_component_needs_every_word() -> None:
    words = dict.fromkeys(TEXT_KEYS, "words") | {"other_key": "not ours"}
    component = CodeMap(text={"en": words}, render=False)
    assert component.props["text"] == TEXT
    del words["codemap_brush"]
    with pytest.raises(ValueError, match="'en' lacks codemap_brush"):
        CodeMap(text={"en": words}, render=False)
    with pytest.raises(ValueError, match="one language"):
        CodeMap(text={}, render=False)


def test_component_refuses_other_hosts_and_grids() -> None:
    with pytest.raises(CodeMapError, match="data:image/"):
        CodeMap(text=TEXT, image="https://example.org/a.png", render=False)
    with pytest.raises(CodeMapError, match="1 to 128"):
        CodeMap(text=TEXT, rows=129, render=False)
    with pytest.raises(CodeMapError, match=r"\(K, 3\)"):
        CodeMap(text=TEXT, palette=np.zeros((4, 4), np.uint8), render=False)


def test_properties_are_not_taken_for_events() -> None:
    """gr.HTML makes events of the names quoted in the script; updates would then send those."""
    component = CodeMap(text=TEXT, render=False)
    assert not hasattr(component, "codes") and not hasattr(component, "rows")
    strokes = {"stroke", "undo_stroke", "redo_stroke"}
    assert {"input", "change", "pick", "ask", "dip"} | strokes == set(component.EVENTS)


def test_component_survives_the_copy_that_gradio_makes_at_each_update() -> None:
    component = CodeMap(
        text=TEXT, codes=np.zeros((32, 32), int), image=np.zeros((4, 4, 3), np.uint8), render=False
    )
    heat = Heat(np.zeros((2, 2), int), np.ones((2, 2)), "judge", "A judge", 12)
    changes = CodeMap.update(disabled=True, image=None, heat=heat)
    changes.pop("__type__")
    copy = CodeMap(**{**component.constructor_args, **changes, "render": False})
    assert copy.props["codes"] == component.props["codes"]
    assert copy.props["disabled"] is True and copy.props["image"] == ""
    assert copy.props["heat"] == changes["heat"]


def test_value_in_both_directions() -> None:
    component = CodeMap(text=TEXT, render=False)
    mask = np.eye(4, dtype=bool)
    assert component.postprocess(mask) == pack_mask(mask)
    assert component.postprocess(None) is None
    assert component.preprocess({"what": "ever"}) == {"what": "ever"}


def test_api_documents_the_value() -> None:
    component = CodeMap(text=TEXT, render=False)
    documented = json_schema_to_python_type(component.api_info())
    assert documented.startswith("dict(mask: str, rows: int, cols: int)"), documented
    example = component.example_payload()
    assert read_mask(example, 32, 32).sum() == 64


def test_data_url_is_a_picture() -> None:
    pixels = np.zeros((6, 4, 3), np.uint8)
    pixels[..., 0] = 200
    url = data_url(pixels)
    head, _, body = url.partition(",")
    assert head == "data:image/jpeg;base64"
    decoded = Image.open(io.BytesIO(base64.b64decode(body)))
    assert decoded.size == (4, 6)
    assert abs(np.asarray(decoded).astype(int) - pixels).max() < 8
    assert data_url(Image.fromarray(pixels)) == url
