"""An experiment whose result is a recipe's checkpoint: train it, write its card, show it.

A network that lies in OUT/checkpoint without a training run beside it is measured as it is: so is
a checkpoint of long training, or another machine's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vq.card import SAMPLES, write_card
from vq.checkpoints import load
from vq.evaluation import rate_bits
from vq.experiments import Task, markdown_table
from vq.inpainting import decode, encode
from vq.pictures import picture_grid
from vq.recipes import Recipe
from vq.stages import load_split, train_recipe

SHARES = {"autoencoder": 0.5, "masked": 0.25, "pixelcnn": 0.25}  # of --minutes
SHOWN, COLUMNS = 16, 8  # pictures of the first held-out split


def run_recipe(recipe: Recipe, task: Task) -> dict[str, Any]:
    """Train the recipe's networks; OUT/checkpoint is what is published."""
    recipe = budgeted(recipe, task)
    runs, checkpoint = task.out / "runs", task.out / "checkpoint"
    stages = [s for s in recipe.stages if (runs / s).exists() or not (checkpoint / s).exists()]
    if stages:
        train_recipe(
            recipe, task.data, runs, checkpoint, stages, quiet=task.quiet, device=task.device
        )
    figures = write_card(recipe, checkpoint, task.data)
    test = load_split(recipe, recipe.held_out[0], task.data)
    autoencoder = load(checkpoint).autoencoder
    shown = test.pixels[np.linspace(0, len(test) - 1, SHOWN).astype(int)]
    rebuilt = np.concatenate([decode(autoencoder, encode(autoencoder, p)[None]) for p in shown])
    rows = [part[i : i + COLUMNS] for i in range(0, SHOWN, COLUMNS) for part in (shown, rebuilt)]
    reconstructions = f"{recipe.name}-reconstructions.png"
    picture_grid(np.concatenate(rows), columns=COLUMNS).save(task.out / reconstructions)
    samples = []
    for prior in recipe.stages[1:]:
        name = f"{recipe.name}-{SAMPLES.format(prior=prior)}"
        (task.out / name).write_bytes((checkpoint / SAMPLES.format(prior=prior)).read_bytes())
        samples.append(name)
    return {
        "name": recipe.name,
        "data": list(recipe.data),
        "figures_on": figures,
        "num_codes": autoencoder.config.num_codes,
        "bits": rate_bits(autoencoder, recipe.size, recipe.size),
        "pixel_bits": 8 * 3 * recipe.size**2,
        "spent": {s: last_line(runs / s) if s in stages else None for s in recipe.stages},
        "figures": [reconstructions, *samples],
    }


def budgeted(recipe: Recipe, task: Task) -> Recipe:
    """The recipe with --minutes shared out to its stages, as deadlines."""
    if task.minutes is None:
        return recipe
    settings = {
        f"{stage}.training.{field}": str(value)
        for stage, share in SHARES.items()
        for field, value in (("minutes", share * task.minutes), ("steps", 0))
    }
    return recipe.override(settings)


def last_line(folder: Path) -> dict[str, Any]:
    """What a stage had cost when it ended, as its log says."""
    line = json.loads((folder / "log.jsonl").read_text("utf-8").splitlines()[-1])
    return {"steps": round(line["step"]), "minutes": float(f"{line['minutes']:.3g}")}


def recipe_tables(result: dict[str, Any], paper: Sequence[str]) -> str:
    """What it reaches on the held-out splits, and what each network cost.

    paper: what the paper says of the bits of a picture, and of its reconstructions.
    """
    splits = result["figures_on"]
    bits, reconstructions = paper

    def row(label: str, cell: Any, said: str = "–") -> list[str]:
        return [label, *(cell(f) for f in splits.values()), said]

    ratio = result["pixel_bits"] / result["bits"]
    k = result["num_codes"]
    rows = [
        ["", *splits, "the paper"],
        row("bits of a picture", lambda f: f"{result['bits']:.0f}, {ratio:.1f} times fewer", bits),
        row("PSNR, dB", lambda f: f"{f['psnr_db']:.2f}", reconstructions),
        row("SSIM", lambda f: f"{f['ssim']:.3f}"),
        row("perplexity", lambda f: f"{f['perplexity']:.0f}"),
        row("codes used", lambda f: f"{f['codes_used']} of {k}"),
        row("bits a code by frequency", lambda f: f"{f['unigram_bits']:.2f}"),
    ]
    for prior in next(iter(splits.values()))["bits_per_code"]:

        def cost_of_code(f: dict[str, Any], prior: str = prior) -> str:
            code = f["bits_per_code"][prior]
            return f"{code:.2f}, {code / f['unigram_bits']:.1%} of that"

        rows.append(row(f"bits a code, {prior}", cost_of_code))
    cost = [["network", "steps", "minutes"]]
    for stage, spent in result["spent"].items():
        cells = ("–", "–") if spent is None else (f"{spent['steps']:,}", f"{spent['minutes']:.1f}")
        cost.append([stage, *cells])
    text = f"{markdown_table(rows)}\n\n{markdown_table(cost)}"
    if None in result["spent"].values():
        text += (
            "\n\n–: lay in OUT/checkpoint already and was measured as it is; its card "
            f"(`checkpoints/{result['name']}`) says how it was trained."
        )
    return text
