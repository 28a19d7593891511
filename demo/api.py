"""The app as an API: endpoints for programs, which no button of the page uses.

No `from __future__ import annotations` here: Gradio reads an endpoint's return type as an object,
not as a text.
"""

from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder

from demo.editor import expected
from demo.jobs import Refusal, Settings, StudioVerbs
from demo.picture_input import uploaded_file
from demo.text import language_of
from vq.pictures import PictureError, read_mask, read_picture


def build(studio: StudioVerbs) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""

    def inpaint(
        picture: gr.FileData,
        mask: gr.FileData,
        request: gr.Request,
        prior: str = studio.describe().priors[0],
        seed: int = 0,
        label: str | None = None,
        mode: Literal["vary", "remove"] = "vary",
        temperature: float = Settings.temperature,
        top_k: int | None = None,
        top_p: float = 1.0,
        guidance: float = 1.0,
        steps: int = Settings.steps,
        particles: int = Settings.particles,
    ) -> gr.FileData:
        """Repaint the white part of a mask, and give the picture back at its own size as PNG.

        Every pixel outside the mask stays as it was. The same arguments give the same picture.

        picture: PNG, JPEG or WebP, at most 20 MB. mask: a picture of the same size, white where to
        repaint. prior: name of the model of likely codes. seed: 0 to 4294967295. label: one of the
        model's classes, or none. mode: "vary" makes something akin to what is there, "remove"
        blanks it first. temperature: 0.05 to 5. top_k, top_p: draw among the likeliest codes only.
        guidance: how hard to follow the label; 1 is as trained. steps: 1 to 256, for a prior that
        settles codes all over the hole, as "masked". particles: 1 to 64, fillings tried side by
        side by one that goes row by row, as "pixelcnn". More of either is better and slower.
        """
        try:
            settings = Settings(
                prior=prior,
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
            image = read_picture(_uploaded(picture, "picture"))
            painted = read_mask(_uploaded(mask, "mask"), image.size)
            if not painted.any():
                raise Refusal("error_empty_mask")
            (result,) = studio.inpaint(image, painted, settings)
        except Refusal as refusal:
            raise expected(refusal, language_of(request)) from None
        except PictureError as error:
            refused = Refusal("error_refused", reason=error)
            raise expected(refused, language_of(request)) from None
        path = save_pil_to_cache(result, get_upload_folder(), "inpainted", "png")
        return gr.FileData(path=path, orig_name="inpainted.png", mime_type="image/png")

    gr.api(inpaint, api_name="inpaint", concurrency_id="resample", concurrency_limit=1)


def _uploaded(file: Any, name: str) -> Path:
    """Where a file argument lies. Raises `Refusal` if it was not uploaded to this app."""
    path = uploaded_file(file.get("path") if isinstance(file, dict) else None)
    if path is None:
        raise Refusal("error_file", name=name)
    return path
