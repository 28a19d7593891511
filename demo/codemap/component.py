"""The Gradio component: its template, style and script are the files beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import gradio as gr
import numpy as np
from gradio.events import EventListener, Events
from numpy.typing import NDArray
from PIL import Image

from demo import shortcuts
from demo.codemap.packing import (
    CodeMapError,
    Heat,
    Patches,
    check_grid,
    data_url,
    pack_bits,
    pack_codes,
    pack_heat,
    pack_mask,
    pack_palette,
    pack_patches,
)
from demo.component import Component, source

HERE = Path(__file__).parent
TEMPLATE = source(HERE / "template.html")
STYLE = source(HERE / "style.css")
PARTS = (
    *("mask", "drawing", "page", "heat", "code_brush", "clipboard"),
    *("edit", "zoom", "keys", "main"),
)
SCRIPT = "\n".join((shortcuts.SCRIPT, source(*(HERE / "script" / f"{part}.js" for part in PARTS))))

# Every word of the component, by its key in the dictionaries of the `text` property.
TEXT_KEYS = tuple(
    f"codemap_{name}"
    for name in (
        *("label", "help", "tools", "brush", "eraser", "rectangle", "inspect", "size"),
        *("code_brush", "code_number", "code_range", "fill", "taken"),
        *("history", "undo", "redo", "selection", "invert", "clear"),
        *("clipboard", "copy", "paste", "flips", "flip_across", "flip_down"),
        *("same", "zoom", "zoom_off"),
        *("copied", "other_checkpoint", "hint_paste", "hint_paste_touch"),
        *("view", "view_picture", "view_codes", "view_both", "view_surprise"),
        *("heat", "heat_low", "heat_high", "heat_waiting", "heat_busy"),
        *("count", "cell", "cell_code", "cell_bits", "same_code", "selected", "not_selected"),
        *("hint", "hint_touch", "hint_rectangle", "hint_inspect"),
        *("hint_code", "hint_code_touch", "hint_take"),
        *("locked", "remaining", "empty_title", "empty_hint"),
    )
)

View = Literal["picture", "codes", "both", "surprise"]
PictureLike = Image.Image | NDArray[np.uint8] | str
MaskLike = NDArray[np.bool_] | dict[str, Any]

# Not None, which means "none": `CodeMap.update(image=None)` takes the picture away.
_KEEP: Any = object()


class CodeMap(Component):
    """A picture and its code map; the visitor paints the codes to be resampled.

    The value, in both directions, is the painted region: None (nothing painted yet) or
    ``{"mask": base64, "rows": int, "cols": int}``. Read it with `read_mask`, never directly: it
    comes from a stranger. Everything else goes to the browser only, through the constructor or
    `update`.

    The region is the browser's. It stays through every `update` of the picture and the codes, and
    is cleared, with its undo history, when `picture_id` or the number of rows or columns changes.

    Events: ``input`` after each stroke or other change by the visitor; ``change`` also after one by
    the server; ``pick`` when a code is inspected, with ``row``, ``col`` and ``code`` (or None) in
    its `gr.EventData`; ``ask`` when the visitor looks at the view "surprise" and `heat` has not, or
    not all of, the bits of these codes under this `judge`; ``dip`` when the code brush is taken up
    and there are no `patches` of this `checkpoint`; ``stroke`` where cells are to get other
    codes, answered with `answered`; ``undo_stroke`` and ``redo_stroke`` where that is to be taken
    back or done again. In the `gr.EventData` of a stroke, all from a stranger: its ``number`` from
    1, the ``cells`` as a value, their ``codes`` (`read_codes`), and the ``checkpoint`` of these.

    Give jobs that stream into the component ``show_progress="hidden"``: otherwise Gradio fades it.
    Hide it with ``visible="hidden"``: ``visible=False`` loses its properties.
    """

    EVENTS: ClassVar = [
        Events.input,
        Events.change,
        EventListener("pick", doc="A code was inspected."),
        EventListener("stroke", doc="Codes were painted over with one code, or others pasted."),
        EventListener("undo_stroke", doc="What a stroke did is to be undone."),
        EventListener("redo_stroke", doc="What a stroke did is to be done again."),
        EventListener("ask", doc="The bits of the codes on show are wanted."),
        EventListener("dip", doc="What the codes decode to is wanted, to paint with."),
    ]

    def __init__(
        self,
        value: MaskLike | None = None,
        *,
        text: Mapping[str, Mapping[str, str]],
        rows: int = 32,
        cols: int = 32,
        codes: NDArray[np.integer] | str | None = None,
        image: PictureLike | None = None,
        remaining: NDArray[np.bool_] | str | None = None,
        palette: NDArray[np.uint8] | str | None = None,
        patches: Patches | dict[str, Any] | str | None = None,
        heat: Heat | dict[str, Any] | str | None = None,
        heat_palette: NDArray[np.uint8] | str | None = None,
        judge: str = "",
        picture_id: str = "",
        checkpoint: str = "",
        answered: int = 0,
        view: View = "picture",
        disabled: bool = False,
        copy_only: bool = False,
        label: str = "Code map",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            value: the region painted at first: bool (rows, cols) or a value as above.
            text: language ("en", "ko", ...) → dictionary that has all of `TEXT_KEYS`; others in it
                are left out. The visitor's browser chooses the language, or else takes the first.
            rows, cols: codes from top to bottom and from left to right, 1 to `MAX_SIDE`.
            codes: integers (rows, cols) in 0..65535.
            image: what the codes stand for: picture, uint8 (H, W, 3) or data URL. Without image and
                codes the component says that there is no picture yet.
            remaining: bool (rows, cols), the codes that a running job has still to fill.
            palette: uint8 (K, 3), the colour of each code (`demo.drawing.code_palette`).
            patches: what strokes of the code brush look like until they are answered; without them,
                like the colours of the palette.
            heat: how much each code surprises; None also takes the visitor out of that view.
            heat_palette: uint8 (K, 3), the colours from no surprise to the most. Without it there
                is no such view.
            judge: any name that is new for everyone, or every way, that bits are judged by.
            picture_id: any name that is new for every new picture.
            checkpoint: what the codes belong to. Codes of another cannot be pasted.
            answered: the number of the last stroke that the codes and the image have, or that was
                refused.
            view: what to show until the visitor chooses.
            disabled: no painting, while a job runs.
            copy_only: codes can be copied from here, to be pasted on another map of the page, but
                not changed.
            kwargs: of `gr.HTML`, such as elem_id, scale and visible.

        Raises:
            CodeMapError: an array of another shape or type than these.
            ValueError: a text without one of the keys.
        """
        check_grid((rows, cols))
        super().__init__(
            value=value,
            label=label,
            html_template=TEMPLATE,
            css_template=STYLE,
            js_on_load=SCRIPT,
            text=text,
            keys=TEXT_KEYS,
            rows=rows,
            cols=cols,
            picture_id=picture_id,
            judge=judge,
            checkpoint=checkpoint,
            copy_only=copy_only,
            answered=answered,
            **_packed(
                codes=codes,
                image=image,
                remaining=remaining,
                palette=palette,
                patches=patches,
                heat=heat,
                heat_palette=heat_palette,
                view=view,
                disabled=disabled,
            ),
            **kwargs,
        )

    @staticmethod
    def update(
        *,
        value: MaskLike | None = _KEEP,
        codes: NDArray[np.integer] | None = _KEEP,
        image: PictureLike | None = _KEEP,
        remaining: NDArray[np.bool_] | None = _KEEP,
        palette: NDArray[np.uint8] | None = _KEEP,
        patches: Patches | None = _KEEP,
        heat: Heat | None = _KEEP,
        heat_palette: NDArray[np.uint8] | None = _KEEP,
        judge: str = _KEEP,
        picture_id: str = _KEEP,
        checkpoint: str = _KEEP,
        answered: int = _KEEP,
        view: View = _KEEP,
        disabled: bool = _KEEP,
    ) -> dict[str, Any]:
        """What an event returns to change these properties and no other (see the constructor).

        None takes codes, image, remaining, heat or the painted region away. `codes` sets rows and
        cols.
        """
        given = {
            "codes": codes,
            "image": image,
            "remaining": remaining,
            "palette": palette,
            "patches": patches,
            "heat": heat,
            "heat_palette": heat_palette,
            "judge": judge,
            "view": view,
            "disabled": disabled,
        }
        changes = _packed(**{name: new for name, new in given.items() if new is not _KEEP})
        if codes is not _KEEP and codes is not None:
            changes["rows"], changes["cols"] = check_grid(codes.shape)
        as_they_are = {
            "picture_id": picture_id,
            "checkpoint": checkpoint,
            "answered": answered,
            "value": value,
        }
        changes |= {name: new for name, new in as_they_are.items() if new is not _KEEP}
        update: dict[str, Any] = gr.update(**changes)
        return update

    def preprocess(self, payload: object) -> object:
        """The value as it came: only the event knows how many codes it must have (`read_mask`)."""
        return payload

    def postprocess(self, value: MaskLike | None) -> dict[str, Any] | None:
        """bool (rows, cols), or a value already packed, or None for an empty region."""
        return pack_mask(value) if isinstance(value, np.ndarray) else value

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "description": (
                "The painted codes. mask: base64 of one bit a code (1 = resample), rows from the "
                "top, each from the left, the first code in the highest bit of the first byte, as "
                "in base64.b64encode(numpy.packbits(mask)). rows, cols: size of the code map."
            ),
            "properties": {
                "mask": {"type": "string"},
                "rows": {"type": "integer"},
                "cols": {"type": "integer"},
            },
            "required": ["mask", "rows", "cols"],
        }

    def example_payload(self) -> dict[str, Any]:
        """A square in the middle of a map of 32 × 32 codes."""
        mask = np.zeros((32, 32), dtype=bool)
        mask[12:20, 12:20] = True
        return pack_mask(mask)

    def example_value(self) -> dict[str, Any]:
        return self.example_payload()


def _packed(**properties: Any) -> dict[str, Any]:
    """The properties as they travel; None as an empty text, as Gradio drops updates to None."""
    packers: dict[str, Any] = {
        "codes": pack_codes,
        "image": data_url,
        "remaining": pack_bits,
        "palette": pack_palette,
        "patches": pack_patches,
        "heat": pack_heat,
        "heat_palette": pack_palette,
    }
    packed = {}
    for name, new in properties.items():
        if name == "image" and isinstance(new, str) and not new.startswith("data:image/") and new:
            raise CodeMapError("The image of a code map must be a picture or a data:image/ URL.")
        if name in packers and not isinstance(new, str | dict):  # or packed already
            new = "" if new is None else packers[name](new)
        packed[name] = new
    return packed
