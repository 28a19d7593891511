"""CIFAR-10 in bits per dimension: VQ-VAE, Gaussian VAE and VIMCO on one encoder and decoder.

Van den Oord et al. (arXiv 1711.00937), section 4.1, with what the authors added by e-mail: 10
independent code books a position and a 256-way softmax for each sub-pixel. They do not say K:
it is swept, as is the number of latents.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vq.atomic import write_file
from vq.autoencoder import VQVAEConfig
from vq.baselines import VIMCO, GaussianVAE, PixelModel, SoftmaxVQVAE, save_model
from vq.cifar import load_cifar10
from vq.data import Pictures, step_generator
from vq.evaluation import frequency_bits
from vq.experiments import Task, markdown_table, spent, to_text
from vq.likelihood import to_levels
from vq.objectives import BitsObjective, BooksPriorObjective
from vq.pictures import picture_grid
from vq.precision import fast
from vq.priors.books import BooksPrior, BooksPriorConfig
from vq.training import Run, TrainingConfig

PAPER_BITS = {"vae": 4.51, "vqvae": 4.67, "vimco": 5.14}
NAMES = {"vae": "Gaussian VAE", "vqvae": "VQ-VAE", "vimco": "VIMCO"}
FIGURE = "cifar10-bits.png"
Maker = Callable[[], PixelModel]


@dataclass(frozen=True)
class Recipe:
    """Sizes and budgets; `recipe_for` shares out the minutes that are asked for."""

    model: VQVAEConfig
    training: TrainingConfig  # of each of the three models
    prior: BooksPriorConfig  # num_codes and books follow the model
    prior_training: TrainingConfig
    sweep_training: TrainingConfig
    samples: int = 50  # of VIMCO in training
    measured_samples: int = 50  # of the multi-sample bounds
    measured_pictures: int = 10_000  # test pictures for those
    sweep_pictures: int = 10_000  # test pictures for the sweeps
    num_codes: tuple[int, ...] = (16, 64, 512)  # swept, with all the books
    books: tuple[int, ...] = (1, 4)  # swept, beside the model's own, with its own K
    vae_latents: tuple[int, ...] = (1, 10)  # swept, for each position


PAPER = Recipe(
    model=VQVAEConfig(hidden=256, residual_hidden=256, num_codes=512, code_dim=16, books=10),
    training=TrainingConfig(steps=250_000, batch=128, learning_rate=2e-4),
    prior=BooksPriorConfig(layers=12, channels=128, head=256),
    prior_training=TrainingConfig(steps=50_000, batch=64),
    sweep_training=TrainingConfig(steps=25_000, batch=128, learning_rate=2e-4),
)
# For minutes on a processor; few test pictures where each is decoded 50 times.
SMALL = dataclasses.replace(
    PAPER,
    model=VQVAEConfig(hidden=64, residual_hidden=64, num_codes=64, code_dim=16, books=10),
    training=TrainingConfig(minutes=8.0, batch=16, learning_rate=3e-3, average=0.99, warmup=50),
    prior=BooksPriorConfig(layers=6, channels=64, head=128),
    prior_training=TrainingConfig(minutes=2.0, batch=16, average=0.99, warmup=50),
    sweep_training=TrainingConfig(
        minutes=2.0, batch=16, learning_rate=3e-3, average=0.99, warmup=50
    ),
    samples=5,
    measured_pictures=500,
    sweep_pictures=2_000,
)


def recipe_for(task: Task) -> Recipe:
    """The paper's sizes on a GPU or without a limit of time, the small ones on a CPU."""
    on_cpu = task.device == "cpu" or not torch.cuda.is_available()
    recipe = SMALL if on_cpu and task.minutes is not None else PAPER
    if task.minutes is None:
        return recipe
    # The three models get four shares each, the prior and every point of the sweeps one.
    share = task.minutes / (13 + len(sweep(recipe)))
    return dataclasses.replace(
        recipe,
        training=dataclasses.replace(recipe.training, steps=0, minutes=4 * share),
        prior_training=dataclasses.replace(recipe.prior_training, steps=0, minutes=share),
        sweep_training=dataclasses.replace(recipe.sweep_training, steps=0, minutes=share),
    )


