"""The code book itself: every code's vector, and what it looks like."""

from __future__ import annotations

import numpy as np
import torch

from vq.autoencoder import VQVAE
from vq.inpainting import decode


@torch.inference_mode()
def code_vectors(autoencoder: VQVAE) -> np.ndarray:
    """The vectors (K, D) float32 of the codes of an autoencoder with one code a position."""
    result: np.ndarray = autoencoder.code_vectors().float().cpu().numpy()
    return result


def code_patches(autoencoder: VQVAE, codes: np.ndarray) -> np.ndarray:
    """Codes (n,) -> what each decodes to (n, s, s, 3) uint8 where it sees but copies of itself.

    s is the stride. A decoder that looks at all of a map gets maps of that one code.
    """
    stride, margin = autoencoder.stride, autoencoder.reach or 0
    side = 2 * margin + 1
    alone = np.broadcast_to(codes[:, None, None], (len(codes), side, side))
    middle = np.s_[margin * stride : (margin + 1) * stride]
    return decode(autoencoder, alone.astype(np.int64))[:, middle, middle]
