"""Frames of mazes through the paper's smallest bottleneck of pixels: 84x84x3 -> 21x21x1.

van den Oord et al. (arXiv 1711.00937), section 4.1: "DeepMind Lab" frames, K = 512, and a
PixelCNN over the maps, whose samples are decoded. The masked prior is trained beside it.
"""

from __future__ import annotations

from typing import Any

from vq.experiments import Task
from vq.experiments.from_recipe import recipe_tables, run_recipe
from vq.recipes import get_recipe

RECIPE = get_recipe("maze-84")


def run(task: Task) -> dict[str, Any]:
    """Train the recipe's three networks; OUT/checkpoint is what is published."""
    return run_recipe(RECIPE, task)


def tables(result: dict[str, Any]) -> str:
    """What it reaches on mazes it has not seen, and what each network cost."""
    return recipe_tables(result, ("3969, 42.7 times", "– (nearly identical)"))