def models(recipe: Recipe) -> dict[str, Maker]:
    """The three models, by name."""
    return {
        "vae": partial(GaussianVAE, recipe.model),
        "vqvae": partial(SoftmaxVQVAE, recipe.model),
        "vimco": partial(VIMCO, recipe.model, recipe.samples),
    }


def sweep(recipe: Recipe) -> dict[str, Maker]:
    """The models of the sweeps, by name. Each differs from the recipe's in one thing."""
    change = partial(dataclasses.replace, recipe.model)
    vqvaes = [change(num_codes=k) for k in recipe.num_codes]
    vqvaes += [change(books=n) for n in recipe.books]
    return {
        **{f"vqvae-{c.books}x{c.num_codes}": partial(SoftmaxVQVAE, c) for c in vqvaes},
        **{f"vae-{n}": partial(GaussianVAE, change(books=n)) for n in recipe.vae_latents},
    }


def run(task: Task) -> dict[str, Any]:
    """Train and measure the three models, a prior over the VQ-VAE's codes, and the sweeps."""
    recipe = recipe_for(task)
    train, test = (load_cifar10(task.data, split) for split in ("train", "test"))
    three, results, points = {}, {}, {}
    for name, maker in models(recipe).items():
        three[name], cost = trained(name, maker, recipe.training, train, task)
        save_model(three[name], task.out / "models" / f"{name}.safetensors")
        results[name] = {
            "spent": cost,
            "bounds": kept(task, name, partial(measure, three[name], test, recipe)),
        }
    learn = partial(learned_prior, three["vqvae"], train, test, recipe, task)
    prior = kept(task, "prior", learn)
    pictures = spread(test, recipe.sweep_pictures)
    for name, maker in sweep(recipe).items():
        model, cost = trained(name, maker, recipe.sweep_training, train, task)
        points[name] = {"spent": cost, **kept(task, name, partial(sweep_point, model, pictures))}
    reconstructions(three, spread(test, 16), task.out)
    return {
        "data": ["cifar10/train"],
        "measured_on": "cifar10/test",
        "recipe": dataclasses.asdict(recipe),
        "models": results,
        "prior": prior,
        "sweep": points,
        "figures": [FIGURE],
    }


def trained(
    name: str, maker: Maker, training: TrainingConfig, data: Pictures, task: Task
) -> tuple[PixelModel, dict[str, Any]]:
    """A model with its averaged weights, and what it has cost. What was trained is only read."""
    torch.manual_seed(training.seed)  # the initial weights
    model = maker()
    objective = BitsObjective(model, data, training.seed)
    training_run = Run(objective, training, task.out / "runs" / name, device=task.device)
    if training_run.done < 1:
        training_run.train(quiet=task.quiet)
    training_run.load_average()
    return model, spent(training_run)


