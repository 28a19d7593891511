"""What the nearest code costs: codes searched for by the decoder's error, in ever more passes.

Equation 1 of van den Oord et al. (arXiv 1711.00937) takes the nearest code. `vq.code_search` takes
the one that decodes best, as far as it can tell: the same networks, the same number of bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vq.checkpoints import Checkpoint, load
from vq.code_search import PASSES, search_steps
from vq.data import Pictures
from vq.evaluation import bits_per_code, fidelity, label_indices, means, usage
from vq.experiments import ROOT, Task, markdown_table
from vq.recipes import get_recipe
from vq.stages import load_split

SHOWN = (0, 1, 2, 4, 8, 16)  # passes
PICTURES = 400  # of each held-out split, spread over it
CHECKPOINTS = {  # with the recipe whose held-out splits they are measured on
    "scenes-128": "scenes-128",
    "scenes-128-k64": "scenes-128",
    "scenes-128-k512": "scenes-128",
    "scenes-128-k2048": "scenes-128",
    "maze-84": "maze-84",
}


def run(task: Task) -> dict[str, Any]:
    """Measure the checkpoints that are shipped; nothing is trained."""
    device = task.device or ("cuda" if torch.cuda.is_available() else "cpu")
    found: dict[str, Any] = {}
    for name, recipe_name in CHECKPOINTS.items():
        checkpoint = load(ROOT / "checkpoints" / name)
        for network in checkpoint.modules().values():
            network.to(device)
        recipe = get_recipe(recipe_name)
        found[name] = {
            split: measure(checkpoint, load_split(recipe, split, task.data, PICTURES), device)
            for split in recipe.held_out
        }
        if not task.quiet:
            print(name, found[name], flush=True)
    return {"pictures": PICTURES, "checkpoints": found}


@torch.inference_mode()
def measure(checkpoint: Checkpoint, data: Pictures, device: str) -> list[dict[str, Any]]:
    """Figures after each number of passes of `SHOWN`: means over the pictures.

    changed: share of the codes that are not the nearest. bits_per_code: by prior, before the search
    and after `vq.code_search.PASSES`.
    """
    fidelities: dict[int, list[dict[str, Tensor]]] = {passes: [] for passes in SHOWN}
    maps: dict[int, list[Tensor]] = {passes: [] for passes in SHOWN}
    for i in range(0, len(data), 16):
        pictures = data.tensor(slice(i, i + 16)).to(device)
        steps = search_steps(checkpoint.autoencoder, pictures, passes=max(SHOWN))
        for passes, codes in enumerate(steps):
            if passes in SHOWN:
                fidelities[passes].append(fidelity(pictures, checkpoint.autoencoder.decode(codes)))
                maps[passes].append(codes.cpu())
    nearest = torch.cat(maps[0])
    result = []
    for passes in SHOWN:
        codes = torch.cat(maps[passes])
        figures: dict[str, Any] = {"passes": passes}
        figures |= means(fidelities[passes]) | usage(codes, checkpoint.num_codes)
        figures["changed"] = float((codes != nearest).double().mean())
        if passes in (0, PASSES):
            figures["bits_per_code"] = {
                name: bits_per_code(prior, codes, label_indices(prior, data))
                for name, prior in checkpoint.priors.items()
            }
        result.append(figures)
    return result


def tables(result: dict[str, Any]) -> str:
    """PSNR by passes, and what else changes with the passes that are the default."""
    rows = [
        (name, split, steps)
        for name, splits in result["checkpoints"].items()
        for split, steps in splits.items()
    ]
    by_passes = [["", "", *(f"{passes} passes" for passes in SHOWN)]]
    others = [["", "", "SSIM", "perplexity", "codes changed", "bits a code, by prior"]]
    for name, split, steps in rows:
        by_passes.append([name, split, *(f"{figures['psnr_db']:.2f}" for figures in steps)])
        before, after = (steps[SHOWN.index(passes)] for passes in (0, PASSES))
        bits = (
            f"{prior} {cost:.2f} → {after['bits_per_code'][prior]:.2f}"
            for prior, cost in before["bits_per_code"].items()
        )
        others.append(
            [
                name,
                split,
                f"{before['ssim']:.3f} → {after['ssim']:.3f}",
                f"{before['perplexity']:.0f} → {after['perplexity']:.0f}",
                f"{after['changed']:.1%}",
                ", ".join(bits) or "–",
            ]
        )
    return (
        f"PSNR in dB, by passes; 0 is the nearest code.\n\n{markdown_table(by_passes)}\n\n"
        f"With the nearest codes → after {PASSES} passes:\n\n{markdown_table(others)}"
    )
