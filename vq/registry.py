"""The types of network a checkpoint may hold: their names and configurations."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vq.strict_files import CheckpointError, config_from_json

Kind = Literal["autoencoder", "prior", "second stage"]  # what it is to a checkpoint


@dataclass(frozen=True)
class NetworkType:
    """Where a type of network is, as "package.module:Name": imported when it is first needed."""

    config: str
    module: str
    kind: Kind

    def classes(self) -> tuple[type, type[nn.Module]]:
        """The classes of its configuration and of the network itself."""
        config, module = (
            getattr(importlib.import_module(path), name)
            for path, _, name in (place.partition(":") for place in (self.config, self.module))
        )
        return config, module


_types: dict[str, NetworkType] = {}


def register(name: str, config: str, module: str, kind: Kind) -> None:
    """Let checkpoints hold another type of network.

    name: of the network's class, and the "type" of config.json.
    config: "package.module:Name" of a frozen dataclass, validated at birth (ValueError), whose
    fields are bool, int, float, str or tuples of these.
    module: "package.module:Name" of an nn.Module, built as Module(config), which keeps it as
    `config`.
    """
    _types[name] = NetworkType(config, module, kind)


register("VQVAE", "vq.autoencoder:VQVAEConfig", "vq.autoencoder:VQVAE", "autoencoder")
register(
    "DiffusersVQ",
    "vq.diffusers_vq:DiffusersVQConfig",
    "vq.diffusers_vq:DiffusersVQ",
    "autoencoder",
)
register("PixelCNN", "vq.priors.pixelcnn:PixelCNNConfig", "vq.priors.pixelcnn:PixelCNN", "prior")
register(
    "MaskedPrior", "vq.priors.masked:MaskedPriorConfig", "vq.priors.masked:MaskedPrior", "prior"
)
register("MapVAE", "vq.map_vae:MapVAEConfig", "vq.map_vae:MapVAE", "second stage")


def config_of(module: nn.Module) -> Any:
    """The configuration that a registered network was built from."""
    return module.config


def to_json(module: nn.Module, name: str) -> dict[str, Any]:
    """What config.json says of a network: its type, and each field of its configuration.

    Raises CheckpointError, which calls the network `name`, if it is of no registered type or its
    configuration would not read back as the very same.
    """
    type_name, config = type(module).__name__, config_of(module)
    if type_name not in _types or _types[type_name].classes() != (type(config), type(module)):
        raise CheckpointError(f"{name}: {type_name} is not a registered type of network")
    values = json.loads(json.dumps(asdict(config)))
    if config_from_json(type(config), values, name) != config:
        raise CheckpointError(f"{name}: its configuration cannot be stored as JSON")
    return {"type": type_name, **values}


def from_json(values: dict[str, Any], name: str, kind: Kind) -> tuple[type[nn.Module], Any]:
    """The class of a network and its configuration, from what the file `name` says.

    Raises CheckpointError.
    """
    type_name = values.get("type")
    known = [key for key, type_ in _types.items() if type_.kind == kind]
    if type_name not in known:
        wanted = f"{'an' if kind == 'autoencoder' else 'a'} {kind}"
        raise CheckpointError(
            f"{name}: the type of {wanted} must be one of {', '.join(known)}, "
            f"not {str(type_name)[:40]!r}"
        )
    config_class, module_class = _types[type_name].classes()
    fields = {key: value for key, value in values.items() if key != "type"}
    return module_class, config_from_json(config_class, fields, name)


def build(module_class: type[nn.Module], config: Any, stored: int, name: str) -> nn.Module:
    """Build a network for which `stored` numbers are at hand, its own still random.

    The caller's random state stays as it is. Raises CheckpointError, which blames the file
    `name`, before the network has taken much more memory than these numbers need.
    """
    try:
        with torch.random.fork_rng(devices=[]), _Allowance(2 * stored + 1_000_000):
            return module_class(config)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{name}: {str(error)[:300]}") from None


class _Allowance(TorchFunctionMode):
    """Lets this thread make tensors of so many numbers in all, then raises ValueError.

    Building a network on the meta device would tell its size too, but imports torch's compiler
    for that: 1.2 s and 150 MB, once.
    """

    TENSOR_COST = 64  # so that a million empty ones are no loophole

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _FACTORIES:
            size = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
            self.left -= math.prod(size) + self.TENSOR_COST
            if self.left < 0:
                raise ValueError("asks for a larger network than there are weights for")
        return function(*args, **kwargs)


_FACTORIES = {torch.empty, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros}
