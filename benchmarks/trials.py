"""What would make the shipped autoencoder better? Trials of equal steps, each of one change."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint, load
from vq.data import Pictures
from vq.evaluation import evaluate, ssim
from vq.growth import grown
from vq.objectives import VQVAEObjective
from vq.pictures import picture_grid
from vq.recipes import get_recipe
from vq.stages import load_split, training_pictures
from vq.training import Run, TrainingConfig

PICTURES = 500  # of each held-out split
SHOWN = 8


class Similarity(VQVAEObjective):
    """Besides the squared error, a tenth of 1 - SSIM."""

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        pictures = batch[0].float() / 255
        reconstruction = self.model(pictures).reconstruction
        error = F.mse_loss(reconstruction, pictures)
        with torch.autocast(pictures.device.type, enabled=False):
            unlike = 1 - ssim(reconstruction, pictures).mean()
        return {"loss": error / self.variance + 0.1 * unlike, "mse": error.detach()}


class Adversarial(VQVAEObjective):
    """Besides the squared error, a critic of patches, at half the gradient (arXiv 2012.09841).

    The critic learns from the same batches by the hinge loss.
    """

    def __init__(self, model: VQVAE, data: Pictures, *, crop: int, seed: int) -> None:
        super().__init__(model, data, crop=crop, seed=seed)
        widths = (3, 48, 96, 192)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.critic = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=4e-4, betas=(0.5, 0.9))

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        pictures = batch[0].float() / 255
        made = self.model(pictures).reconstruction
        real, fake = self.critic(pictures - 0.5), self.critic(made.detach() - 0.5)
        judged = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        self.optimizer.zero_grad()
        judged.backward()
        self.optimizer.step()
        error = F.mse_loss(made, pictures) / self.variance
        doubt = -self.critic(made - 0.5).float().mean()
        sizes = [torch.autograd.grad(x, made, retain_graph=True)[0].norm() for x in (error, doubt)]
        loss = error + 0.5 * sizes[0] / sizes[1] * doubt
        return {"loss": loss, "mse": error.detach() * self.variance, "critic": judged.detach()}


@dataclass(frozen=True)
class Trial:
    """changes: of the configuration. scratch: not from the shipped weights."""

    changes: dict[str, Any] = field(default_factory=dict)
    objective: Callable[..., VQVAEObjective] = VQVAEObjective
    crop: int = 64
    decoder_only: bool = False  # the codes stay what they are
    scratch: bool = False
    longer: int = 1  # times the steps


SMALL = {"hidden": 64, "residual_hidden": 32, "beta": 1.0}  # of the networks from scratch
TRIALS = {
    "trained on": Trial(),
    "256 units for 128": Trial({"hidden": 256, "residual_hidden": 256}),
    "4 + 8 residual blocks for 2 + 4": Trial({"encoder_blocks": 4, "decoder_blocks": 8}),
    "whole pictures, not crops": Trial(crop=128),
    "beta 1": Trial({"beta": 1.0}),
    "restarts below 0.2 of the mean": Trial({"restart_below": 0.2}),
    "decoder only, 8 blocks": Trial({"decoder_blocks": 8}, decoder_only=True),
    "decoder only, with SSIM": Trial(objective=Similarity, decoder_only=True),
    "decoder only, with a critic": Trial(objective=Adversarial, decoder_only=True, longer=2),
    "small, from scratch": Trial(SMALL, scratch=True),
    "small, 6 + 6 blocks": Trial(SMALL | {"encoder_blocks": 6, "decoder_blocks": 6}, scratch=True),
    "small, codes of 16 numbers": Trial(SMALL | {"code_dim": 16}, scratch=True),
}


def measure(
    checkpoint_path: Path, data_root: Path, steps: int, only: list[str] | None, sheet: Path | None
) -> dict[str, Any]:
    """For each trial: PSNR, SSIM and perplexity on 500 pictures of each held-out split, minutes.

    Trials from the shipped weights take `steps` steps of as many pixels as 32 crops have, those
    from scratch 2,000 of 16 crops. sheet: a folder for reconstructions of each.
    """
    recipe = get_recipe("scenes-128")
    data = training_pictures(recipe, data_root)
    held_out = {name: load_split(recipe, name, data_root, PICTURES) for name in recipe.held_out}
    shipped = load(checkpoint_path).autoencoder
    results = {"as shipped": _figures(shipped, held_out)}
    for name, trial in TRIALS.items():
        if only and name not in only:
            continue
        torch.manual_seed(0)
        model = (
            VQVAE(VQVAEConfig(**trial.changes))
            if trial.scratch
            else grown(shipped, dataclasses.replace(shipped.config, **trial.changes))
        )
        if trial.decoder_only:
            for parameter in model.encoder.parameters():
                parameter.requires_grad_(False)
            model.quantizer.requires_grad_(False).decay = 1.0
            model.quantizer.restart_below = 0.0
        training = TrainingConfig(
            steps=2_000 if trial.scratch else steps * trial.longer,
            batch=16 if trial.scratch else 32 * 64**2 // trial.crop**2,
            learning_rate=1e-3 if trial.scratch else 4e-4,
            average=0.995,
        )
        objective = trial.objective(model, data, crop=trial.crop, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(objective, training, Path(folder))
            run.train(quiet=True)
            figures: dict[str, Any] = {"steps": run.step, "minutes": run.elapsed / 60}
            if name == "trained on":
                results["trained on, last weights"] = _figures(model.eval(), held_out)
            run.load_average()
        results[name] = figures | _figures(model, held_out)
        if sheet:
            _draw(model, held_out, sheet / f"{name}.png")
        print(name, results[name], flush=True)
    return results


def _figures(model: VQVAE, held_out: dict[str, Pictures]) -> dict[str, Any]:
    figures = {}
    for name, pictures in held_out.items():
        of = evaluate(Checkpoint(model), pictures)
        figures[name] = {key: of[key] for key in ("psnr_db", "ssim", "perplexity")}
    return figures


def _draw(model: VQVAE, held_out: dict[str, Pictures], path: Path) -> None:
    rows = []
    for pictures in held_out.values():
        shown = pictures.tensor(slice(0, SHOWN))
        rows += [shown, model.decode(model.encode(shown))]
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = torch.cat(rows).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    picture_grid(pixels, columns=SHOWN).save(path)
