"""The page: theme, style, languages and tabs around a studio."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from demo import api
from demo.blocks import Blocks
from demo.models import Library
from demo.shelf import Shelf
from demo.shortcuts import SCRIPT as SHORTCUTS
from demo.shortcuts import ShortcutSheet
from demo.tabs import codes, compare, edit, generate, latents, learn, models
from demo.text import CATALOGUES
from demo.text import INTERFACE as _

HERE = Path(__file__).parent
STYLES = ("page", "edit", "generate", "compare", "chart", "learn", "models")  # in this order
HOUR = 3600
# A visitor's pictures are forgotten this long after the last action.
TIME_TO_LIVE = 2 * HOUR

# Fonts of the visitor's own system: the page loads nothing from other hosts.
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    secondary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.stone,
    radius_size=gr.themes.sizes.radius_md,
    font=SANS,
    font_mono=MONO,
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    background_fill_primary="white",
    background_fill_primary_dark="*neutral_900",
    block_border_width="1px",
    block_border_color="*neutral_200",
    block_border_color_dark="*neutral_800",
    block_shadow="none",
    block_label_text_weight="500",
    button_border_width="1px",
    button_border_width_dark="1px",
    button_primary_border_color="transparent",
    button_primary_border_color_dark="transparent",
    button_large_text_weight="550",
    button_medium_text_weight="500",
    checkbox_background_color_selected="*primary_700",
    checkbox_background_color_selected_dark="*primary_600",
    checkbox_border_color_selected="*primary_700",
    checkbox_border_color_selected_dark="*primary_600",
    block_title_text_weight="600",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_500",
    button_primary_text_color="white",
    button_secondary_background_fill="white",
    button_secondary_background_fill_hover="*neutral_100",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_background_fill_hover_dark="*neutral_700",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_700",
    slider_color="*primary_700",
    slider_color_dark="*primary_600",
)

LAUNCH: dict[str, Any] = {
    "theme": THEME,
    "css_paths": [HERE / "style" / f"{name}.css" for name in STYLES],
    "head": f"<script>{SHORTCUTS}\n{(HERE / 'page.js').read_text('utf-8')}</script>",
    "i18n": _,
    "ssr_mode": False,
    "run_history": False,  # it would store pictures in the browser
    "max_file_size": "20mb",
    "show_error": False,  # an unexpected error's text may hold paths
    "footer_links": ["api", "settings"],
    # The endpoints as tools of a language model: where `pip install "gradio[mcp]"` was asked for.
    "mcp_server": find_spec("mcp") is not None,
}


def build(shelf: Shelf, library: Library | None = None) -> Blocks:
    """The whole app around the checkpoints of `shelf`, queue included; launch it with `LAUNCH`.

    With a `library` around the same shelf there is a tab for checkpoints of the Hub.
    """
    with Blocks(
        title="Codebrush",
        analytics_enabled=False,
        delete_cache=(HOUR, TIME_TO_LIVE),
        fill_width=True,  # style/page.css says how wide
    ) as demo:
        api.build(shelf)  # first: Gradio also names the page's own events, after their functions
        session = gr.State(None, time_to_live=TIME_TO_LIVE)
        sent = gr.State(None, time_to_live=TIME_TO_LIVE)  # to the Edit tab: see Editor.open
        used = gr.State(None)  # anew whenever another tab has chosen the checkpoint
        with gr.Row(elem_id="header"):
            with gr.Column(scale=3, min_width=300):
                gr.Markdown("# Codebrush")
                gr.Markdown(_("tagline"))
            model = gr.Dropdown(
                shelf.names,
                value=shelf.names[0],
                label=_("model_label"),
                info=_("model_info"),
                visible=len(shelf.names) > 1,
                elem_id="model",
                min_width=200,
            )
            ShortcutSheet(text=CATALOGUES, elem_id="shortcuts")
        with gr.Tabs(overflow_behavior="wrap", elem_id="tabs") as tabs:
            with gr.Tab(_("tab_edit"), id="edit") as edit_tab:
                picture, switched = edit.build(demo, shelf, model, used, session, sent)
            with gr.Tab(_("tab_codes"), id="codes") as codes_tab:
                codes.build(shelf, model, switched, session, tabs, codes_tab)
            with gr.Tab(_("tab_compare"), id="compare") as compare_tab:
                wish = compare.build(shelf, session, tabs, compare_tab)
            with gr.Tab(_("tab_generate"), id="generate") as generate_tab:
                generate.build(shelf, model, sent, picture, tabs)
                latents.build(shelf, model, session, sent, picture, tabs)
            with gr.Tab(_("tab_learn"), id="learn") as learn_tab:
                learn.build(shelf, model, session, tabs, learn_tab)
            others = [edit_tab, codes_tab, generate_tab, learn_tab]
            if library is not None:
                with gr.Tab(_("tab_models"), id="models") as models_tab:
                    models.build(library, model, used, tabs, models_tab)
                others.append(models_tab)
        gr.on(
            [other.select for other in others],
            compare.leave,
            wish,
            None,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        if library is not None:
            # Others may have pulled some since the page was built.
            demo.load(library.choices, None, model, queue=False, api_visibility="private")
    demo.queue(max_size=32, api_open=False)  # open, programs could pass it by
    return demo
