"""The model card of a checkpoint: a recipe's text, and figures measured while it is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from vq.checkpoints import Checkpoint, load
from vq.evaluation import evaluate
from vq.generation import GUIDANCE, sample_pictures
from vq.pictures import picture_grid
from vq.recipes import Recipe
from vq.stages import load_split

# What stands below it in a card is of the second stage, and written by its experiment.
SECOND_STAGE = "## A frame in three codes\n\n"
SAMPLES = "samples-{prior}.jpg"
SAMPLE_STEPS = 64  # of a prior of any order: with a whole picture's codes in few, they do not agree


def write_card(
    recipe: Recipe, path: Path, root: Path, limit: int | None = None, *, text: str | None = None
) -> dict[str, Any]:
    """Measure the checkpoint at `path` on the recipe's held-out splits and write its README.md.

    root: folder of the data sets. text: Markdown (None: that of the file beside the recipe), in
    which {figures} and {samples} stand for the table and a sheet of samples of each prior (see
    `sample_sheet`). Returns the figures by split, as
    `vq.evaluation.evaluate` gives them.
    """
    checkpoint = load(path)
    figures = {}
    for name in recipe.held_out:
        figures[name] = evaluate(checkpoint, load_split(recipe, name, root, limit))
        # A speed belongs to a machine, not to a checkpoint.
        del figures[name]["pictures_per_second"]
    front = {
        "license": recipe.license,
        "library_name": "codebrush",
        "tags": ["vq-vae", "image-tokenizer", "inpainting", "codebrush"],
        "figures": {
            name: {key: _rounded(value) for key, value in split.items()}
            for name, split in figures.items()
        },
    }
    if text is None:
        file = f"{recipe.name.replace('-', '_')}.md"
        text = (Path(__file__).parent / "recipes" / file).read_text("utf-8")
    samples = []
    for prior in checkpoint.priors:
        name = SAMPLES.format(prior=prior)
        sample_sheet(checkpoint, prior).save(path / name, quality=90)
        rows = (
            f", one class a row: four as they come, the same four with guidance {GUIDANCE:g}"
            if checkpoint.labels
            else ""
        )
        samples.append(f"![Samples of {prior}{rows}]({name})")
    text = text.replace("{figures}", _table(figures)).replace("{samples}", "\n\n".join(samples))
    if checkpoint.map_vae is not None:
        _, heading, rest = checkpoint.card.partition(SECOND_STAGE)
        text = f"{text.rstrip()}\n\n{heading}{rest}"  # its own experiment has measured it
    card = f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{text}"
    dataclasses.replace(checkpoint, card=card).save(path)
    return figures


def sample_sheet(checkpoint: Checkpoint, prior: str) -> Image.Image:
    """Pictures of each class, one class a row, at temperature 1.

    Seeds 0 to 3 of each class from the prior as it is, then the same with `vq.generation.GUIDANCE`;
    where there are no classes, seeds 0 to 31.
    """

    def drawn(seeds: range, label: str | None = None, guidance: float = 1.0) -> np.ndarray:
        return sample_pictures(
            checkpoint, prior, seeds, label=label, guidance=guidance, steps=SAMPLE_STEPS
        )

    if not checkpoint.labels:
        return picture_grid(drawn(range(32)), columns=8)
    rows = [drawn(range(4), n, g) for n in checkpoint.labels for g in (1.0, GUIDANCE)]
    return picture_grid(np.concatenate(rows), columns=8)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _table(figures: dict[str, dict[str, Any]]) -> str:
    """One row a figure, one column a split."""
    rows = [["", *figures]]
    first = next(iter(figures.values()))
    for key, value in first.items():
        if isinstance(value, dict):
            for prior in value:
                cells = [json.dumps(_rounded(f[key][prior])) for f in figures.values()]
                rows.append([f"{key}, {prior}", *cells])
        else:
            rows.append([key, *(json.dumps(_rounded(f[key])) for f in figures.values())])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
