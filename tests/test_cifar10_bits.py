"""The experiment cifar10-bits at toy size: run, measured, resumed, shown."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.test_cifar import write_sheets
from vq.autoencoder import VQVAEConfig
from vq.baselines import VIMCO, SoftmaxVQVAE, load_model
from vq.cifar import load_cifar10
from vq.evaluation import frequency_bits
from vq.experiments import Task, cifar10_bits
from vq.experiments.cifar10_bits import PAPER, SMALL, recipe_for
from vq.objectives import BitsObjective
from vq.priors.books import BooksPriorConfig
from vq.training import Run, TrainingConfig

MODEL = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=8, code_dim=2, books=2)
TRAINING = TrainingConfig(steps=3, batch=2)
TOY = dataclasses.replace(
    SMALL,
    model=MODEL,
    training=TRAINING,
    prior=BooksPriorConfig(layers=2, channels=4, head=4),
    prior_training=TRAINING,
    sweep_training=TRAINING,
    samples=2,
    measured_samples=3,
    measured_pictures=4,
    sweep_pictures=5,
    num_codes=(4,),
    books=(1,),
    vae_latents=(1,),
)


def test_it_trains_measures_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sheets(tmp_path / "cifar10")
    monkeypatch.setattr(cifar10_bits, "PAPER", TOY)
    task = Task(data=tmp_path, out=tmp_path / "out", device="cpu", quiet=True)
    result = cifar10_bits.run(task)
    json.dumps(result, allow_nan=False)
    assert set(result["sweep"]) == {"vqvae-2x4", "vqvae-1x8", "vae-1"}
    every = [*result["models"].values(), *result["sweep"].values(), result["prior"]]
    assert {part["spent"]["steps"] for part in every} == {3}

    # The bound of the VQ-VAE is its two parts: 16 sub-pixels to each code of 2 x 64.
    bounds, rate = result["models"]["vqvae"]["bounds"], result["prior"]["rate"]
    assert rate["uniform"] == pytest.approx(2 * 64 * 3 / 3072)
    assert bounds["one"]["bits"] == pytest.approx(
        bounds["distortion"]["bits"] + rate["uniform"], abs=2e-3
    )
    assert bounds["one"]["pictures"] == 6 and bounds["one, few"]["pictures"] == 4
    vimco = result["models"]["vimco"]["bounds"]
    assert set(vimco) == {"many, few"} and vimco["many, few"]["samples"] == 3
    assert result["sweep"]["vqvae-2x4"]["rate"] == pytest.approx(2 * 64 * 2 / 3072, rel=1e-3)
    # A row a model; the test pictures themselves are only on the sheet that is not recorded.
    published = np.asarray(Image.open(task.out / result["figures"][0]))
    whole = np.asarray(Image.open(task.out / "reconstructions.png"))
    assert np.array_equal(published, whole[-len(published) :]) and len(whole) > len(published)
    # The models are those that were measured.
    vqvae = load_model(task.out / "models" / "vqvae.safetensors")
    test = load_cifar10(tmp_path, "test")
    again = cifar10_bits.over(vqvae, test, vqvae.bound).mean()
    assert bounds["one"]["bits"] == pytest.approx(float(again), abs=1e-3)

    text = cifar10_bits.tables(result)
    distortion = bounds["distortion"]["bits"]
    assert f"| {distortion + rate['learned']:.3f} |" in text
    assert f"{bounds['one']['bits']:.3f}" in text and "| 4.67 |" in text

    # The same command again trains and measures nothing anew.
    logs = sorted(task.out.glob("runs/*/*"))
    before = [p.stat().st_mtime_ns for p in logs]
    assert cifar10_bits.run(task) == result
    assert [p.stat().st_mtime_ns for p in logs] == before


def test_minutes_are_shared_out() -> None:
    task = Task(data=Path(), out=Path(), minutes=60.0, device="cpu")
    recipe = recipe_for(task)
    points = len(cifar10_bits.sweep(recipe))
    assert recipe.model == SMALL.model and recipe.samples == SMALL.samples
    total = 3 * recipe.training.minutes + recipe.prior_training.minutes
    assert total + points * recipe.sweep_training.minutes == pytest.approx(60)
    assert not recipe.training.steps
    assert recipe_for(dataclasses.replace(task, minutes=None)) == PAPER


def test_the_papers_recipe() -> None:
    c, t = PAPER.model, PAPER.training
    assert (c.hidden, c.books, c.encoder_blocks, c.decoder_blocks, c.stride) == (256, 10, 2, 2, 4)
    assert (t.steps, t.batch, t.learning_rate) == (250_000, 128, 2e-4)
    assert PAPER.samples == 50 and PAPER.measured_pictures == 10_000


@pytest.mark.parametrize("kind", [SoftmaxVQVAE, VIMCO])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    kind: type[SoftmaxVQVAE] | type[VIMCO], tmp_path: Path
) -> None:
    """Noise is drawn by step: two steps and two more are four."""
    write_sheets(tmp_path / "cifar10")
    data = load_cifar10(tmp_path, "train")

    def train(folder: str, steps: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = kind(MODEL)
        model.samples = min(model.samples, 2)
        objective = BitsObjective(model, data, 0)
        # By the learning rate's schedule four steps are the budget in both.
        run = Run(objective, TrainingConfig(steps=4, batch=2), tmp_path / folder, device="cpu")

        class Stop(Exception):
            pass

        def stop(run: Run) -> None:
            if run.step == steps:
                raise Stop

        with contextlib.suppress(Stop):
            run.train(quiet=True, callback=stop)
        return dict(run.model.state_dict())

    whole = train("whole", 4)
    train("parts", 2)
    parts = train("parts", 4)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_frequencies_are_counted_by_book() -> None:
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(
        np.stack([rng.choice(4, 1000, p=p) for p in ([0.7, 0.1, 0.1, 0.1], [0.25] * 4)], -1)
    ).view(10, 10, 10, 2)
    expected = 0.0
    for book in range(2):
        codes = maps[..., book].flatten().tolist()
        p = [(codes.count(k) + 1) / 1004 for k in range(4)]
        expected -= sum(np.log2(p[k]) for k in codes) / 2000
    assert frequency_bits(maps, maps, 4) == pytest.approx(expected)
