"""The Gradio component: its template, style and script are the files beside this one."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import numpy as np
from gradio.events import EventListener
from numpy.typing import NDArray
from PIL import Image

from demo import shortcuts
from demo.component import Component, source

HERE = Path(__file__).parent
TEMPLATE = source(HERE / "template.html")
STYLE = source(HERE / "style.css")
SCRIPT = "\n".join(
    (shortcuts.SCRIPT, source(*(HERE / "script" / f"{part}.js" for part in ("page", "main"))))
)

# Every word of the component, by its key in the dictionaries of the `text` property.
TEXT_KEYS = tuple(
    f"history_{name}"
    for name in (
        *("title", "help", "compare", "end", "pick", "decide", "gap"),
        *("step", "here", "undone", "left"),
    )
)

THUMBNAIL = 64  # pixels on the long side
NOBODY = -1  # no step has this number; Gradio drops updates to None

# The properties that only updates set.
NOTHING_YET: dict[str, Any] = {
    "steps": [],
    "current": NOBODY,
    "reference": NOBODY,
    "waiting": False,
    "disabled": False,
}


@dataclass(frozen=True, eq=False)
class Step:
    """A step of the history: its number, what it was in the visitor's language, its picture.

    `picture` is uint8 `(H, W, 3)`, of any size.
    """

    number: int
    name: str
    picture: NDArray[np.uint8]


class HistoryStrip(Component):
    """The steps of an edit in a row; the visitor goes to one of them, or compares with it.

    It has no value: `update` tells it everything, and its two events what the visitor wants, which
    comes from a stranger. ``jump``: to go to the step of that ``number`` in the `gr.EventData`.
    ``compare``: to compare with it, or, where the number is `NOBODY`, to end that.
    """

    EVENTS: ClassVar = [
        EventListener("jump", doc="A step was pressed, to go to it."),
        EventListener("compare", doc="A step was chosen to compare with."),
    ]

    def __init__(
        self,
        *,
        text: Mapping[str, Mapping[str, str]],
        label: str = "History",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            text: language ("en", "ko", ...) → dictionary that has all of `TEXT_KEYS`.
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
            **{**NOTHING_YET, **kwargs},
        )

    @staticmethod
    def showing(
        steps: Sequence[Step], current: int, reference: int = NOBODY, *, waiting: bool = False
    ) -> dict[str, Any]:
        """The update that shows these steps, and lets them be pressed; none: nothing is seen.

        Args:
            current: number of the step that the canvas shows; those after it are undone.
            reference: number of the step that is compared with.
            waiting: something is to be decided on before any other step can be gone to.
        """
        update: dict[str, Any] = gr.update(
            steps=[
                {"number": step.number, "name": step.name, "image": thumbnail_url(step.picture)}
                for step in steps
            ],
            current=current,
            reference=reference,
            waiting=waiting,
            disabled=False,
        )
        return update

    @staticmethod
    def locked() -> dict[str, Any]:
        """The update that lets nothing be pressed, while a job runs."""
        update: dict[str, Any] = gr.update(disabled=True)
        return update


def thumbnail_url(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) inside a URL, small enough to be sent with every update."""
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
