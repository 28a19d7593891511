"""Endpoints of the priors: fill a hole in a code map, score one, make pictures.

No `from __future__ import annotations` here: Gradio reads an endpoint's return type as an object,
not as a text.
"""

from collections.abc import Generator
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.api.arguments import (
    answering,
    chosen,
    code_map,
    last_of,
    png,
    prior_of,
    read_code_map,
    read_hole,
    stepwise,
)
from demo.jobs import Settings, picture_count
from demo.shelf import Shelf
from vq.generation import GUIDANCE


def build(shelf: Shelf) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""

    @stepwise
    def resample(
        codes: dict,
        hole: list[list[int]],
        request: gr.Request,
        prior: str | None = None,
        seed: int = 0,
        variations: int = 1,
        label: str | None = None,
        temperature: float = Settings.temperature,
        top_k: int | None = None,
        top_p: float = 1.0,
        guidance: float = Settings.guidance,
        steps: int = Settings.steps,
        particles: int = Settings.particles,
        keep: float = 0.0,
    ) -> Generator[None, None, list[dict[str, Any]]]:
        """Code maps in which a hole is filled from a prior, given the codes around it.

        codes: a code map as /encode gives it, at most 128 rows and columns. hole: rows of 0 and 1
        of the same size, 1 where to fill; all other codes stay. prior: one of the model's in
        /models, or none for its first. seed: 0 to 4294967295. variations: 1 to 8; number i has seed
        + i, and is what that seed gives alone. label: one of the model's classes, "*" for each in
        turn, by seed, or none. temperature: 0.05 to 5. top_k, top_p: draw among the likeliest codes
        only. guidance: how hard to follow the label; 1 is as trained. steps: 1 to 256, for a prior
        of any order. particles: 1 to 64, fillings tried side by side by one in raster order. keep:
        0 to 0.95, the share of the hole's codes that stay, in places that each seed draws: the
        more, the more akin is what comes to the map as it was sent. Returns a code map for each
        variation, with its seed.
        """
        with answering(request):
            studio, known = read_code_map(codes, shelf)
            cells = read_hole(hole, known.shape)
            settings = Settings(
                prior=prior_of(studio, prior),
                variations=variations,
                seed=seed,
                label=label,
                guidance=guidance,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                steps=steps,
                particles=particles,
                keep=keep,
            )
            step = yield from last_of(studio.fill(known, cells, settings))
            maps, about = zip(step.codes, settings.seeds, strict=True), studio.describe()
            return [{**code_map(one, about), "seed": its} for one, its in maps]

    @stepwise
    def generate(
        request: gr.Request,
        n: int = 4,
        prior: str | None = None,
        seed: int = 0,
        label: str | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        guidance: float = GUIDANCE,
        steps: int = 32,
        model: str | None = None,
    ) -> Generator[None, None, tuple[list[gr.FileData], list[dict[str, Any]]]]:
        """Pictures that a prior makes alone, as PNG, and their code maps.

        n: 1 to 16; number i has seed + i, and is what that seed gives alone. prior: one of the
        model's in /models, or none for one in raster order, if it has one, or its first. seed: 0 to
        4294967295. label: one of the model's classes, "*" for each in turn, by seed, or none.
        temperature: 0.05 to 5. top_k, top_p: draw among the likeliest codes only. guidance: how
        hard to follow the label; 1 is as trained. steps: 1 to 256, for a prior of any order. model:
        the name of one of /models, or none for the default. Returns the files, and a code map for
        each of them, with its seed.
        """
        with answering(request):
            count, studio = picture_count(n), chosen(shelf, model)
            settings = Settings(
                prior=prior_of(studio, prior, whole=True),
                seed=seed,
                label=label,
                guidance=guidance,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                steps=steps,
            )
            step = yield from last_of(studio.generate(count, settings))
            files, maps, about = [], [], studio.describe()
            for one, its in zip(
                step.codes, range(settings.seed, settings.seed + count), strict=True
            ):
                files.append(png(Image.fromarray(studio.decode(one)), f"generated-{its}"))
                maps.append({**code_map(one, about), "seed": its})
                yield
            return files, maps

    @stepwise
    def score(
        codes: dict, request: gr.Request, prior: str | None = None, label: str | None = None
    ) -> Generator[None, None, dict[str, Any]]:
        """How much every code of a map surprises a prior: -log2 of its probability, in bits.

        codes: a code map as /encode gives it, at most 128 rows and columns. prior: one of the
        model's in /models, or none for its first. label: one of the model's classes, or none.
        Returns bits (rows of numbers), total (their sum) and kind: "likelihood" under a prior in
        raster order, where each code is given those before it, so that total is -log2 p of the map;
        else "pseudo-likelihood": each is given all others.
        """
        with answering(request):
            studio, known = read_code_map(codes, shelf)
            prior = prior_of(studio, prior)
            bits = yield from last_of(studio.surprise(known, prior, label))
            return {
                "bits": np.round(bits.astype(float), 4).tolist(),
                "total": float(bits.astype(float).sum()),
                "kind": "likelihood" if prior in studio.describe().raster else "pseudo-likelihood",
            }

    gr.api(resample, api_name="resample", concurrency_id="resample", concurrency_limit=1)
    gr.api(generate, api_name="generate", concurrency_id="generate", concurrency_limit=1)
    gr.api(score, api_name="score", concurrency_id="resample", concurrency_limit=1)
