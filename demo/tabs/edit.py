"""The Edit tab: open a picture, paint, resample, choose, keep."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.media import get_image

from demo.codemap import CodeMap
from demo.editor import Editor, EditParts, guarded
from demo.jobs import MAX_SEED, MAX_VARIATIONS, Description, Settings, StudioVerbs
from demo.picture_input import PictureInput
from demo.text import CATALOGUES, class_name
from demo.text import INTERFACE as _

# Photographs that come with Gradio, so that there is something to try without a network.
EXAMPLES = ("lion.jpg", "tower.jpg", "cheetah1.jpg", "cheetah.jpg")

# A message of the server, escaped there; announced by screen readers when it changes.
STATUS_TEMPLATE = '<p role="status" aria-live="polite">${value}</p>'

_SMALL: dict[str, Any] = {"size": "md", "interactive": False, "min_width": 90}


def build(studio: StudioVerbs, session: gr.State, sent: gr.State) -> PictureInput:
    """Lay the tab out in the current context and wire it to an `Editor`.

    Returns where a picture comes in. Another tab may put one there, its codes in `sent`.
    """
    about = studio.describe()
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
                    gr.Examples(
                        [get_image(name) for name in EXAMPLES],
                        picture,
                        label=_("examples_label"),
                        api_visibility="private",
                        elem_id="examples",
                    )
            canvas = CodeMap(text=CATALOGUES, palette=about.palette, elem_id="canvas")
            with gr.Row(elem_classes="actions"):
                undo = gr.Button(_("undo"), **_SMALL, elem_id="undo")
                redo = gr.Button(_("redo"), **_SMALL, elem_id="redo")
                download = gr.Button(_("download"), **_SMALL, elem_id="download")
            file = gr.DownloadButton(visible="hidden")
        with gr.Column(scale=2, min_width=320):
            inputs = _settings(about)
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
                    keep = gr.Button(_("keep"), variant="primary", min_width=90, elem_id="keep")
                    discard = gr.Button(_("discard"), min_width=90, elem_id="discard")
            status = gr.HTML(_("status_start"), html_template=STATUS_TEMPLATE, elem_id="status")
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
        session, canvas, status, inputs["seed"], resample, stop, result, decision, gallery, slider,
        undo, redo, download, file,
    )  # fmt: skip
    _wire(Editor(studio, parts), picture, sent, list(inputs.values()), keep, discard)
    return picture


def _settings(about: Description) -> dict[str, gr.components.Component]:
    """The controls of a job, in the order of `Editor.resample`'s parameters."""
    with gr.Group():
        mode = gr.Radio(
            [(_("mode_vary"), "vary"), (_("mode_remove"), "remove")],
            value="vary",
            label=_("mode_label"),
            info=_("mode_info"),
            elem_id="mode",
        )
        label = gr.Dropdown(
            [(_("label_none"), ""), *((class_name(name), name) for name in about.labels)],
            value="",
            label=_("label_label"),
            info=_("label_info"),
            visible=bool(about.labels),
            elem_id="label",
        )
        variations = gr.Slider(
            1,
            MAX_VARIATIONS,
            value=1,
            step=1,
            label=_("variations_label"),
            info=_("variations_info"),
            buttons=[],
            elem_id="variations",
        )
    with gr.Accordion(_("more_label"), open=False, elem_id="more"):
        steps = gr.Radio(
            [(_("quality_quick"), 6), (_("quality_balanced"), 12), (_("quality_careful"), 32)],
            value=12,
            label=_("quality_label"),
            info=_("quality_info"),
            elem_id="quality",
        )
        with gr.Row():
            seed = gr.Number(
                0,
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
                label=_("seed_label"),
                info=_("seed_info"),
                elem_id="seed",
                min_width=140,
            )
            random_seed = gr.Checkbox(
                True, label=_("random_label"), elem_id="random", min_width=120
            )
        prior = gr.Dropdown(
            [(_(f"prior_{name}"), name) for name in about.priors],
            value=about.priors[0],
            label=_("prior_label"),
            info=_("prior_info"),
            elem_id="prior",
        )
        temperature = gr.Slider(
            0.3,
            2.0,
            value=Settings.temperature,
            step=0.05,
            label=_("temperature_label"),
            info=_("temperature_info"),
            elem_id="temperature",
        )
        top_k = gr.Slider(
            0,
            about.num_codes,
            value=0,
            step=1,
            label=_("top_k_label"),
            info=_("top_k_info"),
            elem_id="top-k",
        )
        top_p = gr.Slider(
            0.1,
            1.0,
            value=1.0,
            step=0.01,
            label=_("top_p_label"),
            info=_("top_p_info"),
            elem_id="top-p",
        )
        guidance = gr.Slider(
            1.0,
            8.0,
            value=2.0,
            step=0.5,
            label=_("guidance_label"),
            info=_("guidance_info"),
            visible=bool(about.labels),
            elem_id="guidance",
        )
    return {
        "prior": prior,
        "mode": mode,
        "variations": variations,
        "seed": seed,
        "random_seed": random_seed,
        "label": label,
        "guidance": guidance,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "steps": steps,
    }


def _wire(
    editor: Editor,
    picture: PictureInput,
    sent: gr.State,
    settings: list[Any],
    keep: gr.Button,
    discard: gr.Button,
) -> None:
    parts = editor.parts
    everything = [
        parts.session, parts.canvas, parts.status, parts.seed, parts.resample, parts.stop,
        parts.result, parts.decision, parts.gallery, parts.slider, parts.undo, parts.redo,
        parts.download,
    ]  # fmt: skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    # Others may be at work: until its turn comes, a job can be seen to wait, and be stopped.
    job = parts.resample.click(
        editor.wait,
        [parts.session, parts.canvas],
        everything,
        validator=editor.ready,
        trigger_mode="once",
        concurrency_limit=None,
        **quiet,
    ).success(
        editor.resample,
        [parts.session, parts.canvas, *settings],
        everything,
        concurrency_id="resample",
        concurrency_limit=1,
        **quiet,
    )
    job.failure(editor.stopped, parts.session, everything, queue=False, **quiet)
    # The session is read and written by one action at a time: whatever replaces it first ends the
    # job. In a step of its own, because an event that has a function cancels only after it.
    end: dict[str, Any] = {"fn": None, "cancels": job, "queue": False, **quiet}
    parts.stop.click(**end).then(editor.stopped, parts.session, everything, queue=False, **quiet)
    picture.change(**end).then(
        guarded(editor.open),
        [picture, sent],
        everything,
        concurrency_id="open",
        concurrency_limit=2,
        **quiet,
    )
    for trigger, action in (
        (keep.click, editor.keep),
        (discard.click, editor.discard),
        (parts.undo.click, editor.undo),
        (parts.redo.click, editor.redo),
        (parts.gallery.select, editor.choose),
    ):
        trigger(guarded(action), parts.session, everything, queue=False, **quiet)

    parts.download.click(
        guarded(editor.save),
        parts.session,
        [parts.file, parts.status],
        concurrency_id="open",
        **quiet,
    ).success(
        None,
        parts.file,
        js="""(file) => {
            const link = document.createElement("a");
            link.href = file.url;
            link.download = "codebrush.png";
            link.click();
        }""",
        api_visibility="private",
    )
