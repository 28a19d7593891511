"""The Python side of the history strip: what goes to the browser."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.history import NOBODY, TEXT_KEYS, HistoryStrip, Step

TEXT = {"en": dict.fromkeys(TEXT_KEYS, "words")}


def picture(url: str) -> np.ndarray:
    head, data = url.split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("size", "small"), [((384, 512), (48, 64)), ((512, 96), (64, 12)), ((8, 32), (8, 32))]
)
def test_a_picture_travels_small_and_looks_like_itself(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    y, x = np.mgrid[: size[0], : size[1]]
    slopes = np.stack([255 * y / size[0], 255 * x / size[1], np.full(size, 99)], -1)
    update = HistoryStrip.showing([Step(0, "Opened", slopes.astype(np.uint8))], 0)
    thumbnail = picture(update["steps"][0]["image"])
    assert thumbnail.shape == (*small, 3)
    rows = (np.arange(small[0]) + 0.5) * size[0] / small[0]
    columns = (np.arange(small[1]) + 0.5) * size[1] / small[1]
    expected = slopes[rows.astype(int)][:, columns.astype(int)]
    assert np.abs(thumbnail - expected).mean() < 8


def test_a_long_history_of_photographs_is_a_small_update() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (384, 512, 3), dtype=np.uint8)
    steps = [Step(number, f"step {number}", noise) for number in range(32)]
    update = HistoryStrip.showing(steps, 31, 4, waiting=True)
    assert len(json.dumps(update)) < 150_000
    assert [one["number"] for one in update["steps"]] == list(range(32))
    assert (update["current"], update["reference"], update["waiting"]) == (31, 4, True)


def strip(**options: Any) -> HistoryStrip:
    return HistoryStrip(**{"text": TEXT, **options})


def test_it_needs_its_words_and_takes_what_an_update_gives() -> None:
    with pytest.raises(ValueError, match="history_gap"):
        strip(text={"en": {key: "words" for key in TEXT_KEYS if key != "history_gap"}})
    assert strip().props["steps"] == [] and strip().props["reference"] == NOBODY
    assert strip(**HistoryStrip.showing([], NOBODY)).props["disabled"] is False
    assert HistoryStrip.locked()["disabled"] is True
