"""The stages of a recipe: the autoencoder first, then each prior on its code maps."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vq.autoencoder import VQVAE
from vq.checkpoints import Checkpoint, Prior, load
from vq.data import DataError, Pictures, join, load_pictures
from vq.generation import sample_pictures
from vq.growth import Kinship, continue_from, grown, kinship
from vq.inpainting import decode, encode
from vq.mazes import maze_frames
from vq.objectives import MaskedPriorObjective, PixelCNNObjective, VQVAEObjective
from vq.pictures import picture_grid
from vq.priors.masked import MaskedPrior
from vq.priors.pixelcnn import PixelCNN
from vq.recipes import MaskedStage, PixelCNNStage, Recipe
from vq.training import Objective, Run, TrainingConfig

KINSHIP_PICTURES = 3000  # that tell how the codes of two books go together


def training_pictures(recipe: Recipe, root: Path) -> Pictures:
    """The recipe's training splits, joined."""
    return join([load_split(recipe, name, root) for name in recipe.data])


def load_split(recipe: Recipe, name: str, root: Path, limit: int | None = None) -> Pictures:
    """Pictures of a split, DATASET/SPLIT, as the recipe wants them: size, names of classes.

    root: folder of the data sets. "mazes" is none: its frames are drawn here and now.
    """
    dataset, split = name.split("/")
    if dataset == "mazes":
        return maze_frames(split, size=recipe.size, limit=limit)
    data = load_pictures(find_dataset(root, dataset), split, size=recipe.size, limit=limit)
    names = tuple(recipe.label_names.get(n, n) for n in data.label_names)
    return dataclasses.replace(data, label_names=names)


def find_dataset(root: Path, name: str) -> Path:
    """A data set below a root: root/name.zip, a zip in the folder root/name, or the folder."""
    folder = root / name
    candidates = [root / f"{name}.zip", *sorted(folder.glob("*.zip")), folder]
    for path in candidates:
        if path.exists():
            return path
    raise DataError(f"no data set {name!r} in {root}: neither a folder nor {name}.zip")


def train_autoencoder(
    recipe: Recipe,
    data: Pictures,
    folder: Path,
    *,
    start: VQVAE | None = None,
    quiet: bool = False,
    device: str | None = None,
) -> VQVAE:
    """Train, or continue to train, the recipe's VQ-VAE; returns it with averaged weights.

    start: what it is at first (see `vq.growth.grown`); None: random.
    """
    stage = recipe.autoencoder
    torch.manual_seed(stage.training.seed)  # the initial weights
    model = VQVAE(stage.model) if start is None else grown(start, stage.model)
    objective = VQVAEObjective(model, data, crop=stage.crop, seed=stage.training.seed)
    _run(objective, stage.training, folder, quiet, device)
    return model


@dataclass(frozen=True)
class CodeMaps:
    """What a prior is trained on: the maps of pictures and of their mirror images."""

    codes: np.ndarray  # (N, h, w) int32
    labels: np.ndarray  # (N,) int64, -1 for none
    label_names: tuple[str, ...]
    num_codes: int

    def shape(self) -> dict[str, Any]:
        """The fields of a prior's configuration that follow from the maps."""
        return {
            "num_codes": self.num_codes,
            "map_size": self.codes.shape[1:],
            "labels": self.label_names,
        }


def training_maps(autoencoder: VQVAE, data: Pictures) -> CodeMaps:
    """Encode every picture twice: the codes of a mirrored picture are not the mirrored codes."""
    mirrored = dataclasses.replace(data, pixels=data.pixels[:, :, ::-1])
    codes = [code_maps(autoencoder, part) for part in (data, mirrored)]
    return CodeMaps(
        np.concatenate(codes),
        np.concatenate([data.labels, data.labels]),
        data.label_names,
        autoencoder.config.num_codes,
    )


def train_prior(
    name: str,
    recipe: Recipe,
    maps: CodeMaps,
    folder: Path,
    *,
    start: Prior | None = None,
    kin: Kinship | None = None,
    quiet: bool = False,
    device: str | None = None,
) -> Prior:
    """Train, or continue to train, the recipe's prior of that name; returns averaged weights.

    start, kin: what it is at first (see `vq.growth.continue_from`); None: random.
    """
    stage = getattr(recipe, name)
    torch.manual_seed(stage.training.seed)  # the initial weights
    kind, objective_of = PRIORS[name]
    model = kind(dataclasses.replace(stage.model, **maps.shape()))
    if start is not None:
        continue_from(start, model, kin)
    _run(objective_of(stage, model, maps), stage.training, folder, quiet, device)
    return model


