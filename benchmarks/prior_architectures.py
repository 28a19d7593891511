"""Which masked prior gives the best held-out bits per code for the same training time?"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.pipeline import forward
from benchmarks.timing import median_seconds
from vq.checkpoints import load
from vq.data import load_pictures
from vq.evaluation import bits_per_code, label_indices
from vq.priors.masked import MaskedPriorConfig
from vq.recipes import get_recipe
from vq.stages import code_maps, find_dataset, train_prior, training_maps, training_pictures

SHAPES = {
    "2x2 merged, deep": MaskedPriorConfig(width=256, depth=8, heads=4, local_blocks=2),
    "2x2 merged, more local": MaskedPriorConfig(width=192, depth=4, heads=3, local_blocks=3),
    "a token a code": MaskedPriorConfig(
        merge=1, channels=192, width=192, depth=4, heads=3, local_blocks=0
    ),
}


def measure(
    checkpoint_path: Path, data_root: Path, minutes: float, only: list[str] | None
) -> dict[str, Any]:
    """For each shape: bits per code of 256 test maps, steps done, milliseconds a forward pass."""
    recipe = get_recipe("scenes-128")
    autoencoder = load(checkpoint_path).autoencoder
    maps = training_maps(autoencoder, training_pictures(recipe, data_root))
    test = load_pictures(find_dataset(data_root, "scenes128"), "test", limit=256)
    test_codes = torch.from_numpy(code_maps(autoencoder, test)).long()
    results: dict[str, Any] = {}
    for name, config in SHAPES.items():
        if only and name not in only:
            continue
        training = dataclasses.replace(recipe.masked.training, steps=0, minutes=minutes)
        stage = dataclasses.replace(recipe.masked, model=config, training=training)
        with tempfile.TemporaryDirectory() as folder:
            candidate = dataclasses.replace(recipe, masked=stage)
            model = train_prior("masked", candidate, maps, Path(folder), quiet=True)
            last = (Path(folder) / "log.jsonl").read_text().splitlines()[-1]
        results[name] = {
            "bits_per_code": bits_per_code(model, test_codes, label_indices(model, test)),
            "steps": json.loads(last)["step"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "forward_milliseconds": 1000 * median_seconds(partial(forward, model), 10),
        }
        print(name, results[name], flush=True)
    return results
