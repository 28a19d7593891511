"""Change a region of a picture: pixels -> codes -> hole -> codes -> pixels.

Two ways to look at the region. *Vary* encodes the picture as it is. *Remove* blanks the region
before encoding and widens the hole by one code, so that no neighbour's code remembers what
stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from vq.autoencoder import VQVAE
from vq.checkpoints import Checkpoint
from vq.code_search import search_codes
from vq.pictures import to_tensor, to_uint8, working_size
from vq.precision import release_memory
from vq.regions import blank, composite, dilate, hole_from_mask, mask_from_hole, scale_mask
from vq.resampling import resampling_steps

Mode = Literal["vary", "remove"]
MODES: tuple[Mode, ...] = ("vary", "remove")
MAX_VARIATIONS = 64
# Pixels at working size over which a new region fades in. More would hide the join better, but
# would let a rim of what is removed shine through.
FEATHER = 2
# Small priors spread some probability over codes that do not fit: regions look better below 1.
TEMPERATURE = 0.9
# Against all the codes around it, a region hardly shows its class with less.
GUIDANCE = 5.0
LANCZOS_REACH = 3


@dataclass(frozen=True)
class Region:
    """A region made ready to be resampled."""

    codes: np.ndarray  # (h, w) int64: what the prior sees
    hole: np.ndarray  # (h, w) bool: what it fills


@torch.inference_mode()
def encode(autoencoder: VQVAE, picture: np.ndarray, *, search: int = 0) -> np.ndarray:
    """Codes (h, w) int64 of a picture (H, W, 3) uint8 whose sides the stride divides.

    The nearest ones, or after so many passes of `vq.code_search` better ones.
    """
    device = next(autoencoder.parameters()).device
    codes = search_codes(autoencoder, to_tensor(picture).to(device), passes=search)
    return codes[0].cpu().numpy()


@torch.inference_mode()
def decode(autoencoder: VQVAE, codes: np.ndarray) -> np.ndarray:
    """Pictures (B, H, W, 3) uint8 of codes (B, h, w)."""
    device = next(autoencoder.parameters()).device
    return to_uint8(autoencoder.decode(torch.from_numpy(codes).to(device)))


def prepare(
    autoencoder: VQVAE,
    picture: np.ndarray,
    mask: np.ndarray,
    mode: Mode,
    codes: np.ndarray | None = None,
) -> Region:
    """The codes and the hole of a region: picture (H, W, 3) uint8, mask (H, W) bool.

    codes: those the picture has already, if any; *remove* encodes it anew all the same.
    Raises ValueError if the mode is unknown, or the mask is empty or of another size.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if mask.shape != picture.shape[:2]:
        raise ValueError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} pixels, "
            f"the picture {picture.shape[1]}x{picture.shape[0]}: they must be equal"
        )
    if not mask.any():
        raise ValueError("the mask is empty: paint at least one pixel")
    hole = hole_from_mask(mask, autoencoder.stride)
    if mode == "remove":
        # Reducing a photograph has spread what stood there by up to 3 pixels (Lanczos).
        blanked = blank(picture, dilate(mask, LANCZOS_REACH))
        return Region(encode(autoencoder, blanked), dilate(hole))
    return Region(encode(autoencoder, picture) if codes is None else codes, hole)


def inpaint(
    checkpoint: Checkpoint,
    picture: Image.Image,
    mask: np.ndarray,
    *,
    prior: str | None = None,
    mode: Mode = "vary",
    variations: int = 1,
    seed: int = 0,
    label: str | None = None,
    guidance: float = GUIDANCE,
    temperature: float = TEMPERATURE,
    top_k: int | None = None,
    top_p: float = 1.0,
    steps: int = 12,
    remask: float = 0.0,
    particles: int = 8,
    longest: int = 512,
    callback: Callable[[dict[str, Any]], bool | None] | None = None,
) -> list[Image.Image]:
    """Pictures in which the masked region is made anew, at the picture's own size.

    Every pixel outside the mask is bit-identical to the picture's; inside, the new region
    fades in over a few pixels. A picture longer than `longest` is worked on at a smaller
    size, and the new region is enlarged.

    mask: (height, width) bool, True = to be repainted. prior: one of the checkpoint's, by name
    (None: its first). Variation i has the seed `seed` + i.
    The other arguments are those of `vq.resampling.resample`; temperature 1 samples the prior
    as it is, guidance 1 its distribution given the label.
    Raises ValueError naming the argument and its limits if one cannot be used.
    """
    if not 1 <= variations <= MAX_VARIATIONS:
        raise ValueError(f"variations must be from 1 to {MAX_VARIATIONS}, not {variations}")
    checkpoint.prior(prior)  # is refused before anything is worked on
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (picture.height, picture.width):
        raise ValueError(
            f"the mask must be bool ({picture.height}, {picture.width}), "
            f"not {mask.dtype} {mask.shape}"
        )
    autoencoder = checkpoint.autoencoder
    region = open_region(autoencoder, picture, mask, mode, longest)
    filled = region.codes[None]
    for state in region_steps(
        checkpoint,
        region,
        prior=prior,
        seeds=[seed + i for i in range(variations)],
        label=label,
        guidance=guidance,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        steps=steps,
        remask=remask,
        particles=particles,
    ):
        filled = state["codes"]
        if callback and callback(state):
            break
    original = np.asarray(picture.convert("RGB"))
    # One at a time: together they might not fit, and would be rounded otherwise than alone.
    decoded = [decode(autoencoder, one[None])[0] for one in filled]
    return [Image.fromarray(paste(original, mask, new)) for new in decoded]


