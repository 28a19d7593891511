"""A section of the Generate tab: a whole frame in a few codes, for checkpoints that have them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.latents import MOST, LatentParts, LatentSampler, Updates
from demo.picture_input import PictureInput
from demo.shelf import Shelf
from demo.status_line import STATUS_TEMPLATE, StatusLine
from demo.tabs.seed_row import seed_row
from demo.text import INTERFACE as _
from demo.toasts import guarded, guarded_steps

SHOW = """() => {
    document.querySelector("#latents-drawn").scrollIntoView({ block: "nearest" });
    return [];
}"""  # on a phone the codes are below the draws


def build(
    shelf: Shelf,
    model: gr.Dropdown,
    session: gr.State,
    sent: gr.State,
    picture: PictureInput,
    tabs: gr.Tabs,
) -> None:
    """Lay it out in the current context, hidden, and wire it to a `LatentSampler`.

    `model` is where the visitor chooses a checkpoint; a draw is sent to the Edit tab as those of
    `demo.tabs.generate` are.
    """
    small: dict[str, Any] = {"size": "md", "min_width": 90}
    with gr.Column(visible=False, elem_id="latents") as section:
        intro = gr.Markdown(elem_id="latents-intro")
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=340, elem_id="latents-drawn"):
                with gr.Column(elem_id="latents-empty") as empty:
                    gr.Markdown(_("latents_empty"))
                with gr.Column(visible=False) as full:
                    gallery = gr.Gallery(
                        label=_("latents_gallery"),
                        format="png",
                        columns=3,
                        height="auto",
                        allow_preview=False,
                        interactive=False,
                        object_fit="cover",
                        buttons=[],
                        elem_id="latents-gallery",
                    )
                    caption = gr.HTML(html_template=STATUS_TEMPLATE, elem_id="latents-caption")
                    send = gr.Button(
                        _("generate_send"), interactive=False, **small, elem_id="latents-send"
                    )
            with gr.Column(scale=2, min_width=320):
                rows, codes, locks = [], [], []
                for number in range(MOST):
                    with gr.Row(visible=False, elem_classes="latent") as row:
                        codes.append(
                            gr.Slider(
                                0,
                                2**16 - 1,
                                value=0,
                                step=1,
                                scale=3,
                                min_width=180,
                                elem_id=f"latent-{number + 1}",
                                buttons=[],
                            )
                        )
                        locks.append(gr.Checkbox(scale=1, min_width=110))
                    rows.append(row)
                with gr.Row(elem_classes="actions"):
                    roll = gr.Button(_("latents_roll"), **small, elem_id="latents-roll")
                    of_picture = gr.Button(
                        _("latents_of_picture"), **small, elem_id="latents-of-picture"
                    )
                with gr.Accordion(_("more_label"), open=False, elem_id="latents-more"):
                    seed, random_seed = seed_row(
                        _("generate_seed_info"), "latents-seed", "latents-random"
                    )
                    temperature = gr.Slider(
                        0.3,
                        2.0,
                        value=1.0,
                        step=0.05,
                        label=_("temperature_label"),
                        info=_("temperature_info"),
                        elem_id="latents-temperature",
                    )
                with gr.Row(elem_classes="actions"):
                    draw = gr.Button(
                        _("latents_draw_them"),
                        variant="primary",
                        scale=3,
                        min_width=160,
                        elem_id="latents-draw",
                    )
                    stop = gr.Button(
                        _("stop"),
                        variant="stop",
                        interactive=False,
                        min_width=90,
                        elem_id="latents-stop",
                    )
                status = StatusLine(elem_id="latents-status")
    source, drawn = (gr.State(None, time_to_live=sent.time_to_live) for _state in range(2))
    parts = LatentParts(
        model, session, section, intro, codes, locks, rows, seed, random_seed, temperature, draw,
        roll, of_picture, stop, status, empty, full, gallery, caption, send, source, drawn,
        gr.State(None),
    )  # fmt: skip
    sampler = LatentSampler(shelf, parts)
    _wire(sampler)

    def hand_over(now: Any, chosen: int | None, request: gr.Request) -> Updates:
        picked = sampler.pick(now, chosen, request)
        return {sent: picked, picture: picked.picture, tabs: gr.Tabs(selected="edit")}

    send.click(
        guarded(hand_over),
        [parts.drawn, parts.chosen],
        [sent, picture, tabs],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _wire(sampler: LatentSampler) -> None:
    parts = sampler.parts
    everything = parts.everything
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    at_once = {"queue": False, **quiet}

    # Without triggers: when the page loads, and at every change.
    gr.on(None, guarded(sampler.follow), parts.model, everything, **at_once)
    jobs = [
        button.click(
            sampler.wait,
            None,
            everything,
            trigger_mode="once",
            concurrency_limit=None,
            js=SHOW,
            **quiet,
        ).success(
            guarded_steps(action),
            parts.asked,
            everything,
            concurrency_id="latents",
            concurrency_limit=1,
            **quiet,
        )
        for button, action in (
            (parts.draw, sampler.draw),
            (parts.roll, sampler.roll),
            (parts.of_picture, sampler.of_picture),
        )
    ]
    for job in jobs:
        job.failure(sampler.stopped, parts.drawn, everything, **at_once)
    parts.stop.click(None, cancels=jobs, **at_once).then(
        sampler.stopped, parts.drawn, everything, **at_once
    )
    parts.gallery.select(
        guarded(sampler.choose),
        parts.drawn,
        [parts.chosen, parts.caption, parts.send],
        **at_once,
    )
