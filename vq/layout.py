"""The files that a checkpoint's folder, or a repo on the Hub, may hold: their names and limits.

Two layouts can be loaded. Ours has one sub-folder for each network:

    README.md                                   model card
    autoencoder/config.json                     {"type": "VQVAE", ...}
    autoencoder/model.safetensors               or shards and model.safetensors.index.json
    masked/...                                  a prior, and so on
    map_vae/...                                 a second stage, if any

And that of a `VQModel` of the diffusers library, by itself or as a part of a pipeline:

    README.md
    config.json                                 {"_class_name": "VQModel", ...}
    diffusion_pytorch_model.safetensors         or .fp16.safetensors

In a pipeline's repo the last two are in the folder vqvae/ or movq/.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

DEFAULT_CHECKPOINT = Path(__file__).resolve().parent.parent / "checkpoints" / "scenes-128"

CARD = "README.md"
CONFIG = "config.json"
AUTOENCODER = "autoencoder"
MAP_VAE = "map_vae"
MODULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-([0-9]{5})-of-([0-9]{5})\.safetensors")

DIFFUSERS_FOLDERS = ("", "vqvae/", "movq/")
DIFFUSERS_WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
)

MAX_MODULES = 16  # networks of a checkpoint
MAX_FILES = 256
MAX_BYTES = 2**29  # of all weights, as stored
MAX_CARD_BYTES = 1_000_000
MAX_CONFIG_BYTES = 65_536
MAX_HEADER_BYTES = 1_000_000  # of a safetensors file's header, and of an index

_FIXED = "|".join(map(re.escape, (CONFIG, SINGLE, INDEX)))
_OURS = re.compile(rf"{MODULE_NAME.pattern}/(?:{_FIXED}|{SHARD.pattern})")


def diffusers_folder(names: Collection[str]) -> str | None:
    """Where among these files a diffusers model is, as a prefix; None if there is none."""
    for folder in DIFFUSERS_FOLDERS:
        if folder + CONFIG in names and any(folder + name in names for name in DIFFUSERS_WEIGHTS):
            return folder
    return None


def checkpoint_files(sizes: Mapping[str, int]) -> list[str]:
    """Those files of a repo that make up a checkpoint, small ones first; [] if it holds none.

    sizes: bytes by path. Of a diffusers model's weights in two precisions, the full one is taken
    if its size is allowed.
    """
    if f"{AUTOENCODER}/{CONFIG}" in sizes:
        chosen = [name for name in sizes if _OURS.fullmatch(name)]
    elif (folder := diffusers_folder(sizes)) is not None:
        stored = [folder + name for name in DIFFUSERS_WEIGHTS if folder + name in sizes]
        fitting = [name for name in stored if sizes[name] <= MAX_BYTES]
        chosen = [folder + CONFIG, (fitting or stored)[0]]
    else:
        return []
    if CARD in sizes:
        chosen.append(CARD)
    return sorted(chosen, key=lambda name: (sizes[name], name))


def size_limit(name: str) -> int:
    """The most bytes that a file of `checkpoint_files` may have."""
    if name == CARD:
        return MAX_CARD_BYTES
    if name.endswith(CONFIG):
        return MAX_CONFIG_BYTES
    return MAX_HEADER_BYTES if name.endswith(INDEX) else MAX_BYTES
