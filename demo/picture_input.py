"""Where a visitor's picture comes in: `gr.Image` with the project's own reader behind it.

`gr.Image` decodes an upload before any code of the app runs, without limits that a small server
could afford, and opens whatever path a hand-written request names. `PictureInput` looks the same
in the browser, but reads only files that were uploaded here, and those with `vq.pictures`.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder
from PIL import Image

from vq.pictures import PictureError, read_picture


class PictureInput(gr.Image):
    """A picture from a file, the clipboard or the camera, as an upright RGB Pillow image.

    Takes the options of `gr.Image`; `format`, `type` and `image_mode` are settled here. A picture
    that is refused raises `gr.Error` with the reader's message before the event's function runs.
    """

    is_template = True  # the browser shows it with the parts of gr.Image

    def __init__(self, value: Any = None, **options: Any) -> None:
        options.setdefault("sources", ["upload", "clipboard", "webcam"])
        options.setdefault("buttons", ["download", "fullscreen"])
        # PNG, as Gradio's default is a lossy WebP.
        settled = {"format": "png", "type": "pil", "image_mode": "RGB"}
        super().__init__(value, **{**options, **settled})

    def get_config(self, cls: Any = None) -> dict[str, Any]:
        """What the browser is told: the parameters of `gr.Image`, which it knows the names of."""
        return super().get_config(cls or gr.Image)

    def preprocess(self, payload: ImageData | None) -> Image.Image | None:
        """The picture of an upload, mode RGB. Raises gr.Error where it is refused."""
        if payload is None:
            return None
        path = uploaded_file(payload.path)
        if path is None:
            raise _refusal("The picture must be a file that was uploaded to this app.")
        try:
            return read_picture(path)
        except PictureError as error:
            raise _refusal(str(error)) from None


def uploaded_file(path: object) -> Path | None:
    """The file at `path` if it was uploaded here, else None.

    Gradio checks the paths of files that a request marks as such; a caller may leave out the mark.
    """
    if not isinstance(path, str) or "\0" in path:
        return None
    place = Path(path).resolve()
    inside = place.is_relative_to(Path(get_upload_folder()).resolve())
    return place if inside and place.is_file() else None


def _refusal(message: str) -> gr.Error:
    # Gradio shows the message as HTML.
    return gr.Error(html.escape(message), print_exception=False)
