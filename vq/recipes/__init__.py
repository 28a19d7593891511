"""Recipes: all that is needed to make a published checkpoint again, one file each."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vq.autoencoder import VQVAEConfig
from vq.priors.masked import MaskedPriorConfig
from vq.priors.pixelcnn import PixelCNNConfig
from vq.training import TrainingConfig

STAGES = ("autoencoder", "masked", "pixelcnn")


@dataclass(frozen=True)
class AutoencoderStage:
    model: VQVAEConfig
    training: TrainingConfig
    crop: int = 64  # side of the random crops, pixels


@dataclass(frozen=True)
class MaskedStage:
    model: MaskedPriorConfig  # num_codes, map_size and labels follow the autoencoder and data
    training: TrainingConfig
    holes: float = 0.25  # share of maps that hide codes in a rectangle only
    drop_label: float = 0.1  # share of maps trained without their class


@dataclass(frozen=True)
class PixelCNNStage:
    model: PixelCNNConfig  # num_codes, map_size and labels follow the autoencoder and data
    training: TrainingConfig
    drop_label: float = 0.1  # share of maps trained without their class


@dataclass(frozen=True)
class Recipe:
    """`data` names the training pictures as DATASET/SPLIT below a root folder of data sets."""

    name: str
    data: tuple[str, ...]
    autoencoder: AutoencoderStage
    masked: MaskedStage
    pixelcnn: PixelCNNStage
    stages: tuple[str, ...] = STAGES  # those trained when none is asked for
    held_out: tuple[str, ...] = ()  # splits never trained on, which the card's figures are of
    license: str = "other"
    size: int = 128  # side of the pictures, pixels
    label_names: dict[str, str] = field(default_factory=dict)  # folder name -> class name

    def override(self, settings: Mapping[str, str]) -> Recipe:
        """A copy with fields changed, as in override({"masked.training.batch": "64"}).

        Raises ValueError if there is no such field, or it cannot hold the value.
        """
        return _replace(self, settings)


def _replace(config: Any, settings: Mapping[str, str], prefix: str = "") -> Any:
    """Change a dataclass and those inside it, each once, so that no order of settings matters."""
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, str]] = {}
    for path, value in settings.items():
        name, _, rest = path.partition(".")
        if name not in getattr(config, "__dataclass_fields__", {}):
            raise ValueError(f"the recipe has no field {prefix + path!r}")
        if rest:
            inner.setdefault(name, {})[rest] = value
        else:
            changes[name] = _parse(getattr(config, name), value, prefix + path)
    for name, part in inner.items():
        changes[name] = _replace(getattr(config, name), part, f"{prefix}{name}.")
    return dataclasses.replace(config, **changes)


def _parse(old: Any, value: str, path: str) -> bool | int | float:
    if isinstance(old, bool):
        if value.lower() not in {"true", "false"}:
            raise ValueError(f"{path} must be true or false, not {value!r}")
        return value.lower() == "true"
    if isinstance(old, int | float):
        try:
            return type(old)(value)
        except ValueError:
            raise ValueError(f"{path} must be a number, not {value!r}") from None
    raise ValueError(f"{path} is a group of fields or a list: name a single one")


def recipe_names() -> list[str]:
    """Names of all recipes."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__))


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ValueError, listing the names, if there is none."""
    if name not in recipe_names():
        raise ValueError(f"no recipe {name!r}; there are: {', '.join(recipe_names())}")
    return importlib.import_module(f"vq.recipes.{name.replace('-', '_')}").RECIPE