def kept(task: Task, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives, made once: it stays in the run's folder."""
    path = task.out / "runs" / name / "result.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, to_text(make()).encode())
    figures: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return figures


# Measuring


def spread(data: Pictures, n: int) -> Pictures:
    """n pictures, or all if there are fewer, spread evenly over a data set."""
    index = np.linspace(0, len(data) - 1, min(n, len(data))).round().astype(int)
    return Pictures(data.pixels[index], data.labels[index], data.label_names)


@torch.inference_mode()
def over(model: PixelModel, data: Pictures, measure: Any, samples: int = 1) -> Tensor:
    """measure(pixels, noise) for all pictures, in batches, on the CPU. Noise is seeded by place."""
    device = next(model.parameters()).device
    parts = []
    for i in range(0, len(data), 50):
        pixels = torch.from_numpy(data.pixels[i : i + 50].transpose(0, 3, 1, 2).copy())
        noise = model.noise(step_generator(1, i), tuple(pixels.shape), samples)
        with fast(device):
            parts.append(measure(pixels.to(device), noise.to(device)).cpu())
    return torch.cat(parts)


def summary(bits: Tensor, samples: int) -> dict[str, Any]:
    """Mean over pictures and its standard error."""
    bits = bits.double()
    return {
        "bits": float(f"{bits.mean():.5g}"),
        "stderr": float(f"{bits.std() / len(bits) ** 0.5:.2g}") if len(bits) > 1 else 0.0,
        "pictures": len(bits),
        "samples": samples,
    }


def measure(model: PixelModel, test: Pictures, recipe: Recipe) -> dict[str, Any]:
    """Every bound of a model: "one" and "many" samples, with some on `measured_pictures` only."""
    few, k = spread(test, recipe.measured_pictures), recipe.measured_samples
    bounds = {}
    if not isinstance(model, VIMCO):
        one = model.elbo if isinstance(model, GaussianVAE) else model.bound
        bounds["one"] = summary(over(model, test, one), 1)
        bounds["one, few"] = summary(over(model, few, one), 1)
    if not isinstance(model, SoftmaxVQVAE):
        bounds["many, few"] = summary(over(model, few, model.bound, k), k)
    else:
        bounds["distortion"] = summary(over(model, test, lambda x, _: model.distortion(x)), 1)
    return bounds


def sweep_point(model: PixelModel, test: Pictures) -> dict[str, Any]:
    """The ELBO, and for a VQ-VAE the bits that its codes cost at the uniform rate."""
    figures: dict[str, Any] = {"latents": model.config.books}
    if isinstance(model, SoftmaxVQVAE):
        shape = torch.zeros(1, *test.pixels.shape[3:], *test.pixels.shape[1:3])
        figures |= {"codes": model.config.num_codes, "rate": float(f"{model.rate(shape):.5g}")}
    bound = model.elbo if isinstance(model, GaussianVAE) else model.bound
    return figures | summary(over(model, test, bound), 1)


def learned_prior(
    vqvae: PixelModel, train: Pictures, test: Pictures, recipe: Recipe, task: Task
) -> dict[str, Any]:
    """Bits of a code of the test maps: at the uniform rate, by frequency, and by a prior."""
    assert isinstance(vqvae, SoftmaxVQVAE)
    training, k = recipe.prior_training, vqvae.config.num_codes
    maps, held_out = (
        over(vqvae, data, lambda x, _: vqvae.codes(x)).short() for data in (train, test)
    )
    torch.manual_seed(training.seed)
    books = vqvae.config.books
    prior = BooksPrior(dataclasses.replace(recipe.prior, num_codes=k, books=books))
    objective = BooksPriorObjective(prior, maps, training.seed)
    training_run = Run(objective, training, task.out / "runs" / "prior", device=task.device)
    training_run.train(quiet=task.quiet)
    training_run.load_average()
    device = training_run.accelerator.device
    total = 0.0
    with torch.inference_mode(), fast(device):
        for part in held_out.split(50):
            total += float(prior.bits(part.to(device).long()).double().sum())
    pixels = int(np.prod(test.pixels.shape[1:]))
    per_dim = held_out[0].numel() / pixels
    bits = {
        "uniform": float(np.log2(k)),
        "frequencies": frequency_bits(maps, held_out, k),
        "learned": total / held_out.numel(),
    }
    return {
        "spent": spent(training_run),
        "bits_per_code": {name: float(f"{b:.5g}") for name, b in bits.items()},
        "rate": {name: float(f"{b * per_dim:.5g}") for name, b in bits.items()},
    }


def reconstructions(models: dict[str, PixelModel], shown: Pictures, out: Path) -> None:
    """Two sheets of the models' expected pictures, a row a model: reconstructions.png has the
    pictures themselves above them. FIGURE has not: the data set is not ours to publish."""
    rows = [shown.pixels]
    for model in models.values():
        means = over(model, shown, lambda x, _, m=model: m.reconstruct(x))
        rows.append(to_levels(means.clamp(0, 1)).permute(0, 2, 3, 1).byte().numpy())
    for name, pictures in ((FIGURE, rows[1:]), ("reconstructions.png", rows)):
        larger = np.concatenate(pictures).repeat(2, 1).repeat(2, 2)
        picture_grid(larger, columns=len(shown)).save(out / name)


# Tables


def tables(result: dict[str, Any]) -> str:
    """The bounds, the cost of each model, and the sweeps."""
    return "\n\n".join([_bounds(result), _costs(result), *_sweeps(result)])


def _bounds(result: dict[str, Any]) -> str:
    models, prior = result["models"], result["prior"]
    bounds = {name: model["bounds"] for name, model in models.items()}
    few, k = bounds["vimco"]["many, few"]["pictures"], bounds["vimco"]["many, few"]["samples"]
    every = bounds["vae"]["one"]["pictures"]

    def shown(figure: dict[str, Any] | None) -> str:
        return f"{figure['bits']:.3f} ± {figure['stderr']:.3f}" if figure else "–"

    rows = [["model", "bound", f"{every:,} pictures", f"{few:,} of them", "paper"]]
    for name, what, one in (
        ("vae", "ELBO", "one"),
        ("vae", f"importance-weighted, {k} samples", "many"),
        ("vqvae", "ELBO, uniform prior", "one"),
        ("vimco", f"multi-sample, {k} samples", "many"),
    ):
        paper = name == "vimco" or one == "one"
        cells = [shown(bounds[name].get(key)) for key in (one, f"{one}, few")]
        rows.append([NAMES[name], what, *cells, f"{PAPER_BITS[name]:.2f}" if paper else "–"])
    distortion = bounds["vqvae"]["distortion"]["bits"]
    for key, what in (("frequencies", "the codes' frequencies"), ("learned", "learned prior")):
        bits = f"{distortion + prior['rate'][key]:.3f}"
        rows.insert(-1, [NAMES["vqvae"], f"ELBO, {what}", bits, "–", "–"])
    rates = ", ".join(
        f"{prior['bits_per_code'][key]:.2f} bits a code ({prior['rate'][key]:.3f} a dimension) {by}"
        for key, by in (
            ("uniform", "at the uniform rate"),
            ("frequencies", "by frequency"),
            ("learned", "under the learned prior"),
        )
    )
    return markdown_table(rows) + (
        f"\n\nThe VQ-VAE's bound is {distortion:.3f} for the pixels given the codes, "
        f"and the codes: {rates}."
    )


def _costs(result: dict[str, Any]) -> str:
    rows = [["trained", "steps", "pictures", "minutes", "device"]]
    names = NAMES | {"prior": "the VQ-VAE's prior"}
    for name, part in {**result["models"], "prior": result["prior"]}.items():
        cost = part["spent"]
        counts = [f"{cost['steps']:,}", f"{cost['pictures']:,}", f"{cost['minutes']:.1f}"]
        rows.append([names[name], *counts, f"{cost['device']}, torch {cost['torch']}"])
    c, t = result["recipe"]["model"], result["recipe"]["training"]
    return markdown_table(rows) + (
        f"\n\n{c['hidden']} hidden units, {c['books']} latents a position, K = {c['num_codes']}, "
        f"batch {t['batch']}, Adam {t['learning_rate']:g} falling to 0; VIMCO with "
        f"{result['recipe']['samples']} samples in training."
    )


def _sweeps(result: dict[str, Any]) -> list[str]:
    points = list(result["sweep"].values())
    rows = [["VQ-VAE: books × K", "rate", "bits/dim", "steps"]]
    vae = [["Gaussian VAE: latents", "bits/dim", "steps"]]
    for point in points:
        cells = [f"{point['bits']:.3f} ± {point['stderr']:.3f}", f"{point['spent']['steps']:,}"]
        if "codes" in point:
            rows.append([f"{point['latents']} × {point['codes']}", f"{point['rate']:.3f}", *cells])
        else:
            vae.append([str(point["latents"]), *cells])
    line = (
        f"The sweeps, {points[0]['spent']['minutes']:.1f} minutes for each model, measured on "
        f"{points[0]['pictures']:,} test pictures (ELBO, uniform prior):"
    )
    return [line, markdown_table(rows), markdown_table(vae)]