def _kinship(old: VQVAE, maps: CodeMaps, data: Pictures) -> Kinship | None:
    """How the codes of another autoencoder go together with `maps`, which are those of `data`.

    None where it has as many.
    """
    if old.config.num_codes == maps.num_codes:
        return None
    every = max(1, len(data) // KINSHIP_PICTURES)
    some = dataclasses.replace(data, pixels=data.pixels[::every], labels=data.labels[::every])
    before = torch.from_numpy(code_maps(old, some)).long()
    after = torch.from_numpy(maps.codes[: len(data) : every]).long()  # without mirror images
    return kinship(before, after, old.config.num_codes, maps.num_codes)


def _masked_objective(stage: MaskedStage, model: MaskedPrior, maps: CodeMaps) -> Objective:
    return MaskedPriorObjective(
        model,
        maps.codes,
        maps.labels,
        holes=stage.holes,
        drop_label=stage.drop_label,
        seed=stage.training.seed,
    )


def _pixelcnn_objective(stage: PixelCNNStage, model: PixelCNN, maps: CodeMaps) -> Objective:
    return PixelCNNObjective(
        model, maps.codes, maps.labels, drop_label=stage.drop_label, seed=stage.training.seed
    )


# Stage to the class of its prior, and what makes the objective of one.
PRIORS: dict[str, tuple[type[Prior], Callable[..., Objective]]] = {
    "masked": (MaskedPrior, _masked_objective),
    "pixelcnn": (PixelCNN, _pixelcnn_objective),
}


def _run(
    objective: Objective, config: TrainingConfig, folder: Path, quiet: bool, device: str | None
) -> None:
    """Train to the end of the budget, and leave the averaged weights in the model."""
    run = Run(objective, config, folder, device=device)
    run.train(quiet=quiet)
    run.load_average()


@torch.inference_mode()
def code_maps(autoencoder: VQVAE, data: Pictures, *, batch: int = 64) -> np.ndarray:
    """Codes (N, h, w) int32 of every picture, on the autoencoder's device."""
    autoencoder.eval()
    device = next(autoencoder.parameters()).device
    return np.concatenate(
        [
            autoencoder.encode(data.tensor(slice(i, i + batch)).to(device)).cpu().numpy()
            for i in range(0, len(data), batch)
        ]
    ).astype(np.int32)


def train_recipe(
    recipe: Recipe,
    root: Path,
    runs: Path,
    out: Path,
    stages: Sequence[str] | None = None,
    *,
    start: Checkpoint | None = None,
    quiet: bool = False,
    device: str | None = None,
) -> None:
    """Train the stages named (None: the recipe's), and save the checkpoint `out` after each.

    root: folder of the data sets. runs: folder for states, logs and grids, one sub-folder a
    stage. A checkpoint that is there already gives what is not trained here: its autoencoder
    if only a prior is, its card. start: whose networks those trained here are at first (see
    `vq.growth`); a prior that it does not have starts at random. device: see `vq.training.Run`.
    """
    if stages is None:
        stages = recipe.stages
    data = training_pictures(recipe, root)
    old = load(out) if (out / "autoencoder").exists() else None
    if "autoencoder" in stages:
        model = train_autoencoder(
            recipe,
            data,
            runs / "autoencoder",
            start=start.autoencoder if start else None,
            quiet=quiet,
            device=device,
        )
        # Priors of another autoencoder's codes would be noise on this one's.
        checkpoint = Checkpoint(model, {}, old.card if old else "")
        _finish(checkpoint, out, data, runs / "autoencoder")
    elif old is None:
        raise DataError(f"a prior needs an autoencoder: there is none in {out}")
    else:
        checkpoint = old
    priors = [name for name in PRIORS if name in stages]
    if not priors:
        return
    # As saved, so that the priors learn the very codes that users will get.
    checkpoint = load(out)
    maps = training_maps(checkpoint.autoencoder, data)
    kin = _kinship(start.autoencoder, maps, data) if start and start.priors else None
    for name in priors:
        prior = train_prior(
            name,
            recipe,
            maps,
            runs / name,
            start=start.priors.get(name) if start else None,
            kin=kin,
            quiet=quiet,
            device=device,
        )
        checkpoint = dataclasses.replace(checkpoint, priors={**checkpoint.priors, name: prior})
        _finish(checkpoint, out, data, runs / name, prior=name)


def _finish(
    checkpoint: Checkpoint, out: Path, data: Pictures, folder: Path, *, prior: str | None = None
) -> None:
    """Save, and draw what was learned: reconstructions, and samples of a prior."""
    if int(os.environ.get("RANK", "0")):
        return
    checkpoint.save(out)
    checkpoint = load(out)
    shown = data.pixels[np.linspace(0, len(data) - 1, 8).astype(int)]
    rebuilt = np.concatenate(
        [decode(checkpoint.autoencoder, encode(checkpoint.autoencoder, p)[None]) for p in shown]
    )
    picture_grid(np.concatenate([shown, rebuilt]), columns=8).save(folder / "reconstructions.png")
    if prior is not None:
        samples = sample_pictures(checkpoint, prior, range(16))
        picture_grid(samples).save(folder / "samples.png")
