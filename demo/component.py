"""What the parts of the page have in common that are not Gradio's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from demo.text import words_of


class Component(gr.HTML):
    """A template, a style and a script in the browser; each kind has them in a folder of its own.

    Programs get no value of it, unless a kind says otherwise.
    """

    EVENTS: ClassVar[list[Any]] = []

    def __init__(
        self, *, text: Mapping[str, Mapping[str, str]], keys: Sequence[str], **options: Any
    ) -> None:
        """
        Args:
            text: language ("en", "ko", ...) → dictionary that has all of `keys`; others in it are
                left out. The visitor's browser chooses the language, or else takes the first.
            options: of `gr.HTML`, and the properties that the script reads.

        Raises:
            ValueError: a text without one of the keys.
        """
        super().__init__(apply_default_css=False, text=words_of(text, keys), **options)

    def api_info(self) -> dict[str, Any]:
        return {"type": "null"}

    def __getattr__(self, name: str) -> Any:
        # gr.HTML answers with an event for every name that is quoted in the script. The properties
        # are, and Gradio would send those events in their place when one of them is updated.
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def source(*files: Path) -> str:
    """These files, one after the other: Gradio runs a script as the body of one function, so its
    parts see each other's names.
    """
    return "\n".join(file.read_text("utf-8") for file in files)
