"""What each choice in a VQ-VAE does: small runs that differ from one another in one thing.

beta and K as in van den Oord et al. (arXiv 1711.00937), section 3.2 and 4; EMA against the
code-book loss (appendix A.1); restart of dead codes; and two later ideas, the rotation trick
(arXiv 2410.06424) and FSQ (arXiv 2309.15505).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vq.atomic import write_file
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.card import write_card
from vq.checkpoints import Checkpoint, load
from vq.data import Pictures
from vq.evaluation import evaluate
from vq.experiments import HERE, Task, markdown_table, spent, to_text
from vq.inpainting import decode, encode
from vq.objectives import VQVAEObjective
from vq.pictures import picture_grid
from vq.recipes import AutoencoderStage, get_recipe
from vq.stages import load_split, training_pictures
from vq.training import Run, TrainingConfig

COMMON = VQVAEConfig(hidden=64, residual_hidden=32)
RECIPE = dataclasses.replace(
    get_recipe("scenes-128"),
    name="ablations",
    autoencoder=AutoencoderStage(
        model=COMMON,
        training=TrainingConfig(
            steps=2_000, batch=16, learning_rate=1e-3, average=0.995, log_every=25
        ),
        crop=64,
    ),
    stages=("autoencoder",),
)

# Axis -> setting -> what it changes in COMMON. Each axis but the last passes through COMMON itself.
AXES: dict[str, dict[str, dict[str, Any]]] = {
    "beta": {str(b): {"beta": b} for b in (0.1, 0.25, 0.5, 1.0, 2.0)},
    "codes": {str(k): {"num_codes": k} for k in (64, 128, 256, 512, 1024, 2048)},
    "code book": {
        "EMA, restarts": {},
        "EMA": {"restart_below": 0.0},
        "loss, restarts": {"ema": False},
        "loss": {"ema": False, "restart_below": 0.0},
    },
    "quantizer": {
        "straight-through": {},
        "rotation trick": {"rotation": True},
        "FSQ 8x8x8": {"levels": (8, 8, 8), "code_dim": 3},
    },
    "2048 codes": {
        "restarts": {"num_codes": 2048},
        "no restarts": {"num_codes": 2048, "restart_below": 0.0},
    },
}
KEPT = (64, 512, 2048)  # numbers of codes whose model becomes a checkpoint of its own
POINTS = 80  # of a curve, at most


def configurations() -> dict[str, VQVAEConfig]:
    """Every run once, by name: its configuration's differences from COMMON."""
    runs = {}
    for settings in AXES.values():
        for changes in settings.values():
            config = dataclasses.replace(COMMON, **changes)
            runs[run_name(config)] = config
    return runs


def run_name(config: VQVAEConfig) -> str:
    """Such as "num_codes=64"; "common" for COMMON."""
    fields = [f.name for f in dataclasses.fields(config)]
    changed = [n for n in fields if getattr(config, n) != getattr(COMMON, n)]
    parts = [f"{n}={getattr(config, n)}".replace("(", "").replace(")", "") for n in changed]
    return ",".join(parts).replace(" ", "") or "common"


def run(task: Task) -> dict[str, Any]:
    """Train and measure every configuration; with --minutes, each gets an equal share."""
    configs = configurations()
    training = RECIPE.autoencoder.training
    if task.minutes is not None:
        training = dataclasses.replace(training, minutes=task.minutes / len(configs))
    train = training_pictures(RECIPE, task.data)
    test = load_split(RECIPE, "scenes128/test", task.data)
    for name, config in configs.items():
        folder = task.out / "runs" / name
        if not (folder / "result.json").exists():
            result = train_and_measure(config, training, train, test, folder, task)
            write_file(folder / "result.json", to_text(result).encode())
    result = summary(task.out)
    kept = [task.out / "runs" / result["axes"]["codes"][str(k)] for k in KEPT]
    # Not recorded: the data sets' photographs are not ours to publish.
    reconstructions(kept, test).save(task.out / "reconstructions.png")
    for folder in kept:
        keep(folder, task)
    return {
        "data": list(RECIPE.data),
        "measured_on": "scenes128/test",
        "training": dataclasses.asdict(training),
        **result,
    }


def summary(out: Path) -> dict[str, Any]:
    """The runs that are finished, by name; and which of them stand for each setting of an axis."""
    results = {name: out / "runs" / name / "result.json" for name in configurations()}
    runs = {n: json.loads(file.read_text("utf-8")) for n, file in results.items() if file.exists()}
    names = {
        axis: {s: run_name(dataclasses.replace(COMMON, **c)) for s, c in settings.items()}
        for axis, settings in AXES.items()
    }
    axes = {
        axis: {s: name for s, name in settings.items() if name in runs}
        for axis, settings in names.items()
    }
    return {"axes": axes, "runs": runs}


