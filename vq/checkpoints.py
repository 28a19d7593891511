"""A folder <-> models.

    README.md                        model card
    autoencoder/config.json          {"type": "VQVAE", "hidden": 128, ...}
    autoencoder/model.safetensors    or shards and model.safetensors.index.json
    masked/...                       a prior; its folder's name is the name it is chosen by
    map_vae/...                      a second stage over the maps, if any (`vq.map_vae`)

A folder with a `VQModel` of the diffusers library can be loaded as well (`vq.diffusers_vq`).

A folder may come from a stranger. Nothing in it is unpickled or run, everything read is bounded,
and whatever is not exactly as a save would have made it is refused with a `CheckpointError` that
names the file, the cause and the limit. Other files beside (pictures of the card, say) are left
alone. Saving replaces the folder as a whole: see `Checkpoint.save`.
"""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import nn

from vq.atomic import replacing_folder, whole_folder, write_file, write_json
from vq.front_matter import front_matter
from vq.layout import (
    AUTOENCODER,
    CARD,
    CONFIG,
    DEFAULT_CHECKPOINT,
    DIFFUSERS_FOLDERS,
    DIFFUSERS_WEIGHTS,
    MAP_VAE,
    MAX_BYTES,
    MAX_CARD_BYTES,
    MAX_CONFIG_BYTES,
    MAX_MODULES,
    MODULE_NAME,
    diffusers_folder,
)
from vq.registry import Kind, build, config_of, from_json, register, to_json
from vq.strict_files import CheckpointError, read_file, read_json
from vq.weights import StoredTensor, check_weights, find_weights, read_weights, write_weights

if TYPE_CHECKING:
    from vq.autoencoder import VQVAE
    from vq.map_vae import MapVAE

# An nn.Module that has a configuration, and the methods of a prior (`vq.priors`): Python's types
# cannot say both.
Prior: TypeAlias = Any

__all__ = ["DEFAULT_CHECKPOINT", "Checkpoint", "CheckpointError", "describe", "load", "register"]

_KINDS: dict[str, Kind] = {AUTOENCODER: "autoencoder", MAP_VAE: "second stage"}  # else a prior
READ_ATTEMPTS = 10  # of a checkpoint that is being saved over


