"""Photographs through a bottleneck of pixels: 128x128x3 -> 32x32x1, and samples of its priors.

van den Oord et al. (arXiv 1711.00937), section 4.1: ImageNet, K = 512, "a reduction of ... 42.6
in bits", and a PixelCNN over the maps, whose samples are decoded. The masked prior is trained
beside it.
"""

from __future__ import annotations

from typing import Any

from vq.experiments import Task
from vq.experiments.from_recipe import recipe_tables, run_recipe
from vq.recipes import get_recipe

RECIPE = get_recipe("scenes-128")


def run(task: Task) -> dict[str, Any]:
    """Train the recipe's three networks; OUT/checkpoint is what is published."""
    return run_recipe(RECIPE, task)


def tables(result: dict[str, Any]) -> str:
    """What it reaches on photographs it has not seen, and what each network cost."""
    return recipe_tables(result, ("9216, 42.6 times", "– (slightly blurrier)"))
