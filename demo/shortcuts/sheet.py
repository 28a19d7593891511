"""The sheet of all keys: a button, and a dialog that "?" opens too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.component import Component, source
from demo.shortcuts.table import SCRIPT, SHORTCUTS

HERE = Path(__file__).parent

# Every word of the component, by its key in the dictionaries of the `text` property.
TEXT_KEYS = (
    *("keys_title", "keys_close", "keys_note"),
    *(f"keys_{group}" for group in SHORTCUTS),
    *dict.fromkeys(one.label for group in SHORTCUTS.values() for one in group.values()),
)


class ShortcutSheet(Component):
    """A small button, and behind it every key of `SHORTCUTS` with what it does.

    text: language ("en", "ko", ...) → dictionary that has all of `TEXT_KEYS`; the visitor's
    browser chooses. Raises ValueError for a text without one of them.
    """

    def __init__(self, *, text: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        super().__init__(
            html_template=source(HERE / "template.html"),
            css_template=source(HERE / "style.css"),
            js_on_load="\n".join((SCRIPT, source(HERE / "sheet.js"))),
            text=text,
            keys=TEXT_KEYS,
            labels={
                group: {name: one.label for name, one in shortcuts.items()}
                for group, shortcuts in SHORTCUTS.items()
            },
            **kwargs,
        )
