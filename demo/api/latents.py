"""Endpoints of a second stage: a whole code map in a few codes, and back.

No `from __future__ import annotations` here: Gradio reads an endpoint's return type as an object,
not as a text.
"""

from collections.abc import Generator
from typing import Any

import gradio as gr
from PIL import Image

from demo.api.arguments import (
    answering,
    chosen,
    code_map,
    last_of,
    png,
    read_code_map,
    stepwise,
)
from demo.jobs import Settings
from demo.latents import whole
from demo.shelf import Shelf


def build(shelf: Shelf) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""

    def encode_latents(codes: dict, request: gr.Request) -> dict[str, Any]:
        """The latents of a code map: a few codes of a second stage that stand for all of it.

        codes: a code map as /encode gives it, of the size that /models has under latents. Returns
        model (its name) and latents (whole numbers).
        """
        with answering(request):
            studio, known = read_code_map(codes, shelf)
            latents = studio.encode_latents(known)
            return {"model": studio.describe().name, "latents": list(latents)}

    @stepwise
    def decode_latents(
        latents: list[int],
        request: gr.Request,
        seed: int = 0,
        variations: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        model: str | None = None,
    ) -> Generator[None, None, tuple[list[gr.FileData], list[dict[str, Any]]]]:
        """Pictures whose code maps were drawn given the same latents, as PNG, and the maps.

        latents: as /encode_latents gives them; how many, and of how many, /models says. seed: 0 to
        4294967295. variations: 1 to 8; number i has seed + i, and is what that seed gives alone.
        temperature: 0.05 to 5. top_k, top_p: draw among the likeliest codes only. model: the name
        of one of /models, or none for the default. Returns the files, and a code map for each of
        them, with its seed.
        """
        with answering(request):
            studio = chosen(shelf, model)
            settings = Settings(
                variations=variations,
                seed=seed,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
            )
            step = yield from last_of(studio.decode_latents(whole(latents), settings))
            files, maps, about = [], [], studio.describe()
            for one, its in zip(step.codes, settings.seeds, strict=True):
                files.append(png(Image.fromarray(studio.decode(one)), f"drawn-{its}"))
                maps.append({**code_map(one, about), "seed": its})
                yield
            return files, maps

    gr.api(encode_latents, api_name="encode_latents", concurrency_id="short")
    gr.api(
        decode_latents, api_name="decode_latents", concurrency_id="generate", concurrency_limit=1
    )
