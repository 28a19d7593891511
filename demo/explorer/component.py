"""The Gradio component: its template, style and script are the files beside this one.

What it draws with, and how its buttons look, it has from the code map (`demo/codemap`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import numpy as np
from gradio.events import EventListener
from numpy.typing import ArrayLike, NDArray

from demo import codemap
from demo.code_sheet import nearest_codes, sheet_columns, sheet_order
from demo.codemap.packing import check_grid, pack_codes, pack_palette, png_url
from demo.component import Component, source
from demo.drawing import ERROR_LIMIT, error_colours, grid_picture
from demo.jobs import CodeBook, Description

HERE = Path(__file__).parent
SHARED = Path(codemap.__file__).parent
TEMPLATE = source(HERE / "template.html")
STYLE = source(SHARED / "style.css", HERE / "style.css")
SCRIPT = source(
    *(SHARED / "script" / f"{part}.js" for part in ("mask", "drawing")),
    *(HERE / "script" / f"{part}.js" for part in ("page", "board", "colours", "inspector", "main")),
)

# Every word of the component, by its key in the dictionaries of the `text` property.
TEXT_KEYS = (
    *("prior_masked", "prior_pixelcnn"),
    *(
        f"explorer_{name}"
        for name in (
            *("colours", "decoded", "codes", "similarity", "frequency", "bits", "prior"),
            *("about_decoded", "about_codes", "about_similarity", "about_frequency"),
            *("about_bits", "about_bits_sum", "bits_end", "computing", "map_label"),
            *("map_help", "sheet_label", "sheet_help", "sheet_title", "sheet_colours"),
            *("sheet_patches", "sheet_as_map", "loading", "used", "empty_title"),
            *("empty_hint", "go", "hint", "hint_touch", "alone", "context", "code"),
            *("places", "nowhere", "cell", "cell_bits", "unpin", "nearest", "typical"),
            *("nearest_one", "cell_spoken", "nearest_spoken"),
        )
    ),
)

# The properties that only updates set, as they travel.
NOTHING_YET: dict[str, Any] = {
    "book": {},
    "rows": 1,
    "cols": 1,
    "codes": "",
    "image": "",
    "picture_id": "",
    "bits": {},
}


class CodeExplorer(Component):
    """A code map in several colourings beside all codes of the code book; pointing at either shows
    the code and where it stands in both.

    It has no value: everything goes to the browser, where all that follows the pointer happens.

    Events: ``score`` when the visitor wants the bits of the codes, with the name of a ``prior`` in
    its `gr.EventData`; answer `with_bits`, once or as more become known, or `without_bits`.
    ``leave`` when a visitor without a picture wants to open one.
    """

    EVENTS: ClassVar = [
        EventListener("score", doc="The bits of the codes under a prior are asked for."),
        EventListener("leave", doc="The visitor wants to open a picture."),
    ]

    def __init__(
        self,
        *,
        text: Mapping[str, Mapping[str, str]],
        palette: NDArray[np.uint8] | str,
        priors: Sequence[str],
        label: str = "Codes",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            text: language ("en", "ko", ...) → dictionary that has all of `TEXT_KEYS`.
            palette: uint8 (K, 3), a colour for each code, alike for codes that are alike.
            priors: names of the priors whose bits can be asked for.
            kwargs: of `gr.HTML`, such as elem_id; and what an update set, as Gradio builds the
                component anew after each.

        Raises:
            ValueError: a text without one of the keys.
        """
        super().__init__(
            label=label,
            html_template=TEMPLATE,
            css_template=STYLE,
            js_on_load=SCRIPT,
            text=text,
            keys=TEXT_KEYS,
            palette=palette if isinstance(palette, str) else pack_palette(palette),
            heat=pack_palette(error_colours(np.linspace(0, ERROR_LIMIT, 256))),
            priors=list(priors),
            **{**NOTHING_YET, **kwargs},
        )

    @staticmethod
    def with_picture(
        codes: NDArray[np.integer] | None,
        decoded: NDArray[np.uint8] | None,
        picture_id: str,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The update that shows a picture, or none.

        Args:
            codes: integers (rows, cols).
            decoded: what they decode to, uint8 (rows × s, cols × s, 3).
            picture_id: a name that is new for every new picture.
            checkpoint: from `packed_checkpoint`, at first and where it changes; it stays.
        """
        update: dict[str, Any] = gr.update(
            picture_id=picture_id,
            codes="" if codes is None else pack_codes(codes),
            image="" if decoded is None else png_url(decoded),
            **(checkpoint or {}),
        )
        update["rows"], update["cols"] = (1, 1) if codes is None else check_grid(codes.shape)
        return update

    @staticmethod
    def with_bits(picture_id: str, prior: str, bits: NDArray[np.floating]) -> dict[str, Any]:
        """The update that answers `score`: -log2 p of each code (rows, cols), NaN where unknown."""
        values = packed(bits, "<f4")
        update: dict[str, Any] = gr.update(
            bits={"picture_id": picture_id, "prior": prior, "values": values}
        )
        return update

    @staticmethod
    def without_bits() -> dict[str, Any]:
        """The update that answers `score` where the bits cannot be had."""
        update: dict[str, Any] = gr.update(bits={"failed": secrets.token_hex(8)})
        return update


def packed_checkpoint(about: Description, book: CodeBook) -> dict[str, Any]:
    """What a checkpoint has of its own, as it travels: its code book, palette and priors."""
    return {
        "book": packed_book(book),
        "palette": pack_palette(about.palette),
        "priors": list(about.priors),
    }


def packed_book(book: CodeBook) -> dict[str, Any]:
    """A code book as it travels to the browser: a sheet of all patches, and who is near whom.

    The sheet is a PNG with the patches edge to edge, like beside like; `order` has the codes on it
    row by row, `near` and `distances` (K × n) each code's nearest.
    """
    columns = sheet_columns(len(book.vectors))
    order = sheet_order(book.vectors, columns)
    nearest = nearest_codes(book.vectors)
    return {
        "columns": columns,
        "order": packed(order, "<u2"),
        "sheet": png_url(grid_picture(list(book.patches[order]), columns, gap=0)),
        "near": packed(nearest.codes, "<u2"),
        "distances": packed(nearest.distances, "<f4"),
        "typical": nearest.typical,
    }


def packed(values: ArrayLike, dtype: str) -> str:
    """Numbers as base64, row by row, each in the bytes of this NumPy type."""
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()
