"""The settings of the Edit tab beyond a visit: a link that carries them, a browser that keeps them.

What is in both is told by `demo.remembered`; what runs in the browser is in `page.js`.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

import gradio as gr

from demo import remembered
from demo.jobs import Refusal
from demo.remembered import NAMES, Controls
from demo.shelf import Shelf
from demo.tabs import edit_settings
from demo.text import language_of, say
from demo.toasts import Updates, guarded


def wire(
    demo: gr.Blocks,
    shelf: Shelf,
    controls: Controls,
    status: gr.HTML,
    copy: gr.Button,
    reset: gr.Button,
) -> None:
    """Take the settings in when the page loads, keep every change of them, and give out a link."""
    # Both are fixed, or nothing would outlast a restart of the server. Nothing in it is secret.
    memory = gr.BrowserState(storage_key="codebrush-settings", secret="codebrush-settings")
    copied = gr.JSON(visible="hidden")
    default = shelf.names[0]
    named = [controls[name] for name in NAMES]
    table = json.dumps(remembered.defaults(controls))

    def restore(kept: Any, request: gr.Request) -> Updates:
        """What the link says; if it says nothing, what the browser remembers."""
        language = language_of(request)
        linked = {name: request.query_params[name] for name in request.query_params}
        raw = linked if set(linked) & set(NAMES.values()) else kept
        if not isinstance(raw, dict):
            return gr.skip()
        try:
            about = shelf.get(raw.get(NAMES["model"], default)).describe()
        except Refusal:
            about = shelf.default.describe()
        own = edit_settings.follow(about, raw.get("prior"), raw.get("label"), language)
        known = {**own, "model": {"choices": [(name, name) for name in shelf.names]}}
        values, refused = remembered.read(raw, controls, known)
        if refused and raw is linked:
            text = say(language, "link_refused", settings=", ".join(refused))
            gr.Warning(escape(text, quote=False))
        updates = own if about.name != default else {}
        for name, value in values.items():
            updates[name] = {**updates.get(name, {}), **gr.update(value=value)}
        return {controls[name]: update for name, update in updates.items()} or gr.skip()

    def tell(outcome: Any, request: gr.Request) -> Updates:
        link = str(outcome["link"]) if isinstance(outcome, dict) else ""
        done = isinstance(outcome, dict) and outcome.get("copied") is True
        key = "link_copied" if done else "link_not_copied"
        return {status: escape(say(language_of(request), key, link=link))}

    def back(model: str, request: gr.Request) -> Updates:
        """Every setting as it is at first, but for the checkpoint: the picture is in its codes."""
        language = language_of(request)
        own = edit_settings.follow(shelf.get(model).describe(), None, None, language)
        updates = {
            controls[name]: {**gr.update(value=control.value), **own.get(name, {})}
            for name, control in controls.items()
            if name != "model"
        }
        kept = {} if model == default else {"model": model}
        return {**updates, memory: kept, status: escape(say(language, "settings_were_reset"))}

    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    demo.load(guarded(restore), memory, list(controls.values()), **hidden)  # in the queue: it warns
    quiet = {**hidden, "queue": False}
    seeds = controls["random_seed"]
    gr.on(
        [one.input for one in controls.values()],
        None,
        [seeds, *named],
        memory,
        js=f"(newSeeds, ...values) => changedSettings({table}, newSeeds, values)",
        **quiet,
    )
    copy.click(
        None,
        [seeds, *named],
        copied,
        js=f"(newSeeds, ...values) => copyLink(changedSettings({table}, newSeeds, values))",
        **quiet,
    ).success(guarded(tell), copied, status, **quiet)
    reset.click(guarded(back), controls["model"], [*controls.values(), memory, status], **quiet)
