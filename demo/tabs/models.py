"""The Models tab: find a checkpoint, read what it is, pull it from the Hub, work with it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.models import Library
from demo.models_view import ModelsView
from demo.status_line import StatusLine
from demo.text import INTERFACE as _
from demo.toasts import guarded

# Where what is known of a checkpoint is below the list, as on a phone.
SHOW_STATUS = """() => setTimeout(() => {
    const status = document.querySelector("#models-status");
    const { top } = status.getBoundingClientRect();
    if (top > innerHeight - 120) status.scrollIntoView({ block: "start" });
}, 100)"""


def build(library: Library, model: gr.Dropdown, used: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them.

    `model` is where the visitor chooses a checkpoint. One is put to use by its choice there and by
    a new value of `used`.
    """
    gr.Markdown(_("models_intro"))
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=2, min_width=320):
            with gr.Row(elem_classes="actions", equal_height=True):
                words = gr.Textbox(
                    label=_("models_words"),
                    placeholder=_("models_words_hint"),
                    max_lines=1,
                    max_length=200,
                    scale=3,
                    min_width=180,
                    elem_id="models-words",
                )
                search = gr.Button(_("models_search"), min_width=90, elem_id="models-search")
            kind = gr.Radio(
                [(_(f"models_kind_{name}"), name) for name in ("codebrush", "diffusers")],
                value="codebrush",
                label=_("models_kind"),
                elem_id="models-kind",
            )
            badge = gr.HTML(visible=False, elem_id="models-offline")
            found = gr.Radio([], label=_("models_found"), elem_id="models-found")
            results = gr.State([])
        with gr.Column(scale=3, min_width=320):
            status = StatusLine(_("status_models"), elem_id="models-status")
            bar = gr.HTML(elem_id="models-bar")
            with gr.Row(elem_classes="actions"):
                off: dict[str, Any] = {"visible": False, "min_width": 120}
                pull = gr.Button(_("models_pull"), variant="primary", **off, elem_id="models-pull")
                use = gr.Button(_("models_use"), variant="primary", **off, elem_id="models-use")
                remove = gr.Button(_("models_remove"), **off, elem_id="models-remove")
                stop = gr.Button(_("stop"), variant="stop", **off, elem_id="models-stop")
            facts = gr.HTML(elem_id="models-facts")
            card = gr.HTML(elem_id="models-card")

    view = ModelsView(
        library, model, used, tabs, search, found, results, status, bar, badge, facts, card,
        pull, use, remove, stop,
    )  # fmt: skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    at_once: dict[str, Any] = {"queue": False, **quiet}
    asking: dict[str, Any] = {"concurrency_id": "hub", "concurrency_limit": 4, **quiet}

    tab.select(guarded(view.opened), found, view.parts, **at_once)
    asks = [search.click, words.submit, kind.input]
    many: dict[str, Any] = {"trigger_mode": "multiple", **asking}
    searching = gr.on(asks, view.search, [words, kind, model], view.parts, **many)
    # What the visitor asks last is what is answered. A search is ended before a look, as that may
    # have its answer at once; a look while a search begins, as that has something to say for long.
    looking = found.input(None, cancels=searching, **at_once).then(
        view.look, [found, model], view.parts, **many
    )
    gr.on(asks, None, cancels=looking, **at_once)
    looking.success(None, None, js=SHOW_STATUS, api_visibility="private")
    pulling = pull.click(
        view.pull,
        [found, results],
        view.parts,
        trigger_mode="once",
        concurrency_id="pull",
        concurrency_limit=2,
        **quiet,
    )
    stop.click(None, cancels=[searching, looking, pulling], **at_once).then(
        guarded(view.stopped), found, view.parts, **at_once
    )
    use.click(guarded(view.use), found, view.parts, **asking)
    remove.click(guarded(view.remove), [found, model, results], view.parts, **asking)