def train_and_measure(
    config: VQVAEConfig,
    training: TrainingConfig,
    train: Pictures,
    test: Pictures,
    folder: Path,
    task: Task,
) -> dict[str, Any]:
    """One run: what it cost, its figures on `test`, and its curve.

    The figures are those of the weights as saved. Keys of the curve, lists of equal length:
    see `curve`.
    """
    torch.manual_seed(training.seed)  # the initial weights
    model = VQVAE(config)
    objective = VQVAEObjective(model, train, crop=RECIPE.autoencoder.crop, seed=training.seed)
    training_run = Run(objective, training, folder, device=task.device)
    training_run.train(quiet=task.quiet)
    training_run.load_average()
    Checkpoint(model).save(folder / "checkpoint")
    figures = evaluate(load(folder / "checkpoint", training_run.accelerator.device), test)
    kept = ("psnr_db", "ssim", "mse", "perplexity", "codes_used", "unigram_bits")
    return {
        "config": dataclasses.asdict(config),
        "spent": spent(training_run),
        "figures": {name: float(f"{figures[name]:.5g}") for name in kept},
        "curve": curve(folder / "log.jsonl", config),
    }


def curve(log: Path, config: VQVAEConfig) -> dict[str, list[float]]:
    """A run's log as lists: what each loss term was at POINTS steps at most.

    step; mse, codebook and commitment: means since the step before, as in the loss (means over
    the elements); distance: the root mean square of |z_e - e|, which is that of commitment times
    D; perplexity and dead (codes that are hardly ever chosen): of the moving average of usage.
    """
    # A run that was killed logs some steps twice: the later line is the one it went on from.
    lines = {line["step"]: line for line in map(json.loads, log.read_text().splitlines())}
    steps = sorted(lines)
    shown = sorted({steps[i] for i in np.linspace(0, len(steps) - 1, POINTS).round().astype(int)})
    rows = []
    for step in shown:
        line = lines[step]
        rows.append(
            {
                "step": step,
                **{name: line[name] for name in ("mse", "codebook", "commitment")},
                "distance": (line["commitment"] * config.code_dim) ** 0.5,
                "perplexity": line["perplexity"],
                "dead": config.num_codes - line["codes_used"],
            }
        )
    return {name: [float(f"{row[name]:.4g}") for row in rows] for name in rows[0]}


def reconstructions(folders: list[Path], test: Pictures) -> Any:
    """A sheet: pictures of the test set in the first row, below it what each run makes of them."""
    shown = test.pixels[np.linspace(0, len(test) - 1, 8).astype(int)]
    rows = [shown]
    for folder in folders:
        autoencoder = load(folder / "checkpoint").autoencoder
        rows += [decode(autoencoder, encode(autoencoder, p)[None]) for p in shown]
    return picture_grid(np.concatenate(rows), columns=8)


def keep(run_folder: Path, task: Task) -> None:
    """Make a run's checkpoint one of its own, with a card: OUT/checkpoints/scenes-128-kNUMBER."""
    checkpoint = load(run_folder / "checkpoint")
    name = f"scenes-128-k{checkpoint.num_codes}"
    path = task.out / "checkpoints" / name
    if path.exists() and load(path).card:
        return
    checkpoint.save(path)
    cost = json.loads((run_folder / "result.json").read_text("utf-8"))["spent"]
    budget = (
        f"{cost['pictures']:,} crops in {cost['steps']:,} steps and {cost['minutes']:.1f} minutes"
    )
    text = (HERE / "ablations_card.md").read_text("utf-8")
    for word, value in (
        ("{name}", name),
        ("{num_codes}", f"{checkpoint.num_codes:,}"),
        ("{budget}", f"{budget} ({cost['device']})"),
        (" {samples}", ""),
    ):
        text = text.replace(word, value)
    write_card(dataclasses.replace(RECIPE, name=name), path, task.data, text=text)


def tables(result: dict[str, Any]) -> str:
    """One table an axis, and one line on what the runs cost."""
    return "\n\n".join([_cost(result), *_axes(result)])


def _axes(result: dict[str, Any]) -> Iterator[str]:
    head = ["PSNR, dB", "SSIM", "perplexity", "codes used", "bits a code", "dead at the end"]
    for axis, settings in result["axes"].items():
        if len(settings) < 2:  # nothing to compare
            continue
        rows = [[axis, *head, "rms of z − e"]]
        for setting, name in settings.items():
            run = result["runs"][name]
            f, c = run["figures"], run["curve"]
            rows.append(
                [
                    f"**{setting}**" if name == "common" else setting,
                    f"{f['psnr_db']:.2f}",
                    f"{f['ssim']:.3f}",
                    f"{f['perplexity']:.0f}",
                    f"{f['codes_used']:.0f} of {run['config']['num_codes']}",
                    f"{f['unigram_bits']:.2f}",
                    f"{c['dead'][-1]:.0f}",
                    f"{c['distance'][-1]:.3f}" if not run["config"]["levels"] else "–",
                ]
            )
        yield markdown_table(rows)


def _cost(result: dict[str, Any]) -> str:
    every = [run["spent"] for run in result["runs"].values()]
    minutes = [s["minutes"] for s in every]
    steps = sorted({s["steps"] for s in every})
    shown = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    devices = " / ".join(sorted({s["device"] for s in every}))
    return (
        f"{len(every)} runs of {shown} steps of {result['training']['batch']} crops, "
        f"{min(minutes):.1f} to {max(minutes):.1f} minutes each, "
        f"{sum(minutes):.0f} in all ({devices}, torch {every[0]['torch']})."
    )