def open_region(
    autoencoder: VQVAE, picture: Image.Image, mask: np.ndarray, mode: Mode, longest: int
) -> Region:
    """`prepare` for a picture of any size and its mask: made smaller first, if they are larger.

    mask: (height, width) bool. No side that is worked on is above `longest`.
    """
    size = working_size(*picture.size, autoencoder.stride, longest)
    small = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    return prepare(autoencoder, small, scale_mask(mask, size[::-1]), mode)


def region_steps(
    checkpoint: Checkpoint,
    region: Region,
    *,
    seeds: Sequence[int],
    prior: str | None = None,
    **sampling: Any,
) -> Iterator[dict[str, Any]]:
    """Resample a region once for every seed; yields NumPy `codes`, `remaining`, `step`, `steps`.

    Where a GPU's memory is too small for all at once, they are made one after another instead:
    steps are counted from 1 again, and the results are the same. Raises torch.OutOfMemoryError
    where it is too small for one. The keyword arguments are those of
    `vq.resampling.resampling_steps`.
    """
    try:
        yield from _steps_together(checkpoint, region, prior, seeds, sampling)
        return
    except torch.OutOfMemoryError as error:
        if len(seeds) == 1:
            raise
        release_memory(error)
    n = len(seeds)
    codes, remaining = np.repeat(region.codes[None], n, 0), np.repeat(region.hole[None], n, 0)
    for i, seed in enumerate(seeds):
        for state in _steps_together(checkpoint, region, prior, [seed], sampling):
            codes[i], remaining[i] = state["codes"][0], state["remaining"][0]
            yield {
                "codes": codes.copy(),
                "remaining": remaining.copy(),
                "step": i * state["steps"] + state["step"],
                "steps": n * state["steps"],
            }


def _steps_together(
    checkpoint: Checkpoint,
    region: Region,
    prior: str | None,
    seeds: Sequence[int],
    sampling: Any,
) -> Iterator[dict[str, Any]]:
    device = next(checkpoint.autoencoder.parameters()).device
    n = len(seeds)
    codes = torch.from_numpy(region.codes).to(device).expand(n, -1, -1).contiguous()
    hole = torch.from_numpy(region.hole).to(device).expand(n, -1, -1).contiguous()
    model = checkpoint.prior(prior)
    for state in resampling_steps(model, codes, hole, seeds, **sampling):
        yield {
            "codes": state.codes.cpu().numpy(),
            "remaining": state.remaining.cpu().numpy(),
            "step": state.step,
            "steps": state.steps,
        }


def lay_over(
    decode: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    codes: np.ndarray,
    hole: np.ndarray,
    stride: int,
    reach: int | None,
) -> np.ndarray:
    """Decode code maps (V, h, w) and lay them over a picture where the hole is: (V, H, W, 3) uint8.

    picture: (H, W, 3) uint8 at working size; hole: (h, w) bool. decode: codes (h, w) of any size to
    a picture (H, W, 3). Only the hole is decoded, with `reach` codes around it: as many as the
    decoder looks at, or None for all. Outside the hole every pixel is the picture's.
    """
    result = np.repeat(picture[None], len(codes), 0)
    if not hole.any():
        return result
    margin = max(hole.shape) if reach is None else reach
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    top, bottom = max(0, rows[0] - margin), rows[-1] + 1 + margin
    left, right = max(0, columns[0] - margin), columns[-1] + 1 + margin
    pixels = np.s_[top * stride : bottom * stride, left * stride : right * stride]
    mask = mask_from_hole(hole, stride)[pixels]
    for variation, one in zip(result, codes[:, top:bottom, left:right], strict=True):
        variation[pixels] = composite(picture[pixels], decode(one), mask, feather=FEATHER)
    return result


def paste(original: np.ndarray, mask: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Lay a new region over the original, enlarged to its size; the feather grows with it.

    original: (H, W, 3) uint8; mask: (H, W) bool; new: (h, w, 3) uint8, the whole picture anew.
    Outside the mask the result is bit-identical to the original.
    """
    height, width = mask.shape
    if new.shape != original.shape:
        image = Image.fromarray(new).resize((width, height), Image.Resampling.LANCZOS)
        feather = round(FEATHER * max(1.0, height / new.shape[0]))
        return composite(original, np.asarray(image), mask, feather=feather)
    return composite(original, new, mask, feather=FEATHER)
