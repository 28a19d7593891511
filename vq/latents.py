"""A picture in a few codes: the second stage of a checkpoint (`vq.map_vae`) put to use.

Its encoder names a whole code map in a handful of latents, its decoder draws maps given them. What
the latents say is the same in all maps drawn from them; the rest each seed makes up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from vq.checkpoints import Checkpoint
from vq.map_vae import MapVAE
from vq.resampling import resampling_steps

LANCZOS = Image.Resampling.LANCZOS


def fitted(checkpoint: Checkpoint, picture: Image.Image) -> np.ndarray:
    """The middle of a picture, scaled to the size (H, W, 3) uint8 whose map the second stage knows.

    Raises ValueError if the checkpoint has no second stage.
    """
    height, width = (n * checkpoint.stride for n in second_stage(checkpoint).config.map_size)
    return np.asarray(ImageOps.fit(picture.convert("RGB"), (width, height), LANCZOS))


@torch.inference_mode()
def encode(checkpoint: Checkpoint, codes: np.ndarray) -> tuple[int, ...]:
    """The latent codes of a code map (h, w).

    Raises ValueError if the checkpoint has no second stage, or maps of another size.
    """
    model = second_stage(checkpoint)
    if codes.shape != model.config.map_size:
        rows, columns = model.config.map_size
        raise ValueError(f"the map must be {rows}x{columns} codes, not {_by(codes.shape)}")
    if not 0 <= int(codes.min()) <= int(codes.max()) < checkpoint.num_codes:
        raise ValueError(f"codes must be from 0 to {checkpoint.num_codes - 1}")
    return tuple(model.codes(_tensor(model, codes)[None])[0].tolist())


def decoding_steps(
    checkpoint: Checkpoint, latents: Sequence[int], seeds: Sequence[int], **sampling: Any
) -> Iterator[dict[str, Any]]:
    """Draw a map for every seed, given the same latent codes; a step is a row of codes.

    Yields NumPy `codes` and `remaining` (B, h, w), `step` and `steps`. A map depends on its own
    seed, not on the others. Of the keyword arguments of `vq.resampling.resampling_steps`
    temperature, top_k and top_p are of use here.

    Raises ValueError, at once and not at a step, if the checkpoint has no second stage, or an
    argument is out of range.
    """
    model = second_stage(checkpoint)
    c = model.config
    if len(latents) != c.latents or any(
        type(one) is not int or not 0 <= one < c.latent_codes for one in latents
    ):
        raise ValueError(
            f"latents must be {c.latents} whole numbers from 0 to {c.latent_codes - 1}, "
            f"not {list(latents)}"
        )
    with torch.inference_mode():
        prior = model.given(model.vectors(_tensor(model, np.array([latents]))))
    maps = _tensor(model, np.zeros((len(seeds), *c.map_size)))
    hole = torch.ones_like(maps, dtype=torch.bool)
    return map(_in_numpy, resampling_steps(prior, maps, hole, seeds, **sampling))


def second_stage(checkpoint: Checkpoint) -> MapVAE:
    """The checkpoint's second stage. Raises ValueError if it has none."""
    if checkpoint.map_vae is None:
        raise ValueError("this checkpoint has no second stage: no map_vae")
    return checkpoint.map_vae


def _tensor(model: MapVAE, values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(next(model.parameters()).device)


def _in_numpy(state: Any) -> dict[str, Any]:
    codes, remaining = state.codes.cpu().numpy(), state.remaining.cpu().numpy()
    return {"codes": codes, "remaining": remaining, "step": state.step, "steps": state.steps}


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
