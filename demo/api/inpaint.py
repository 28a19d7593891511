"""The endpoint that does it all: a picture and a mask in, a picture out.

No `from __future__ import annotations` here: Gradio reads an endpoint's return type as an object,
not as a text.
"""

from collections.abc import Generator
from typing import Literal

import gradio as gr

from demo.api.arguments import (
    answering,
    chosen,
    png,
    prior_of,
    read_upload,
    stepwise,
    uploaded,
)
from demo.jobs import Refusal, Settings
from demo.shelf import Shelf
from vq.pictures import read_mask


def build(shelf: Shelf) -> None:
    """Add the endpoint to the Blocks in whose context this is called."""

    @stepwise
    def inpaint(
        picture: gr.FileData,
        mask: gr.FileData,
        request: gr.Request,
        prior: str | None = None,
        seed: int = 0,
        label: str | None = None,
        mode: Literal["vary", "remove"] = "vary",
        temperature: float = Settings.temperature,
        top_k: int | None = None,
        top_p: float = 1.0,
        guidance: float = Settings.guidance,
        steps: int = Settings.steps,
        particles: int = Settings.particles,
        model: str | None = None,
    ) -> Generator[None, None, gr.FileData]:
        """Repaint the white part of a mask, and give the picture back at its own size as PNG.

        Every pixel outside the mask stays as it was. The same arguments give the same picture.

        picture: PNG, JPEG or WebP, at most 20 MB. mask: a picture of the same size, white where to
        repaint. prior: one of the model's in /models, or none for its first. seed: 0 to 4294967295.
        label: one of the model's classes, "*" for each in turn, by seed, or none. mode: "vary"
        makes something akin to what is there, "remove" blanks it first. temperature: 0.05 to 5.
        top_k, top_p: draw among the likeliest codes only. guidance: how hard to follow the label; 1
        is as trained. steps: 1 to 256, for a prior that settles codes all over the hole, as
        "masked". particles: 1 to 64, fillings tried side by side by one that goes row by row, as
        "pixelcnn". More of either is better and slower. model: the name of one of /models, or none
        for the default.
        """
        with answering(request):
            studio = chosen(shelf, model)
            settings = Settings(
                prior=prior_of(studio, prior),
                mode=mode,
                seed=seed,
                label=label,
                guidance=guidance,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                steps=steps,
                particles=particles,
            )
            image = read_upload(picture)
            painted = read_mask(uploaded(mask, "mask"), image.size)
            if not painted.any():
                raise Refusal("error_empty_mask")
            (result,) = yield from studio.inpaint(image, painted, settings)
            return png(result, "inpainted")

    gr.api(inpaint, api_name="inpaint", concurrency_id="resample", concurrency_limit=1)
