"""A page with a code map, and buttons that do to it what the app does, for tests in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import gradio as gr
import numpy as np

from demo.codemap import TEXT_KEYS, CodeMap, Heat, Patches, pack_mask, read_mask

ROWS, COLS = 24, 32  # not square, so that a swap of the two shows
CODES = (np.arange(ROWS * COLS) * 7 % 300).reshape(ROWS, COLS)
PALETTE = np.random.default_rng(0).integers(0, 256, (300, 3), dtype=np.uint8)
PATCHES = np.random.default_rng(2).integers(0, 256, (300, 4, 4, 3), dtype=np.uint8)
PATCHES[:, :, :2], PATCHES[:, :, 2:] = PATCHES[:, :1, :1], PATCHES[:, :1, 3:]  # two halves each
OTHER_MASK = np.arange(ROWS * COLS).reshape(ROWS, COLS) % 5 == 0
PICTURE_COLOUR = (90, 120, 150)
BITS = np.random.default_rng(1).uniform(0, 15, (ROWS, COLS)).round(3)
BITS[0, :2] = 3.0, 20.0  # a quarter of the scale, and above it
HEAT_PALETTE = np.array(
    [[0, 0, 0], [80, 20, 120], [250, 130, 90], [250, 250, 190], [255, 255, 255]]
)
HEAT = Heat(CODES, BITS, "somebody", "Somebody", 12)
STREAM_STEPS = 12
HALF = np.arange(ROWS)[:, None] < ROWS // 2

TEXT = {
    language: {key: f"{language} {key.removeprefix('codemap_')}" for key in TEXT_KEYS}
    | {
        "codemap_count": f"{language} {{count}} / {{total}}",
        "codemap_cell_code": f"{language} {{row}},{{col}},{{code}}",
        "codemap_cell": f"{language} {{row}},{{col}}",
        "codemap_cell_bits": f"{language} {{row}},{{col}},{{code}},{{bits}}",
        "codemap_heat": f"{language} heat {{name}}",
        "codemap_heat_high": f"{language} {{top}}",
        "codemap_heat_busy": f"{language} {{name}} {{percent}}",
        "codemap_zoom": f"{language} zoom {{zoom}}",
        "codemap_remaining": f"{language} {{count}} remaining",
    }
    for language in ("en", "ko")
}


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((ROWS * 4, COLS * 4, 3), colour, np.uint8)


def region_of(value: object, request: str) -> str:
    """`request` is "rows cols ticket"; the ticket comes back, to tell this answer from the last."""
    rows, cols, ticket = map(int, request.split())
    lines = ("".join("01"[int(cell)] for cell in row) for row in read_mask(value, rows, cols))
    return "\n".join([f"ticket {ticket}", *lines])


def stream(value: object) -> Iterator[dict[str, Any]]:
    """The region filled a few codes at a time, as a resampling job shows it."""
    left = read_mask(value, ROWS, COLS)
    codes, todo = CODES.copy(), np.argwhere(left)
    for step in range(STREAM_STEPS):
        for row, col in todo[step::STREAM_STEPS]:
            left[row, col] = False
            codes[row, col] = 299
        grey = 100 + step
        yield CodeMap.update(
            codes=codes, image=plain((grey, grey, grey)), remaining=left, disabled=True
        )
        time.sleep(0.15)  # longer than a slow machine takes to draw a step
    yield CodeMap.update(remaining=None, disabled=False)


def build() -> gr.Blocks:
    resets = count()
    with gr.Blocks() as page:
        codemap = CodeMap(
            text=TEXT,
            rows=ROWS,
            cols=COLS,
            codes=CODES,
            image=plain(PICTURE_COLOUR),
            palette=PALETTE,
            heat_palette=HEAT_PALETTE.astype(np.uint8),
            judge="somebody",
            picture_id="first",
            elem_id="map",
        )
        CodeMap(text=TEXT, elem_id="empty")
        request = gr.Textbox(elem_id="request", label="request")
        region = gr.Textbox(elem_id="region", label="region", lines=ROWS + 1)
        inputs = gr.Number(0, elem_id="inputs", label="inputs", precision=0)
        picked = gr.Textbox(elem_id="picked", label="picked")
        asks = gr.Number(0, elem_id="asks", label="asks", precision=0)

        gr.Button("read", elem_id="read").click(
            region_of, [codemap, request], region, api_name="region"
        )
        codemap.input(lambda n: n + 1, inputs, inputs, trigger_mode="multiple")

        def note_pick(event: gr.EventData) -> str:
            return f"{event.row},{event.col},{event.code}"

        codemap.pick(note_pick, None, picked)
        codemap.ask(lambda n: n + 1, asks, asks, trigger_mode="multiple")
        codemap.dip(lambda: CodeMap.update(patches=Patches("", PATCHES)), None, codemap)

        changes = {
            "new-image": {"image": plain((20, 160, 60)), "codes": CODES[::-1]},
            "new-picture": {"picture_id": "second", "image": plain((200, 30, 30))},
            "new-grid": {"codes": CODES[:16, :16]},
            "set-region": {"value": OTHER_MASK},
            "unset-region": {"value": None},
            "spoil-region": {"value": {"mask": "", "rows": 1, "cols": 1}},
            "show-remaining": {"remaining": OTHER_MASK},
            "heat": {"heat": HEAT},
            "half-heat": {"heat": replace(HEAT, bits=np.where(HALF, BITS, np.nan))},
            "heat-of-other-codes": {"heat": replace(HEAT, codes=CODES[::-1])},
            "no-heat": {"heat": None},
            "other-judge": {"judge": "somebody else"},
            "same-judge": {"judge": "somebody"},
            "other-codes": {"codes": CODES[::-1]},
            "same-codes": {"codes": CODES},
            "answer-strokes": {"answered": 1000},
            "lock": {"disabled": True},
            "unlock": {"disabled": False},
            "broken-image": {"image": "data:image/png;base64,AAAA"},
            "no-picture": {"image": None, "codes": None},
        }
        for name, change in changes.items():
            gr.Button(name, elem_id=name).click(
                lambda change=change: CodeMap.update(**change),
                None,
                codemap,
                show_progress="hidden",
            )

        def reset() -> tuple[dict[str, Any], int]:
            return CodeMap.update(
                value=None,
                codes=CODES,
                image=plain(PICTURE_COLOUR),
                remaining=None,
                picture_id=f"reset {next(resets)}",
                disabled=False,
            ), 0

        gr.Button("reset", elem_id="reset").click(reset, None, [codemap, inputs])
        gr.Button("stream", elem_id="stream").click(
            stream, codemap, codemap, show_progress="hidden"
        )
        gr.HTML("<div style='height: 2000px'></div>")  # something to scroll
    return page


def example() -> dict[str, Any]:
    return pack_mask(OTHER_MASK)
