"""Networks of a few numbers for the tests of checkpoints. Their configurations bound nothing,
so that what the checkpoint reader bounds by itself can be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vq.checkpoints import Checkpoint, register
from vq.map_vae import MapVAE, MapVAEConfig


@dataclass(frozen=True)
class TinyAutoencoderConfig:
    num_codes: int = 8
    widths: tuple[int, ...] = (3, 5)
    scale: float = 0.5
    note: str = "a"
    wide: bool = False

    def __post_init__(self) -> None:
        if self.num_codes < 2:
            raise ValueError(f"num_codes must be at least 2, not {self.num_codes}")

    @property
    def stride(self) -> int:
        return 4


class TinyAutoencoder(nn.Module):
    """With a buffer of integers, one that is not saved, and one of floats."""

    stride = 4

    def __init__(self, config: TinyAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        sizes = zip(config.widths, config.widths[1:], strict=False)
        self.layers = nn.Sequential(*(nn.Linear(a, b) for a, b in sizes))
        self.register_buffer("codebook", torch.randn(config.num_codes, config.widths[-1]))
        self.register_buffer("uses", torch.zeros(config.num_codes, dtype=torch.int64))
        self.register_buffer("table", torch.full((3,), config.scale), persistent=False)


@dataclass(frozen=True)
class TinyPriorConfig:
    num_codes: int = 8
    map_size: tuple[int, int] = (2, 3)
    labels: tuple[str, ...] = ("cat", "개")


class TinyPrior(nn.Module):
    def __init__(self, config: TinyPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.num_codes, 4)


HERE = "tests.tiny_networks"
register(
    "TinyAutoencoder", f"{HERE}:TinyAutoencoderConfig", f"{HERE}:TinyAutoencoder", "autoencoder"
)
register("TinyPrior", f"{HERE}:TinyPriorConfig", f"{HERE}:TinyPrior", "prior")


def tiny_checkpoint(card: str = "# Tiny\n", seed: int = 0, **fields: Any) -> Checkpoint:
    """A checkpoint of two networks with weights drawn from the seed; fields: the autoencoder's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        autoencoder: Any = TinyAutoencoder(TinyAutoencoderConfig(**fields))
        autoencoder.uses += torch.randint(2**40, autoencoder.uses.shape)
        return Checkpoint(autoencoder, {"masked": TinyPrior(TinyPriorConfig())}, card)


def tiny_map_vae(**fields: Any) -> MapVAE:
    """A second stage over the maps of `tiny_checkpoint`; fields: of its configuration."""
    config = MapVAEConfig(
        num_codes=8, map_size=(2, 3), latent_codes=8, latent_dim=4, channels=8, layers=2
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MapVAE(replace(config, **fields)).eval()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
