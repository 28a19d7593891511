"""The Python side of the code explorer: what goes to the browser."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.code_sheet import nearest_codes
from demo.explorer import TEXT_KEYS, CodeExplorer
from demo.explorer.component import packed_book
from demo.jobs import CodeBook

K, SIDE, COLUMNS = 11, 4, 4
BOOK = CodeBook(
    np.random.default_rng(0).normal(size=(K, 5)).astype(np.float32),
    np.random.default_rng(1).integers(0, 256, (K, SIDE, SIDE, 3), dtype=np.uint8),
)
TEXT = {"en": dict.fromkeys(TEXT_KEYS, "words")}


def numbers(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def picture(url: str) -> np.ndarray:
    head, data = url.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


def test_the_sheet_has_each_codes_patch_in_its_place() -> None:
    packed = json.loads(json.dumps(packed_book(BOOK)))
    assert packed["columns"] == COLUMNS
    order, sheet = numbers(packed["order"], "<u2"), picture(packed["sheet"])
    assert sorted(order.tolist()) == list(range(K))
    assert sheet.shape == (3 * SIDE, COLUMNS * SIDE, 3)
    for place, code in enumerate(order):
        top, left = place // COLUMNS * SIDE, place % COLUMNS * SIDE
        np.testing.assert_array_equal(
            sheet[top : top + SIDE, left : left + SIDE], BOOK.patches[code]
        )


def test_neighbours_travel_code_by_code() -> None:
    packed = packed_book(BOOK)
    nearest = nearest_codes(BOOK.vectors)
    np.testing.assert_array_equal(numbers(packed["near"], "<u2").reshape(K, 8), nearest.codes)
    distances = numbers(packed["distances"], "<f4").reshape(K, 8)
    np.testing.assert_allclose(distances, nearest.distances, rtol=1e-6)


def test_a_picture_travels_whole_and_can_be_taken_away() -> None:
    codes = np.arange(6).reshape(2, 3)
    decoded = np.random.default_rng(2).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    update = CodeExplorer.with_picture(codes, decoded, "one")
    assert (update["rows"], update["cols"], update["picture_id"]) == (2, 3, "one")
    np.testing.assert_array_equal(numbers(update["codes"], "<u2"), codes.ravel())
    np.testing.assert_array_equal(picture(update["image"]), decoded)
    assert "book" not in update and "bits" not in update
    nothing = CodeExplorer.with_picture(None, None, "two", {"book": packed_book(BOOK)})
    assert nothing["codes"] == nothing["image"] == "" and nothing["book"]["columns"] == COLUMNS


def test_bits_travel_with_what_they_are_of() -> None:
    bits = np.array([[1.5, np.nan]], np.float32)
    update = CodeExplorer.with_bits("one", "masked", bits)["bits"]
    assert (update["picture_id"], update["prior"]) == ("one", "masked")
    np.testing.assert_array_equal(numbers(update["values"], "<f4"), bits.ravel())
    assert CodeExplorer.without_bits() != CodeExplorer.without_bits()  # each one is seen


def explorer(**options: Any) -> CodeExplorer:
    palette = np.zeros((K, 3), np.uint8)
    return CodeExplorer(**{"text": TEXT, "palette": palette, "priors": ["masked"], **options})


def test_it_needs_its_words_and_takes_what_an_update_gives() -> None:
    with pytest.raises(ValueError, match="explorer_go"):
        explorer(text={"en": {key: "words" for key in TEXT_KEYS if key != "explorer_go"}})
    assert explorer(codes="AAAA", rows=1, cols=2).props["codes"] == "AAAA"
    assert explorer().props["book"] == {}
