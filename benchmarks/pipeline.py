"""What a visitor waits for: encoding, decoding, and filling a quarter of a picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import median_seconds
from vq.checkpoints import load
from vq.code_search import PASSES
from vq.inpainting import decode, encode, inpaint
from vq.precision import fast


def measure(checkpoint_path: Path) -> dict[str, Any]:
    """Seconds by side of a square picture, with the settings a visitor starts from.

    The hole is a square in the middle, half as wide as the picture: 25 % of its codes.
    """
    checkpoint = load(checkpoint_path)
    prior: Any = checkpoint.priors["masked"]
    rng = np.random.default_rng(0)
    result: dict[str, Any] = {"threads": torch.get_num_threads()}
    for side in (128, 256, 512):
        noise = rng.integers(0, 256, (side // 16, side // 16, 3), np.uint8)
        picture = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture)
        mask = np.zeros((side, side), bool)
        mask[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = True
        codes = encode(checkpoint.autoencoder, pixels)
        result[f"{side}x{side}"] = {
            "codes_in_hole": (side // 8) ** 2,
            "encode_seconds": median_seconds(partial(encode, checkpoint.autoencoder, pixels)),
            "search_seconds": median_seconds(
                partial(encode, checkpoint.autoencoder, pixels, search=PASSES), 3, 1
            ),
            "decode_seconds": median_seconds(partial(decode, checkpoint.autoencoder, codes[None])),
            "inpaint_seconds": median_seconds(partial(inpaint, checkpoint, picture, mask), 3, 1),
        }
    result["masked_forward_seconds"] = median_seconds(partial(forward, prior), runs=10)
    return result


@torch.inference_mode()
def forward(prior: Any) -> None:
    """One bare forward pass of a masked prior over one map."""
    codes = torch.zeros(1, *prior.config.map_size, dtype=torch.int64)
    with fast(codes.device):
        prior.logits(codes, torch.zeros_like(codes, dtype=torch.bool))
