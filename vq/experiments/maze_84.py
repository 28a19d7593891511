"""Frames of mazes through the paper's smallest bottleneck of pixels: 84x84x3 -> 21x21x1.

van den Oord et al. (arXiv 1711.00937), section 4.1: "DeepMind Lab" frames, K = 512, and a
PixelCNN over the maps, whose samples are decoded. The masked prior is trained beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vq.card import SAMPLES, write_card
from vq.checkpoints import load
from vq.evaluation import rate_bits
from vq.experiments import Task, markdown_table
from vq.inpainting import decode, encode
from vq.pictures import picture_grid
from vq.recipes import Recipe, get_recipe
from vq.stages import load_split, train_recipe

RECIPE = get_recipe("maze-84")
SHARES = {"autoencoder": 0.5, "masked": 0.25, "pixelcnn": 0.25}  # of --minutes
FIGURE = "maze-84-reconstructions.png"


def run(task: Task) -> dict[str, Any]:
    """Train the recipe's three networks; OUT/checkpoint is what is published."""
    recipe = budgeted(RECIPE, task)
    runs, checkpoint = task.out / "runs", task.out / "checkpoint"
    train_recipe(recipe, task.data, runs, checkpoint, quiet=task.quiet, device=task.device)
    figures = write_card(recipe, checkpoint, task.data)
    test = load_split(recipe, recipe.held_out[0], task.data)
    autoencoder = load(checkpoint).autoencoder
    shown = test.pixels[np.linspace(0, len(test) - 1, 16).astype(int)]
    rebuilt = np.concatenate([decode(autoencoder, encode(autoencoder, p)[None]) for p in shown])
    rows = [part[i : i + 8] for i in (0, 8) for part in (shown, rebuilt)]
    picture_grid(np.concatenate(rows), columns=8).save(task.out / FIGURE)
    samples = []
    for prior in recipe.stages[1:]:
        name = f"maze-84-{SAMPLES.format(prior=prior)}"
        (task.out / name).write_bytes((checkpoint / SAMPLES.format(prior=prior)).read_bytes())
        samples.append(name)
    return {
        "data": list(recipe.data),
        "figures_on": figures,
        "bits": rate_bits(autoencoder, recipe.size, recipe.size),
        "pixel_bits": 8 * 3 * recipe.size**2,
        "spent": {stage: last_line(runs / stage) for stage in recipe.stages},
        "figures": [FIGURE, *samples],
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


def tables(result: dict[str, Any]) -> str:
    """What it reaches on mazes it has not seen, and what each network cost."""
    rows = [["mazes/test", "here", "the paper"]]
    ((_, f),) = result["figures_on"].items()
    ratio = result["pixel_bits"] / result["bits"]
    rows += [
        ["bits of a frame", f"{result['bits']:.0f}, {ratio:.1f} times fewer", "3969, 42.7 times"],
        ["PSNR, dB", f"{f['psnr_db']:.2f}", "– (nearly identical)"],
        ["SSIM", f"{f['ssim']:.3f}", "–"],
        ["perplexity", f"{f['perplexity']:.0f}", "–"],
        ["codes used", f"{f['codes_used']} of 512", "–"],
        ["bits a code by frequency", f"{f['unigram_bits']:.2f}", "–"],
    ]
    rows += [
        [f"bits a code, {prior}", f"{bits:.2f}", "–"] for prior, bits in f["bits_per_code"].items()
    ]
    cost = [["network", "steps", "minutes"]]
    cost += [
        [stage, f"{spent['steps']:,}", f"{spent['minutes']:.1f}"]
        for stage, spent in result["spent"].items()
    ]
    return f"{markdown_table(rows)}\n\n{markdown_table(cost)}"
