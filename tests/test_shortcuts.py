"""The table of keys is all there is: every script looks them up in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.shortcuts import SHORTCUTS, ShortcutSheet
from demo.text import CATALOGUES

DEMO = Path(__file__).resolve().parent.parent / "demo"
SCRIPTS = {path: path.read_text("utf-8") for path in sorted(DEMO.rglob("*.js"))}
# Three that walk by keys.
CANVAS = SCRIPTS[DEMO / "codemap" / "script" / "keys.js"]
HISTORY = SCRIPTS[DEMO / "history" / "script" / "main.js"]
EXPLORER = "".join(text for path, text in SCRIPTS.items() if path.parent.parent.name == "explorer")


def keys_of(script: str, table: str) -> set[str]:
    """The keys of a JavaScript object literal, one a line."""
    found = re.search(rf"const {table} = {{\n(.*?)\n}};", script, re.DOTALL)
    assert found is not None
    return {re.split("[:,]", line)[0].strip() for line in found[1].splitlines()}


@pytest.mark.parametrize(
    "groups",
    [("page", "tools", "actions", "cursor"), ("page", "codes"), ("page", "history")],
)
def test_no_keys_do_two_things_in_one_place(groups: tuple[str, ...]) -> None:
    keys = [key for group in groups for one in SHORTCUTS[group].values() for key in one.keys]
    # But Escape, which ends what is at hand: a stroke, pasting, a code in view, or else the job.
    assert {key for key in keys if keys.count(key) > 1} <= {"Escape"}


def test_all_walk_by_the_keys_of_the_table() -> None:
    assert keys_of(CANVAS, "STEPS") == set(SHORTCUTS["cursor"]["walk"].keys)
    assert keys_of(HISTORY, "WALK") == set(SHORTCUTS["history"]["walk"].keys)
    assert keys_of(EXPLORER, "WALK") == set(SHORTCUTS["codes"]["walk"].keys)


def test_no_script_knows_a_key_that_the_table_does_not() -> None:
    compared: dict[str, set[str]] = {}
    for path, text in SCRIPTS.items():
        room = path.relative_to(DEMO).parts[0]
        compared.setdefault(room, set()).update(re.findall(r'\bkey === "([^"]+)"', text))
    table = {key for name in ("pin", "unpin") for key in SHORTCUTS["codes"][name].keys}
    assert {"Space" if key == " " else key for key in compared.pop("explorer")} == table
    del compared["shortcuts"]  # has how keys are printed
    assert not any(compared.values())


def test_what_the_keys_of_the_canvas_do_is_there() -> None:
    template = (DEMO / "codemap" / "template.html").read_text("utf-8")
    assert set(SHORTCUTS["tools"]) == set(re.findall(r'data-tool="(\w+)"', template))
    does = keys_of(SCRIPTS[DEMO / "codemap" / "script" / "edit.js"], "ACTIONS")
    does |= keys_of(CANVAS, "LOOKS") | {"leave"}
    assert set(SHORTCUTS["actions"]) == does - {"fill"}  # which has a button alone


def test_the_sheet_has_words_for_all_of_it() -> None:
    sheet = ShortcutSheet(text=CATALOGUES, render=False)
    for words in sheet.props["text"].values():
        for group, shortcuts in SHORTCUTS.items():
            assert words[f"keys_{group}"]
            assert all(words[one.label] for one in shortcuts.values())
    with pytest.raises(ValueError, match="lacks keys_title"):
        ShortcutSheet(text={"en": {}}, render=False)
