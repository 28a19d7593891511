"""Every key of the page, once: the scripts look their keys up here, and the sheet shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shortcut:
    """What any of these keys does.

    keys: as in `KeyboardEvent.key`, with letters in capitals, "Space" for the blank, and "Ctrl+" or
    "Ctrl+Shift+" before it. Command stands for Ctrl on a Mac. label: the key of the words.
    """

    label: str
    keys: tuple[str, ...]


_WALK = ("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight", "PageUp", "PageDown", "Home", "End")

# By where they work, then by what they do: the scripts know the names of both.
SHORTCUTS: dict[str, dict[str, Shortcut]] = {
    "page": {
        "start": Shortcut("keys_start", ("Ctrl+Enter",)),
        "stop": Shortcut("keys_stop", ("Escape",)),
        "help": Shortcut("keys_help", ("?",)),
    },
    "tools": {
        "brush": Shortcut("codemap_brush", ("B",)),
        "eraser": Shortcut("codemap_eraser", ("E",)),
        "rectangle": Shortcut("codemap_rectangle", ("R",)),
        "code": Shortcut("codemap_code_brush", ("C",)),
        "inspect": Shortcut("codemap_inspect", ("I",)),
        "paste": Shortcut("codemap_paste", ("Ctrl+V",)),
    },
    "actions": {
        "smaller": Shortcut("keys_smaller", ("[",)),
        "larger": Shortcut("keys_larger", ("]",)),
        "zoom_in": Shortcut("keys_zoom_in", ("+", "=")),
        "zoom_out": Shortcut("keys_zoom_out", ("-",)),
        "zoom_off": Shortcut("codemap_zoom_off", ("0",)),
        "undo": Shortcut("keys_undo", ("Ctrl+Z",)),
        "redo": Shortcut("keys_redo", ("Ctrl+Y", "Ctrl+Shift+Z")),
        "invert": Shortcut("keys_invert", ("X",)),
        "clear": Shortcut("keys_clear", ("Delete",)),
        "same": Shortcut("codemap_same", ("A",)),
        "copy": Shortcut("codemap_copy", ("Ctrl+C",)),
        "flip_across": Shortcut("keys_flip_across", ("H",)),
        "flip_down": Shortcut("keys_flip_down", ("V",)),
        "leave": Shortcut("keys_leave", ("Escape",)),
    },
    "cursor": {
        "walk": Shortcut("keys_walk", _WALK),
        "use": Shortcut("keys_use", ("Space", "Enter")),
    },
    "held": {
        "erase": Shortcut("keys_erase", ("Shift",)),
        "take_up": Shortcut("keys_take_up", ("Alt",)),
        "zoom": Shortcut("keys_zoom", ("Ctrl",)),
    },
    "history": {
        "walk": Shortcut("keys_steps", ("ArrowLeft", "ArrowRight", "Home", "End")),
        "go": Shortcut("keys_go", ("Space", "Enter")),
        "compare": Shortcut("keys_compare", ("C",)),
        "leave": Shortcut("history_end", ("Escape",)),
    },
    "codes": {
        "walk": Shortcut("keys_walk", _WALK),
        "pin": Shortcut("keys_pin", ("Space", "Enter")),
        "unpin": Shortcut("explorer_unpin", ("Escape",)),
    },
}

# For the head of a script: `shortcutOf(group, event)` is the name of what the event's keys do.
SCRIPT = "\n".join(
    (
        f"""const SHORTCUTS = {
            json.dumps(
                {
                    group: {name: one.keys for name, one in shortcuts.items()}
                    for group, shortcuts in SHORTCUTS.items()
                }
            )
        };""",
        (Path(__file__).parent / "keys.js").read_text("utf-8"),
    )
)
