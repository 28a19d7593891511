"""A second picture in the Edit tab: codes are copied from its map, and pasted in the first.

What is copied stays in the browser until it is pasted. So nothing of the second picture is held
here, and the session knows of it only by the codes that arrive (`demo.editor.Editor.brush`).
"""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr
from PIL import Image

from demo.codemap import CodeMap
from demo.picture_input import PictureInput
from demo.shelf import Shelf
from demo.text import CATALOGUES
from demo.text import INTERFACE as _
from demo.toasts import Updates, guarded

# What the map says otherwise than the one that is edited.
OTHER_WORDS = ("label", "hint", "hint_touch", "empty_hint", "paste", "copied")
TEXT = {
    language: words | {f"codemap_{name}": words[f"transplant_{name}"] for name in OTHER_WORDS}
    for language, words in CATALOGUES.items()
}


def build(shelf: Shelf, model: gr.Dropdown) -> None:
    """Lay it out in the current context, closed, and wire it."""
    with (
        gr.Accordion(_("transplant_title"), open=False, elem_id="transplant"),
        gr.Row(elem_classes="picture-row"),
    ):
        picture = PictureInput(
            label=_("transplant_picture"),
            sources=["upload", "clipboard"],
            height=176,
            scale=2,
            min_width=160,
            elem_id="second-picture",
        )
        with gr.Column(scale=5, min_width=300):
            canvas = CodeMap(text=TEXT, copy_only=True, elem_id="second-canvas")

    def show(upload: Image.Image | None, model: Any) -> Updates:
        """The picture as its codes have it: so it looks where they are pasted."""
        if upload is None:
            return {canvas: CodeMap.update(codes=None, image=None, value=None, picture_id="")}
        studio = shelf.get(model)
        about = studio.describe()
        codes = studio.encode(studio.prepare(upload))
        return {
            canvas: CodeMap.update(
                codes=codes,
                image=studio.decode(codes),
                palette=about.palette,
                checkpoint=about.checkpoint,
                picture_id=secrets.token_hex(8),
            )
        }

    gr.on(
        [picture.change, model.change],
        guarded(show),
        [picture, model],
        canvas,
        concurrency_id="open",
        show_progress="hidden",
        api_visibility="private",
    )
