"""The Gradio component: its template, style and script are the files beside this one.

How its buttons look it has from the code map (`demo/codemap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gradio.processing_utils import save_img_array_to_cache
from numpy.typing import NDArray

from demo import codemap
from demo.codemap.packing import pack_palette
from demo.component import Component, source
from demo.drawing import ERROR_LIMIT, error_colours

HERE = Path(__file__).parent
SHARED = Path(codemap.__file__).parent
TEMPLATE = source(HERE / "template.html")
STYLE = source(SHARED / "style.css", HERE / "style.css")
SCRIPT = source(
    *(HERE / "script" / f"{part}.js" for part in ("page", "pictures", "camera", "split", "main"))
)

# Every word of the component, by its key in the dictionaries of the `text` property.
TEXT_KEYS = tuple(
    f"comparison_{name}"
    for name in (
        *("label", "show", "picture", "error", "zoom", "zoom_in", "zoom_out", "fit", "zoomed"),
        *("left", "right", "split", "split_value", "stage", "help", "hint", "hint_touch"),
        *("waiting", "all", "error_low", "error_high"),
    )
)


@dataclass(frozen=True, eq=False)
class View:
    """A picture to look at: a file that `ComparisonViewer.file_of` made; None while there is none.

    `id` is its own among all, `name` and `note` (a line of figures, or what went wrong) are in the
    visitor's language.
    """

    id: str
    name: str
    file: str | None = None
    note: str = ""
    failed: bool = False


class ComparisonViewer(Component):
    """Pictures of one size: two of them under a line that is drawn, and all of them below, in the
    same place at the same zoom; or how each differs from the first.

    It only shows. Its value, as `showing` makes it, names the pictures as files of the app, and
    the browser works out the errors, with the colours of `demo.drawing.error_map`.
    """

    def __init__(
        self,
        value: dict[str, Any] | None = None,
        *,
        text: Mapping[str, Mapping[str, str]],
        label: str = "Comparison",
        **kwargs: Any,
    ) -> None:
        """
        Args:
            text: language ("en", "ko", ...) → dictionary that has all of `TEXT_KEYS`.
            kwargs: of `gr.HTML`, such as elem_id.

        Raises:
            ValueError: a text without one of the keys.
        """
        super().__init__(
            value=value,
            label=label,
            html_template=TEMPLATE,
            css_template=STYLE,
            js_on_load=SCRIPT,
            text=text,
            keys=TEXT_KEYS,
            **{
                "palette": pack_palette(error_colours(np.linspace(0, ERROR_LIMIT, 256))),
                "limit": ERROR_LIMIT,
                **kwargs,
            },
        )

    def file_of(self, picture: NDArray[np.uint8]) -> str:
        """A picture uint8 `(H, W, 3)` as a file of the app, for the `View`s of it.

        Once for each: written again, a file could not be read meanwhile.
        """
        path: str = save_img_array_to_cache(picture, self.GRADIO_CACHE, format="png")
        return path

    @staticmethod
    def showing(views: Sequence[View]) -> dict[str, Any]:
        """The value that shows these, the first of which is the original; none: nothing is seen."""
        packed = []
        for view in views:
            one = {"id": view.id, "name": view.name, "note": view.note, "failed": view.failed}
            if view.file is not None:
                one["image"] = {"path": view.file, "meta": {"_type": "gradio.FileData"}}
            packed.append(one)
        return {"views": packed}

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return value
