"""Vector-quantized autoencoders: see, edit and regenerate pictures through a code book.

    import vq

    checkpoint = vq.load("checkpoints/scenes-128")
    pictures = vq.inpaint(checkpoint, picture, mask, seed=0)

Names are loaded when they are first used, so that reading pictures needs no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vq.autoencoder import VQVAE, VQVAEConfig
    from vq.checkpoints import DEFAULT_CHECKPOINT, Checkpoint, CheckpointError
    from vq.code_search import search_codes
    from vq.hub import load
    from vq.inpainting import inpaint
    from vq.pictures import PictureError, read_picture
    from vq.priors.masked import MaskedPrior, MaskedPriorConfig
    from vq.resampling import resample, resampling_steps

__version__ = "0.1.0"

_HOMES = {
    "VQVAE": "vq.autoencoder",
    "VQVAEConfig": "vq.autoencoder",
    "DEFAULT_CHECKPOINT": "vq.checkpoints",
    "Checkpoint": "vq.checkpoints",
    "CheckpointError": "vq.checkpoints",
    "search_codes": "vq.code_search",
    "load": "vq.hub",
    "inpaint": "vq.inpainting",
    "PictureError": "vq.pictures",
    "read_picture": "vq.pictures",
    "MaskedPrior": "vq.priors.masked",
    "MaskedPriorConfig": "vq.priors.masked",
    "resample": "vq.resampling",
    "resampling_steps": "vq.resampling",
}

__all__ = [
    "DEFAULT_CHECKPOINT",
    "VQVAE",
    "Checkpoint",
    "CheckpointError",
    "MaskedPrior",
    "MaskedPriorConfig",
    "PictureError",
    "VQVAEConfig",
    "inpaint",
    "load",
    "read_picture",
    "resample",
    "resampling_steps",
    "search_codes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
