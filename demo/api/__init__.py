"""The app as an API: named endpoints for programs, which no button of the page uses.

    /models        which checkpoints there are
    /encode        picture → code map
    /decode        code map → picture
    /reconstruct   picture → picture from its codes alone, and what that costs
    /resample      code map and hole → code maps with the hole filled
    /score         code map → bits of every code
    /generate      → pictures that a prior makes alone, and their code maps
    /inpaint       picture and mask → picture

Their documentation is that of the functions, which Gradio shows as it stands.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.api import inpaint, pictures, sampling
from demo.jobs import Refusal
from demo.shelf import Shelf
from demo.text import LANGUAGES
from demo.toasts import expected


class Blocks(gr.Blocks):
    """Says so where a request written by hand has too few values: Gradio would tell no reason."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        if len(inputs) < len(block_fn.inputs):
            few = Refusal(
                "error_too_few",
                name=block_fn.api_name,
                wanted=len(block_fn.inputs),
                got=len(inputs),
            )
            raise expected(few, LANGUAGES[0])
        super().validate_inputs(block_fn, inputs)


def build(shelf: Shelf) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""
    pictures.build(shelf)
    sampling.build(shelf)
    inpaint.build(shelf)
