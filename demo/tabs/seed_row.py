"""The seed of a job, or a new one each time: the same two controls wherever something is drawn."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.jobs import MAX_SEED
from demo.text import INTERFACE as _


def seed_row(
    info: Any, seed_id: str, random_id: str | None = None
) -> tuple[gr.Number, gr.Checkbox]:
    """Lay them out in the current context; `info` says what the seed does, the ids are elem_ids."""
    with gr.Row():
        seed = gr.Number(
            0,
            precision=0,
            minimum=0,
            maximum=MAX_SEED,
            label=_("seed_label"),
            info=info,
            elem_id=seed_id,
            min_width=140,
        )
        random_seed = gr.Checkbox(True, label=_("random_label"), elem_id=random_id, min_width=120)
    return seed, random_seed
