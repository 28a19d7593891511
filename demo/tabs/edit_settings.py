"""The controls of a job in the Edit tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.choices import Dropdown, Radio
from demo.edit_view import class_of, prior_name
from demo.filling import SIDE_BY_SIDE
from demo.jobs import BALANCED, MAX_VARIATIONS, QUALITIES, Description, Settings
from demo.tabs.seed_row import seed_row
from demo.text import INTERFACE as _
from demo.text import name_of, say

# A message of the server, announced by screen readers when it changes.
NOTE_TEMPLATE = '<p aria-live="polite">${value}</p>'


def build(
    about: Description,
) -> tuple[dict[str, gr.components.Component], gr.HTML, gr.Button, gr.Button]:
    """The controls of `demo.filling` by their names, and the note on quality.

    Then the buttons that copy a link with the settings, and that reset them.
    """
    with gr.Group():
        mode = gr.Radio(
            [(_("mode_vary"), "vary"), (_("mode_remove"), "remove")],
            value="vary",
            label=_("mode_label"),
            info=_("mode_info"),
            elem_id="mode",
        )
        priors = [(name_of("prior", name), name) for name in about.priors]
        prior = Radio(
            _with_side_by_side(priors, _("prior_side_by_side")),
            value=about.priors[0] if about.priors else None,
            label=_("prior_label"),
            info=_("prior_info"),
            visible=len(priors) > 1,
            elem_id="prior",
        )
        quality = gr.Slider(
            1,
            len(QUALITIES),
            value=BALANCED,
            step=1,
            label=_("quality_label"),
            info=_("quality_info"),
            buttons=[],
            elem_id="quality",
        )
        note = gr.HTML(html_template=NOTE_TEMPLATE, elem_id="quality-note")
        label = Dropdown(
            [(_("label_none"), ""), *((name_of("class", name), name) for name in about.labels)],
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
        seed, random_seed = seed_row(_("seed_info"), "seed", "random")
        temperature = gr.Slider(
            0.3,
            2.0,
            value=Settings.temperature,
            step=0.05,
            label=_("temperature_label"),
            info=_("temperature_info"),
            buttons=[],
            elem_id="temperature",
        )
        top_k = gr.Slider(
            0,
            about.num_codes,
            value=0,
            step=1,
            label=_("top_k_label"),
            info=_("top_k_info"),
            buttons=[],
            elem_id="top-k",
        )
        top_p = gr.Slider(
            0.1,
            1.0,
            value=1.0,
            step=0.01,
            label=_("top_p_label"),
            info=_("top_p_info"),
            buttons=[],
            elem_id="top-p",
        )
        guidance = gr.Slider(
            1.0,
            8.0,
            value=Settings.guidance,
            step=0.5,
            label=_("guidance_label"),
            info=_("guidance_info"),
            visible=bool(about.labels),
            buttons=[],
            elem_id="guidance",
        )
        likeness = gr.Slider(
            0.1,
            0.9,
            value=0.3,
            step=0.1,
            label=_("likeness_label"),
            info=_("likeness_info"),
            buttons=[],
            elem_id="likeness",
        )
        with gr.Row(elem_classes="actions"):
            copy = gr.Button(_("link_copy"), size="md", min_width=120, elem_id="copy-link")
            reset = gr.Button(
                _("settings_reset"), size="md", min_width=120, elem_id="reset-settings"
            )
    inputs = {
        "prior": prior,
        "mode": mode,
        "quality": quality,
        "variations": variations,
        "seed": seed,
        "random_seed": random_seed,
        "label": label,
        "guidance": guidance,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "likeness": likeness,
    }
    return inputs, note, copy, reset


def follow(about: Description, prior: Any, label: Any, language: str) -> dict[str, dict[str, Any]]:
    """Updates by the controls' names where another checkpoint is chosen; what it knows stays."""
    priors = [(prior_name(name, language), name) for name in about.priors]
    choices = _with_side_by_side(priors, say(language, "prior_side_by_side"))
    labels = [(class_of(name, language), name) for name in about.labels]
    stays = prior in {value for __, value in choices}
    return {
        "prior": gr.update(
            choices=choices,
            value=prior if stays else next(iter(about.priors), None),
            visible=len(priors) > 1,
        ),
        "label": gr.update(
            choices=[(say(language, "label_none"), ""), *labels],
            value=label if label in about.labels else "",
            visible=bool(labels),
        ),
        "guidance": gr.update(visible=bool(labels)),
        "top_k": gr.update(maximum=about.num_codes),
    }


def _with_side_by_side(priors: list[tuple[Any, str]], name: Any) -> list[tuple[Any, str]]:
    """The priors to choose from, and all of them where there are several."""
    return [*priors, (name, SIDE_BY_SIDE)] if len(priors) > 1 else priors
