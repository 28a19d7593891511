"""Pictures to try, beside where a picture comes in: photographs, or frames of mazes.

A checkpoint of mazes knows nothing else, so it gets frames of its own kind. They are drawn when
they are asked for, of mazes that nothing was trained on.
"""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr
from gradio.media import get_image

from demo.jobs import Refusal
from demo.picture_input import PictureInput
from demo.shelf import Shelf
from demo.text import INTERFACE as _
from demo.text import language_of, say
from demo.toasts import Updates, guarded

# Photographs that come with Gradio, so that there is something to try without a network.
PHOTOGRAPHS = ("lion.jpg", "tower.jpg", "cheetah1.jpg", "cheetah.jpg")
MAZES = 1_000_000  # that there are to be drawn


def build(shelf: Shelf, model: gr.Dropdown, picture: PictureInput) -> None:
    """Lay them out in the current context. What is pressed goes into `picture`.

    `model` is where the visitor chooses a checkpoint.
    """
    first = gr.State(0)  # of the mazes shown
    with gr.Column() as photographs:
        gr.Examples(
            [get_image(name) for name in PHOTOGRAPHS],
            picture,
            label=_("examples_label"),
            api_visibility="private",
            elem_id="examples",
        )
    with gr.Column(visible=False, elem_id="frames") as drawn:
        gr.Markdown(_("frames_label"), elem_id="frames-label")
        gallery = gr.Gallery(
            show_label=False,
            format="png",
            columns=2,
            allow_preview=False,
            interactive=False,
            object_fit="cover",
            buttons=[],
            elem_id="frame-gallery",
        )
        another = gr.Button(_("frames_another"), size="sm", elem_id="frames-another")
        note = gr.Markdown(visible=False, elem_id="frames-note")

    def show(name: Any, request: gr.Request) -> Updates:
        """What suits the checkpoint."""
        try:
            studio = shelf.get(name)
        except Refusal:
            return {first: gr.skip()}  # others say so
        if not studio.describe().mazes:
            return {photographs: gr.update(visible=True), drawn: gr.update(visible=False)}
        return {
            photographs: gr.update(visible=False),
            drawn: gr.update(visible=True),
            **_frames(name, 0, request),
        }

    def _frames(name: Any, at: int, request: gr.Request) -> Updates:
        try:
            value, said = list(shelf.get(name).frames(at)), ""
        except Refusal as refusal:
            value, said = None, say(language_of(request), refusal.key, **refusal.values)
        shown = gr.update(visible=value is not None)
        return {
            first: at,
            gallery: gr.update(value=value, selected_index=None, **shown),
            another: shown,
            note: gr.update(value=said, visible=value is None),
        }

    def other(name: Any, request: gr.Request) -> Updates:
        """Frames of other mazes."""
        return _frames(name, secrets.randbelow(MAZES), request)

    def choose(name: Any, at: int, event: gr.SelectData) -> Updates:
        frames = shelf.get(name).frames(at)
        return {picture: frames[event.index] if event.index in range(len(frames)) else gr.skip()}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [first, photographs, drawn, gallery, another, note]
    # Without triggers: when the page loads, and at every change.
    gr.on(None, guarded(show), model, outputs, queue=False, **quiet)
    another.click(guarded(other), model, outputs, concurrency_id="short", **quiet)
    gallery.select(guarded(choose), [model, first], picture, concurrency_id="short", **quiet)
