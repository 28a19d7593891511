"""A frame in 27 bits: a second VQ-VAE on the 21x21 maps, with a PixelCNN for its decoder.

Van den Oord et al. (arXiv 1711.00937), section 4.1, on "posterior collapse": a decoder so strong
could ignore the latents. Beside it a Gaussian VAE, in all else the same network and training.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vq.card import SECOND_STAGE
from vq.checkpoints import Checkpoint, load
from vq.experiments import ROOT, Task, markdown_table, spent
from vq.inpainting import decode
from vq.map_vae import MapVAE, MapVAEConfig
from vq.objectives import MapVAEObjective
from vq.pictures import picture_grid
from vq.precision import fast
from vq.recipes import get_recipe
from vq.stages import code_maps, load_split, training_maps, training_pictures
from vq.training import Run, TrainingConfig

FIRST_STAGE = ROOT / "checkpoints" / "maze-84"
CONFIG = MapVAEConfig()
TRAINING = TrainingConfig(minutes=18.0, batch=16, learning_rate=1e-3, average=0.998)
MODELS = {"VQ-VAE": False, "Gaussian VAE": True}  # name -> config.gaussian
CANDIDATES = 64  # latents that each map is compared with, see `information`
SHOWN = 8  # frames in the figure
FIGURE = "maze-27-bits.png"
# Behind all else in the first stage's card.
CARD = """`map_vae` is a second VQ-VAE over the maps (the paper's section 4.1): {latents} latents of
K = {latent_codes} stand for a whole frame, and a PixelCNN that is told them draws its map.

```python
from vq import inpainting, latents

codes = latents.encode(checkpoint, inpainting.encode(checkpoint.autoencoder, frame))
*_, last = latents.decoding_steps(checkpoint, codes, seeds=range(4))
frames = inpainting.decode(checkpoint.autoencoder, last["codes"])  # (4, 84, 84, 3) uint8
```

On the same unseen frames, beside a Gaussian VAE with the same decoder, by `python -m vq reproduce
maze-27-bits`, which RESULTS.md explains:

{tables}
"""


def run(task: Task) -> dict[str, Any]:
    """Train both on the maps of the checkpoint maze-84; with --minutes, each for half of them."""
    recipe = get_recipe("maze-84")
    checkpoint = load(FIRST_STAGE)
    first = checkpoint.autoencoder
    training = TRAINING
    if task.minutes is not None:
        training = dataclasses.replace(training, minutes=task.minutes / len(MODELS))
    train = training_maps(first, training_pictures(recipe, task.data)).codes
    test = load_split(recipe, recipe.held_out[0], task.data)
    maps = torch.from_numpy(code_maps(first, test)).long()
    config = dataclasses.replace(
        CONFIG, num_codes=first.config.num_codes, map_size=(maps.shape[1], maps.shape[2])
    )
    shown = np.linspace(0, len(test) - 1, SHOWN).astype(int)
    rows = [test.pixels[shown], decode(first, maps[shown].numpy())]
    models = {}
    for name, gaussian in MODELS.items():
        folder = task.out / "runs" / name.replace(" ", "-")
        torch.manual_seed(training.seed)  # the initial weights
        model = MapVAE(dataclasses.replace(config, gaussian=gaussian))
        training_run = Run(
            MapVAEObjective(model, train, seed=training.seed), training, folder, device=task.device
        )
        training_run.train(quiet=task.quiet)
        training_run.load_average()
        models[name] = {"spent": spent(training_run), "figures": measure(model, maps)}
        device = training_run.accelerator.device
        latents = model.encode(maps[shown].to(device))
        rows.append(decode(first, model.sample(latents, list(range(SHOWN))).cpu().numpy()))
        if not gaussian:
            checkpoint = dataclasses.replace(checkpoint, map_vae=model)
    picture_grid(np.concatenate(rows), columns=SHOWN).save(task.out / FIGURE)
    result = {
        "config": dataclasses.asdict(config),
        "training": dataclasses.asdict(training),
        "maps": {"train": len(train), "test": len(maps)},
        "candidates": min(CANDIDATES, len(maps)),
        "models": models,
        "figures": [FIGURE],
    }
    publish(checkpoint, result, task.out / "checkpoint")
    return result


def publish(checkpoint: Checkpoint, result: dict[str, Any], folder: Path) -> None:
    """The first stage's checkpoint with the second in it, and what that reaches in its card."""
    if not folder.exists():
        shutil.copytree(FIRST_STAGE, folder)  # its sheets of samples, too
    text = checkpoint.card.partition(SECOND_STAGE)[0].rstrip()
    card = f"{text}\n\n{SECOND_STAGE}{CARD.format(tables=tables(result), **result['config'])}"
    dataclasses.replace(checkpoint, card=card).save(folder)


@torch.inference_mode()
def measure(model: MapVAE, maps: Tensor, *, batch: int = 32, seed: int = 0) -> dict[str, Any]:
    """What the latents are worth to the decoder, over maps (N, h, w) not trained on.

    bits: mean -log2 p(map | z) of a whole map, z being its own latents (of a Gaussian: one draw
    from the posterior). rate: mean bits of the latents themselves: latents x log2 K for codes,
    KL(q(z | map) || p(z)) for a Gaussian; bits + rate bounds -log2 p(map) from above.
    bits_with_others: the same with the latents of another map, at random: what they are worth is
    the difference. information: see `information`, in bits, at most `information_limit`.
    used: of codes alone: how many different ones each latent takes, the entropy of each in bits,
    and how many different combinations there are.
    """
    device = next(model.parameters()).device
    rng = np.random.default_rng(seed)
    c = model.config
    noise = torch.from_numpy(rng.standard_normal((len(maps), c.latents * c.latent_dim))).float()
    others = torch.from_numpy(derangement(len(maps), rng))
    bits, rate, latents = [], [], []
    for part, n in zip(maps.split(batch), noise.split(batch), strict=True):
        with fast(device):
            out = model(part.to(device), n.to(device))
            latents.append(model.encode(part.to(device), n.to(device)))
        bits.append(out.bits)
        rate.append(out.rate)
    z = torch.cat(latents)
    with_others = []
    for part, which in zip(maps.split(batch), others.split(batch), strict=True):
        with fast(device):
            with_others.append(model.bits(part.to(device), z[which.to(device)]))
    m = min(CANDIDATES, len(maps))
    some = torch.from_numpy(rng.permutation(len(maps))[:m])
    means = {"bits": bits, "rate": rate, "bits_with_others": with_others}
    figures: dict[str, Any] = {k: rounded(torch.cat(v).double().mean()) for k, v in means.items()}
    figures["information"] = rounded(information(model, maps[some].to(device), z[some.to(device)]))
    figures["information_limit"] = rounded(math.log2(m))
    if not c.gaussian:
        codes = torch.cat([model.codes(part.to(device)).cpu() for part in maps.split(batch)])
        counts = [torch.bincount(column, minlength=c.latent_codes) for column in codes.T]
        figures["used"] = {
            "codes": [int((n > 0).sum()) for n in counts],
            "entropy": [rounded(entropy(n)) for n in counts],
            "combinations": len(torch.unique(codes, dim=0)),
        }
    return figures


@torch.inference_mode()
def information(model: MapVAE, maps: Tensor, latents: Tensor, *, batch: int = 64) -> float:
    """A lower bound on the mutual information of maps and latents that the decoder shows, in bits.

    maps (M, h, w), latents (M, ...) drawn for them. With p = p(map | latents) of the decoder, the
    mean over i of log2 [p(map_i | z_i) / mean over j of p(map_i | z_j)]. It is InfoNCE (van den
    Oord et al., arXiv 1807.03748, section 2.3) with the decoder as critic: in expectation no more
    than I(map; z), and never more than log2 M. 0 for a decoder that ignores its latents.
    """
    m = len(maps)
    log_p = torch.empty(m, m, dtype=torch.float64, device=maps.device)
    for i in range(m):
        rows = []
        for z in latents.split(batch):
            with fast(maps.device):
                rows.append(-model.bits(maps[i].expand(len(z), -1, -1), z))
        log_p[i] = torch.cat(rows)
    nats = log_p * math.log(2)
    gain = nats.diagonal() - (nats.logsumexp(1) - math.log(m))
    return float(gain.mean() / math.log(2))


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random order (N,) of 0 to n - 1 in which nothing keeps its place: one cycle of all."""
    cycle = rng.permutation(n)
    order = np.empty(n, np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def entropy(counts: Tensor) -> float:
    """Bits of a histogram (K,)."""
    p = counts[counts > 0].double() / counts.sum()
    return float(-(p * p.log2()).sum())


def rounded(value: Any) -> float:
    return float(f"{float(value):.5g}")


def tables(result: dict[str, Any]) -> str:
    """Both models side by side, and what each has cost."""
    models = result["models"]
    figures = {name: m["figures"] for name, m in models.items()}

    def row(label: str, cell: Any) -> list[str]:
        return [label, *(cell(f) for f in figures.values())]

    rows = [
        ["bits a frame, of 441 codes", *figures],
        row("decoder, with the frame's own latents", lambda f: f"{f['bits']:.1f}"),
        row("decoder, with another frame's latents", lambda f: f"{f['bits_with_others']:.1f}"),
        row(
            "**what its latents are worth**",
            lambda f: f"**{f['bits_with_others'] - f['bits']:.2f}**",
        ),
        row("the latents themselves (rate)", lambda f: f"{f['rate']:.2f}"),
        row(
            f"information, at least (at most {math.log2(result['candidates']):.0f} can be seen)",
            lambda f: f"{f['information']:.2f}",
        ),
    ]
    used = figures["VQ-VAE"]["used"]
    cost = [["", *models]]
    for key, digits in (("steps", ",.0f"), ("pictures", ",.0f"), ("minutes", ".1f")):
        cost.append([key, *(format(m["spent"][key], digits) for m in models.values())])
    codes = ", ".join(map(str, used["codes"]))
    entropies = ", ".join(f"{e:.2f}" for e in used["entropy"])
    return (
        f"{markdown_table(rows)}\n\n"
        f"Of {result['maps']['test']:,} frames of unseen mazes, the three latents take {codes} of "
        f"512 codes, with an entropy of {entropies} bits, in {used['combinations']:,} different "
        f"combinations.\n\n{markdown_table(cost)}"
    )
