"""The Generate tab: whole pictures from a prior alone."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.edit_view import class_of, prior_name
from demo.picture_input import PictureInput
from demo.sampler import Generated, GenerateParts, Sampler, Updates
from demo.shelf import Shelf
from demo.status_line import STATUS_TEMPLATE, StatusLine
from demo.tabs.edit_files import DOWNLOAD
from demo.tabs.seed_row import seed_row
from demo.text import INTERFACE as _
from demo.text import language_of, name_of, say
from demo.toasts import guarded
from vq.generation import GUIDANCE
from vq.priors import EACH_LABEL

COUNTS = (4, 8, 12, 16)
# Where each kind of prior makes its best whole pictures: nothing known holds them together.
TEMPERATURE, RASTER_TEMPERATURE = 0.85, 1.0


def build(
    shelf: Shelf, model: gr.Dropdown, sent: gr.State, picture: PictureInput, tabs: gr.Tabs
) -> None:
    """Lay the tab out in the current context and wire it to a `Sampler`.

    `model` is where the visitor chooses a checkpoint. A picture is sent to the Edit tab by putting
    it into `picture`, and its codes into `sent`.
    """
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=3, min_width=340, elem_id="generated"):
            with gr.Column(elem_id="generate-empty") as empty:
                gr.Markdown(_("generate_empty"))
            with gr.Column(visible=False) as full:
                gallery = gr.Gallery(
                    label=_("generate_gallery"),
                    format="png",
                    columns=4,
                    allow_preview=False,
                    interactive=False,
                    object_fit="cover",
                    buttons=[],
                    elem_id="generate-gallery",
                )
                caption = gr.HTML(html_template=STATUS_TEMPLATE, elem_id="generate-caption")
                off: dict[str, Any] = {"size": "md", "interactive": False, "min_width": 90}
                with gr.Row(elem_classes="actions", equal_height=True):
                    send = gr.Button(_("generate_send"), **off, elem_id="generate-send")
                    save = gr.Button(_("generate_save"), **off, elem_id="generate-save")
                    save_all = gr.Button(
                        _("generate_save_all"), size="md", min_width=90, elem_id="generate-save-all"
                    )
                file = gr.DownloadButton(visible="hidden")
        with gr.Column(scale=2, min_width=320):
            inputs = {"model": model, **_settings(shelf, model)}
            with gr.Column(elem_classes="bar"):
                with gr.Row(elem_classes="actions"):
                    generate = gr.Button(
                        _("generate"), variant="primary", scale=3, min_width=160, elem_id="generate"
                    )
                    stop = gr.Button(
                        _("stop"),
                        variant="stop",
                        interactive=False,
                        min_width=90,
                        elem_id="generate-stop",
                    )
                status = StatusLine(_("status_generate"), elem_id="generate-status")

    parts = GenerateParts(
        gr.State(None, time_to_live=sent.time_to_live), gr.State(None), empty, full, gallery,
        caption, status, inputs["seed"], generate, stop, send, save, save_all, file,
    )  # fmt: skip
    sampler = Sampler(shelf, parts)
    _wire(sampler, list(inputs.values()))

    def hand_over(generated: Generated | None, chosen: int | None, request: gr.Request) -> Updates:
        # Sent once more, what is there already is no new picture: its edits stay.
        picked = sampler.pick(generated, chosen, request)
        return {sent: picked, picture: picked.picture, tabs: gr.Tabs(selected="edit")}

    send.click(
        guarded(hand_over),
        [parts.generated, parts.chosen],
        [sent, picture, tabs],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _settings(shelf: Shelf, model: gr.Dropdown) -> dict[str, gr.components.Component]:
    """The controls of a job, in the order of `Sampler.generate`'s parameters after the model."""

    def own(model: str, name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is a prior's own: whether it has steps, and its temperature."""
        raster = name in shelf.get(model).describe().raster
        return gr.update(visible=not raster), gr.update(
            value=RASTER_TEMPERATURE if raster else TEMPERATURE
        )

    def follow(
        model: str, name: str | None, chosen: str, request: gr.Request
    ) -> tuple[dict[str, Any], ...]:
        """What another checkpoint has of its own; what was chosen stays where it can."""
        about, language = shelf.get(model).describe(), language_of(request)
        priors = [(prior_name(one, language), one) for one in about.priors]
        classes = [(class_of(one, language), one) for one in about.labels]
        return (
            gr.update(
                choices=priors,
                value=name if name in about.priors else about.whole,
            ),
            gr.update(
                choices=[
                    (say(language, "generate_each_label"), EACH_LABEL),
                    (say(language, "generate_any_label"), ""),
                    *classes,
                ],
                value=chosen if chosen in (*about.labels, "") else EACH_LABEL,
                visible=bool(classes),
            ),
            gr.update(visible=bool(classes)),
        )

    about = shelf.default.describe()
    first = about.whole
    classes = [(name_of("class", name), name) for name in about.labels]
    with gr.Group():
        prior = gr.Radio(
            [(name_of("prior", name), name) for name in about.priors],
            value=first,
            label=_("prior_label"),
            info=_("prior_info"),
            elem_id="generate-prior",
        )
        label = gr.Dropdown(
            [(_("generate_each_label"), EACH_LABEL), (_("generate_any_label"), ""), *classes],
            value=EACH_LABEL,
            label=_("label_label"),
            info=_("generate_label_info"),
            visible=bool(about.labels),
            elem_id="generate-label",
        )
        count = gr.Radio(
            list(COUNTS), value=8, label=_("generate_count_label"), elem_id="generate-count"
        )
    with gr.Accordion(_("more_label"), open=False, elem_id="generate-more"):
        steps = gr.Radio(
            [(_("quality_quick"), 12), (_("quality_balanced"), 32), (_("quality_careful"), 96)],
            value=32,
            label=_("quality_label"),
            info=_("generate_quality_info"),
            visible=first not in about.raster,
            elem_id="generate-quality",
        )
        seed, random_seed = seed_row(_("generate_seed_info"), "generate-seed", "generate-random")
        temperature = gr.Slider(
            0.3,
            2.0,
            value=RASTER_TEMPERATURE if first in about.raster else TEMPERATURE,
            step=0.05,
            label=_("temperature_label"),
            info=_("temperature_info"),
            elem_id="generate-temperature",
        )
        guidance = gr.Slider(
            1.0,
            8.0,
            value=GUIDANCE,
            step=0.5,
            label=_("guidance_label"),
            info=_("generate_guidance_info"),
            visible=bool(about.labels),
            elem_id="generate-guidance",
        )
    quiet: dict[str, Any] = {"queue": False, "api_visibility": "private"}
    prior.change(guarded(own), [model, prior], [steps, temperature], **quiet)
    model.change(guarded(follow), [model, prior, label], [prior, label, guidance], **quiet)
    return {
        "prior": prior,
        "count": count,
        "label": label,
        "steps": steps,
        "seed": seed,
        "random_seed": random_seed,
        "temperature": temperature,
        "guidance": guidance,
    }


def _wire(sampler: Sampler, settings: list[Any]) -> None:
    parts = sampler.parts
    everything = [
        parts.generated, parts.chosen, parts.empty, parts.full, parts.gallery, parts.caption,
        parts.status, parts.seed, parts.generate, parts.stop, parts.send, parts.save,
    ]  # fmt: skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    # A queue of its own: whoever waits for an edit does not wait for sixteen pictures of another.
    job = parts.generate.click(
        sampler.wait,
        None,
        everything,
        trigger_mode="once",
        concurrency_limit=None,
        # On a phone the settings are below the grid: show what begins to fill.
        js="""() => {
            document.querySelector("#generated").scrollIntoView({ block: "nearest" });
            return [];
        }""",
        **quiet,
    ).success(
        sampler.generate,
        settings,
        everything,
        concurrency_id="generate",
        concurrency_limit=1,
        **quiet,
    )
    job.failure(sampler.stopped, parts.generated, everything, queue=False, **quiet)
    parts.stop.click(None, cancels=job, queue=False, **quiet).then(
        sampler.stopped, parts.generated, everything, queue=False, **quiet
    )
    parts.gallery.select(
        guarded(sampler.choose),
        [parts.generated, parts.chosen],
        [parts.chosen, parts.caption, parts.send, parts.save],
        queue=False,
        **quiet,
    )
    for button, action, inputs in (
        (parts.save, sampler.save, [parts.generated, parts.chosen]),
        (parts.save_all, sampler.save_all, [parts.generated]),
    ):
        button.click(guarded(action), inputs, parts.file, concurrency_id="open", **quiet).success(
            None,
            parts.file,
            js=DOWNLOAD,
            api_visibility="private",
        )