@dataclass(frozen=True)
class Checkpoint:
    """An autoencoder, the priors over its codes, and a second stage, if any.

    Raises CheckpointError at birth if one of them has another number of codes, a prior an odd
    name, or the second stage latents that are no codes.
    """

    autoencoder: VQVAE
    priors: dict[str, Prior] = field(default_factory=dict)
    card: str = ""  # README.md: Markdown, with YAML front matter as on the Hugging Face Hub
    map_vae: MapVAE | None = None  # the map in a few codes of its own

    def __post_init__(self) -> None:
        for name in self.priors:
            if not MODULE_NAME.fullmatch(name) or name in (AUTOENCODER, MAP_VAE):
                raise CheckpointError(
                    f"a prior's name is up to 32 of a-z, 0-9 and _, not {name!r:.40}"
                )
        _check_fit({name: config_of(module) for name, module in self.modules().items()})

    @property
    def num_codes(self) -> int:
        """K, the number of codes in the code book."""
        return self.autoencoder.config.num_codes

    @property
    def stride(self) -> int:
        """Pixels of a side for each code of a side."""
        return self.autoencoder.stride

    @property
    def labels(self) -> tuple[str, ...]:
        """Every class name that some prior knows, in the priors' order."""
        return tuple(dict.fromkeys(name for p in self.priors.values() for name in p.config.labels))

    def prior(self, name: str | None = None) -> Prior:
        """The prior of that name, or the first. Raises ValueError, with the names, if none is."""
        if name is None and self.priors:
            return next(iter(self.priors.values()))
        if name is None or name not in self.priors:
            names = ", ".join(self.priors) or "none"
            wanted = "prior" if name is None else f"prior {name!r}"
            raise ValueError(f"no {wanted}; this checkpoint has: {names}")
        return self.priors[name]

    def modules(self) -> dict[str, nn.Module]:
        """Folder name to network, the autoencoder first."""
        second = {} if self.map_vae is None else {MAP_VAE: self.map_vae}
        return {AUTOENCODER: self.autoencoder, **self.priors, **second}

    def save(self, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.float16) -> None:
        """Save into a folder, in place of the checkpoint that may be there.

        A new folder is written beside it, flushed to the disk, and takes its place in one step
        (see `vq.atomic`): whenever the process is killed, `load` finds the old or the new
        checkpoint, whole. What else lies in the old folder is carried over.

        dtype: of the floats in the files: float16, bfloat16 or float32.
        Raises CheckpointError, the old folder untouched, if a weight is not finite in `dtype`,
        a network is of no registered type, or the folder holds something else.
        """
        target = Path(path).resolve()
        if target.exists() and not _may_be_replaced(target):
            raise CheckpointError(f"{target} is neither a checkpoint nor an empty folder")
        configs = {name: to_json(module, name) for name, module in self.modules().items()}
        with replacing_folder(target) as folder:
            _carry_over(whole_folder(target), folder)
            for name, module in self.modules().items():
                (folder / name).mkdir()
                write_json(folder / name / CONFIG, configs[name])
                write_weights(folder / name, module.state_dict(), dtype, name)
            write_file(folder / CARD, self.card.encode())


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Checkpoint:
    """Load a checkpoint's folder, its networks in float32 and in evaluation mode.

    Raises CheckpointError if it is not a checkpoint, or not a sound one.
    """
    asked = Path(path).resolve()
    for _ in range(READ_ATTEMPTS):
        root = whole_folder(asked)
        before = _identity(root)
        if before is None:
            continue  # or it has just been taken away, for the new one to take its place
        try:
            checkpoint = _load(root, device)
        except (CheckpointError, OSError) as error:
            if _identity(root) == before:
                if isinstance(error, OSError):
                    raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
                raise
        else:
            if _identity(root) == before:
                return checkpoint
        # A training run saved over it meanwhile: what was read may be of two checkpoints.
    if before is None:
        raise CheckpointError(f"there is no checkpoint folder {path}")
    raise CheckpointError(f"{path}: was replaced each time it was read; try again")


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a checkpoint's folder holds, fit for JSON. Raises CheckpointError as `load` does.

    Keys: num_codes, stride, labels; modules: folder name to type, parameters (numbers stored),
    bytes (of its files) and config; card: the front matter of README.md.
    """
    checkpoint = load(path)
    root = whole_folder(Path(path).resolve())
    return {
        "num_codes": checkpoint.num_codes,
        "stride": checkpoint.stride,
        "labels": list(checkpoint.labels),
        "modules": {
            name: {
                "type": type(module).__name__,
                "parameters": sum(tensor.numel() for tensor in module.state_dict().values()),
                "bytes": sum(file.stat().st_size for file in _files(root, name)),
                "config": asdict(config_of(module)),
            }
            for name, module in checkpoint.modules().items()
        },
        "card": front_matter(checkpoint.card),
    }


def read_configs(root: Path) -> dict[str, tuple[type[nn.Module], Any]]:
    """The class and the configuration of each network of a checkpoint's folder, by its name.

    Reads no weights, which need not be there yet. Raises CheckpointError.
    """
    if (folder := _diffusers_folder(root)) is not None:
        from vq.diffusers_vq import DiffusersVQ, read_config

        return {AUTOENCODER: (DiffusersVQ, read_config(root, folder))}
    names = _module_folders(root)
    if AUTOENCODER not in names:
        raise CheckpointError(f"{AUTOENCODER}/{CONFIG}: this file is missing")
    if len(names) > MAX_MODULES:
        raise CheckpointError(f"{len(names)} networks; at most {MAX_MODULES} are allowed")
    configs = {}
    for name in names:
        file = f"{name}/{CONFIG}"
        values = read_json(read_file(root, file, MAX_CONFIG_BYTES), file)
        configs[name] = from_json(values, file, _KINDS.get(name, "prior"))
    _check_fit({name: config for name, (_, config) in configs.items()})
    return configs


def _check_fit(configs: dict[str, Any]) -> None:
    """Refuse what was not made for this autoencoder's maps. configs: by the network's name."""
    expected = configs[AUTOENCODER].num_codes
    for name, config in configs.items():
        if config.num_codes != expected:
            what = _KINDS.get(name, "prior")
            raise CheckpointError(
                f"{name}: this {what} knows {config.num_codes} codes, the autoencoder {expected}"
            )
    if MAP_VAE in configs and configs[MAP_VAE].gaussian:
        raise CheckpointError(f"{MAP_VAE}: its latents are Gaussian; a checkpoint's are codes")


def _load(root: Path, device: str | torch.device) -> Checkpoint:
    configs = read_configs(root)
    stored = {name: _find_weights(root, name) for name in configs}
    total = sum(tensor.length for tensors in stored.values() for tensor in tensors.values())
    if total > MAX_BYTES:
        raise CheckpointError(f"{total:,} bytes of weights; at most {MAX_BYTES:,} are allowed")
    modules = {}
    for name, (module_class, config) in configs.items():
        numbers = sum(math.prod(tensor.shape) for tensor in stored[name].values())
        module = build(module_class, config, numbers, f"{name}/{CONFIG}")
        check_weights(stored[name], module.state_dict(), name)
        module.load_state_dict(read_weights(root, stored[name]))
        modules[name] = module.to(device).eval()
    card = ""
    if (root / CARD).exists():
        try:
            card = read_file(root, CARD, MAX_CARD_BYTES).decode()
        except UnicodeDecodeError:
            raise CheckpointError(f"{CARD}: must be UTF-8") from None
    autoencoder: Any = modules.pop(AUTOENCODER)
    map_vae: Any = modules.pop(MAP_VAE, None)
    return Checkpoint(autoencoder, modules, card, map_vae)


def _diffusers_folder(root: Path) -> str | None:
    """Where a folder that is not in our layout has a diffusers model, as a prefix."""
    if (root / AUTOENCODER).exists():
        return None
    names = {
        folder + name
        for folder in DIFFUSERS_FOLDERS
        for name in (CONFIG, *DIFFUSERS_WEIGHTS)
        if (root / folder / name).exists()
    }
    whole = diffusers_folder(names)
    if whole is not None:
        return whole
    return next((folder for folder in DIFFUSERS_FOLDERS if folder + CONFIG in names), None)


def _find_weights(root: Path, name: str) -> dict[str, StoredTensor]:
    if (folder := _diffusers_folder(root)) is not None:
        from vq.diffusers_vq import find_tensors

        return find_tensors(root, folder)
    return find_weights(root, name)


def _files(root: Path, name: str) -> list[Path]:
    """The files of a network."""
    if (folder := _diffusers_folder(root)) is not None:
        tensors = _find_weights(root, name)
        return [root / folder / CONFIG, *{root / tensor.file for tensor in tensors.values()}]
    return [file for file in (root / name).iterdir() if file.is_file()]


def _module_folders(root: Path) -> list[str]:
    """Sub-folders that hold, or should hold, a network; hidden and unrelated ones are not."""
    return sorted(
        entry.name
        for entry in root.iterdir()
        if entry.is_dir()
        and not entry.name.startswith(".")
        and ((entry / CONFIG).exists() or any(entry.glob("model*.safetensors*")))
    )


def _may_be_replaced(folder: Path) -> bool:
    return folder.is_dir() and ((folder / AUTOENCODER).is_dir() or not any(folder.iterdir()))


def _carry_over(old: Path, new: Path) -> None:
    """Copy what a checkpoint's folder holds besides the checkpoint: pictures, figures, .git."""
    if not old.is_dir():
        return
    replaced = {CARD, *_module_folders(old)}
    shutil.copytree(
        old,
        new,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda folder, _: replaced if Path(folder) == old else set(),
        copy_function=lambda source, target: write_file(Path(target), Path(source).read_bytes()),
    )


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """What tells one folder from another that has taken its name; None if there is no folder.

    Its number alone would not do: a file system gives that of a deleted folder to a new one.
    """
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns) if folder.is_dir() else None
