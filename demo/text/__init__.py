"""Every word the visitor reads, one JSON catalogue a language: `en.json`, `ko.json`.

The page itself (labels, buttons, hints) is translated in the browser, by the browser's language,
through `INTERFACE`. What the server says while it works (status lines, errors) goes through `say`,
in the language of the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import gradio as gr

LANGUAGES = ("en", "ko")  # the first is what everyone else gets
CATALOGUES: dict[str, dict[str, str]] = {
    language: json.loads((Path(__file__).parent / f"{language}.json").read_text("utf-8"))
    for language in LANGUAGES
}
INTERFACE = gr.I18n(**CATALOGUES)


def say(language: str, key: str, **values: object) -> str:
    """The message `key` with its placeholders filled. Raises `KeyError` for an unknown key."""
    return CATALOGUES[language][key].format(**values)


def name_of(kind: Literal["prior", "class"], name: str) -> Any:
    """A prior or a class in the visitor's language if there is a message for it, else as it is."""
    key = f"{kind}_{name.replace(' ', '_')}"
    return INTERFACE(key) if key in CATALOGUES["en"] else name


def words_of(
    text: Mapping[str, Mapping[str, str]], keys: Sequence[str]
) -> dict[str, dict[str, str]]:
    """The words of these keys in every language. Raises ValueError where one is not there."""
    if not text:
        raise ValueError("The text is needed in one language at least.")
    for language, words in text.items():
        if missing := [key for key in keys if key not in words]:
            raise ValueError(f"The text in '{language}' lacks {', '.join(missing)}.")
    return {language: {key: words[key] for key in keys} for language, words in text.items()}


def language_of(request: gr.Request | None) -> str:
    """The language of the request's Accept-Language header; see `language_from`."""
    return language_from(request.headers.get("accept-language", "") if request else "")


def language_from(header: str) -> str:
    """The language of Accept-Language that has a catalogue and is wished for most; else English."""
    wishes = []
    for position, part in enumerate(header.split(",")):
        tag, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            weight = 0.0
        wishes.append((-weight, position, tag.split("-")[0].lower()))
    known = [language for weight, _, language in sorted(wishes) if language in LANGUAGES and weight]
    return known[0] if known else LANGUAGES[0]
