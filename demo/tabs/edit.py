"""The Edit tab: open a picture, paint, resample, choose, keep."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.codemap import CodeMap
from demo.edit_view import EditParts
from demo.editor import Editor
from demo.files import Files
from demo.filling import Filling
from demo.history import HistoryStrip
from demo.picture_input import PictureInput
from demo.shelf import Shelf
from demo.status_line import StatusLine
from demo.surprise import HEAT_COLOURS, Surprise
from demo.tabs import edit_files, edit_memory, edit_settings, examples, transplant
from demo.text import CATALOGUES, language_of
from demo.text import INTERFACE as _
from demo.toasts import Updates, guarded

# Where the comparison is far away, as on a phone.
SHOW_COMPARISON = """() => setTimeout(() => {
    const slider = document.querySelector("#slider");
    const { top, bottom } = slider.getBoundingClientRect();
    const seen = bottom > 100 && top < innerHeight - 100;
    const asked = document.querySelector("#history [data-left]");
    if (asked && slider.offsetParent && !seen) slider.scrollIntoView({ block: "center" });
}, 100)"""

_SMALL: dict[str, Any] = {"size": "md", "interactive": False, "min_width": 90}


def build(
    demo: gr.Blocks,
    shelf: Shelf,
    model: gr.Dropdown,
    used: gr.State,
    session: gr.State,
    sent: gr.State,
) -> tuple[PictureInput, gr.events.Dependency]:
    """Lay the tab out in the current context and wire it to an `Editor` and its jobs.

    `model` is where the visitor chooses a checkpoint; where another tab has chosen there, it gives
    `used` a new value. Returns where a picture comes in (another tab
    may put one there, its codes in `sent`), and the event after a change of checkpoint.
    """
    about = shelf.default.describe()
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=3, min_width=340):
            with gr.Row(elem_classes="picture-row"):
                picture = PictureInput(
                    label=_("picture_label"),
                    sources=["upload", "clipboard", "webcam"],
                    height=176,
                    elem_id="picture",
                    scale=3,
                    min_width=200,
                )
                with gr.Column(scale=2, min_width=140):
                    examples.build(shelf, model, picture)
            canvas = CodeMap(
                text=CATALOGUES,
                palette=about.palette,
                checkpoint=about.checkpoint,
                heat_palette=HEAT_COLOURS,
                elem_id="canvas",
            )
            strip = HistoryStrip(text=CATALOGUES, elem_id="history")
            with gr.Row(elem_classes="actions"):
                undo = gr.Button(_("undo"), **_SMALL, elem_id="undo")
                redo = gr.Button(_("redo"), **_SMALL, elem_id="redo")
                download = gr.Button(_("download"), **_SMALL, elem_id="download")
                save_filling = gr.Button(_("save_filling"), **_SMALL, elem_id="save-filling")
            file = gr.DownloadButton(visible="hidden")
            transplant.build(shelf, model)
            save_codes, save_mask, *opened = edit_files.build()
        with gr.Column(scale=2, min_width=320):
            inputs, quality_note, copy_link, reset = edit_settings.build(about)
            with gr.Column(elem_id="bar"):
                with gr.Row(elem_classes="actions"):
                    resample = gr.Button(
                        _("resample"),
                        variant="primary",
                        interactive=False,
                        scale=3,
                        min_width=160,
                        elem_id="resample",
                    )
                    stop = gr.Button(
                        _("stop"), variant="stop", interactive=False, min_width=90, elem_id="stop"
                    )
                with gr.Row(visible=False, elem_classes="actions") as decision:
                    keep = gr.Button(
                        _("keep"), variant="primary", scale=2, min_width=80, elem_id="keep"
                    )
                    discard = gr.Button(_("discard"), scale=2, min_width=80, elem_id="discard")
                    alike = gr.Button(_("more_like"), scale=3, min_width=130, elem_id="more-like")
            status = StatusLine(_("status_start"), elem_id="status")
            with gr.Column(visible=False, elem_id="result") as result:
                gallery = gr.Gallery(
                    label=_("variations_gallery"),
                    format="png",
                    columns=4,
                    allow_preview=False,
                    interactive=False,
                    object_fit="cover",
                    buttons=[],
                    elem_id="gallery",
                )
                slider = gr.ImageSlider(
                    label=_("before_after"),
                    format="png",
                    max_height=420,  # a fixed height would misalign the two
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="slider",
                )

    parts = EditParts(
        shelf, model, session, canvas, strip, status, inputs["seed"], quality_note, resample, stop,
        result, decision, gallery, slider, undo, redo, download, save_filling,
        save_codes, save_mask, file,
    )  # fmt: skip
    kept = gr.State(None, time_to_live=session.time_to_live)
    surprise = Surprise(shelf, canvas, kept)
    switched = _wire(
        Editor(parts), Filling(parts, inputs), surprise, picture, used, sent, (keep, discard, alike)
    )
    edit_files.wire(Files(parts, picture, sent), *opened)
    controls = {"model": model, **inputs}
    edit_memory.wire(demo, shelf, controls, status, copy_link, reset)
    return picture, switched


def _wire(
    editor: Editor,
    filling: Filling,
    surprise: Surprise,
    picture: PictureInput,
    used: gr.State,
    sent: gr.State,
    decisions: tuple[gr.Button, gr.Button, gr.Button],
) -> gr.events.Dependency:
    parts, inputs = editor.parts, filling.controls
    keep, discard, alike = decisions
    everything = [
        parts.model, parts.session, parts.canvas, parts.strip, parts.status, parts.seed,
        parts.resample, parts.stop, parts.result, parts.decision, parts.gallery, parts.slider,
        parts.undo, parts.redo, *parts.saves,
    ]  # fmt: skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    # Without triggers: when the page loads, and at every change.
    model, prior, label = parts.model, inputs["prior"], inputs["label"]
    at_once: dict[str, Any] = {"queue": False, **quiet}
    explained = [model, prior, inputs["quality"]]
    gr.on(None, guarded(filling.explain), explained, parts.quality_note, **at_once)
    gr.on(None, guarded(surprise.judge), [model, prior, label], parts.canvas, **at_once)

    def follow(model: Any, prior: Any, label: Any, request: gr.Request) -> Updates:
        about = parts.shelf.get(model).describe()
        updates = edit_settings.follow(about, prior, label, language_of(request))
        return {inputs[name]: update for name, update in updates.items()}

    model.change(guarded(follow), [model, prior, label], list(inputs.values()), **at_once)
    looking = parts.canvas.ask(
        surprise.show,
        [parts.session, surprise.kept, prior, label],
        [parts.canvas, surprise.kept],
        trigger_mode="multiple",  # the last one ends those before
        concurrency_id="surprise",
        concurrency_limit=4,  # they take turns at the models
        **quiet,
    )

    asked: dict[str, Any] = {
        "inputs": {parts.session, parts.canvas, *inputs.values()},
        "outputs": everything,
        "concurrency_id": "resample",
        "concurrency_limit": 1,
        **quiet,
    }
    # Others may be at work: until its turn comes, a job can be seen to wait, and be stopped.
    job = parts.resample.click(
        filling.wait,
        [parts.session, parts.canvas],
        everything,
        validator=filling.ready,
        trigger_mode="once",
        concurrency_limit=None,
        cancels=looking,  # there will soon be other codes
        **quiet,
    ).success(filling.resample, **asked)
    more = alike.click(
        filling.wait,
        [parts.session, parts.canvas],
        everything,
        trigger_mode="once",
        concurrency_limit=None,
        cancels=looking,
        **quiet,
    ).success(filling.more_like, **asked)
    jobs = [job, more]
    for one in jobs:
        one.failure(filling.stopped, parts.session, everything, **at_once)
    # The session is read and written by one action at a time: whatever replaces it first ends the
    # job. In a step of its own, because an event that has a function cancels only after it.
    end: dict[str, Any] = {"fn": None, "cancels": jobs, **at_once}
    parts.stop.click(**end).then(filling.stopped, parts.session, everything, **at_once)
    picture.change(**end).then(
        guarded(editor.open),
        [picture, sent, model],
        everything,
        concurrency_id="open",
        concurrency_limit=2,
        **quiet,
    )
    switched = gr.on([model.input, used.change], **end).then(
        guarded(editor.switch),
        [parts.session, model],
        everything,
        concurrency_id="open",
        **quiet,
    )
    switched.failure(filling.stopped, parts.session, everything, **at_once)
    for trigger, action in (
        (keep.click, editor.keep),
        (discard.click, editor.discard),
        (parts.undo.click, editor.undo),
        (parts.redo.click, editor.redo),
        (parts.canvas.undo_stroke, editor.undo),
        (parts.canvas.redo_stroke, editor.redo),
        (parts.strip.jump, editor.jump),
        (parts.gallery.select, editor.choose),
    ):
        trigger(guarded(action), parts.session, everything, **at_once)

    parts.strip.compare(guarded(editor.compare), parts.session, everything, **at_once).success(
        None, None, js=SHOW_COMPARISON, api_visibility="private"
    )
    parts.canvas.stroke(
        guarded(editor.brush),
        parts.session,
        everything,
        trigger_mode="multiple",  # a stroke may begin before the last one is answered,
        concurrency_id="brush",
        concurrency_limit=1,  # and each is painted on what the last one left
        cancels=jobs,
        **quiet,
    )
    parts.canvas.dip(
        guarded(editor.patches), parts.session, parts.canvas, concurrency_id="short", **quiet
    )
    return switched
