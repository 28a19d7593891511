"""Encode and decode against the same network run the plain way: eagerly, float32, NCHW."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import median_seconds
from vq.autoencoder import VQVAE
from vq.checkpoints import load
from vq.quantizer import nearest_codes


def measure(checkpoint_path: Path) -> dict[str, Any]:
    """Seconds for one 128x128 picture there and back, both ways, and their ratio."""
    ours = load(checkpoint_path).autoencoder
    plain = copy.deepcopy(ours).to(memory_format=torch.contiguous_format)
    pictures = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    ours_seconds = median_seconds(partial(there_and_back, ours, pictures), 20, 5)
    plain_seconds = median_seconds(partial(plainly_there_and_back, plain, pictures), 20, 5)
    return {
        "threads": torch.get_num_threads(),
        "encode_decode_seconds": ours_seconds,
        "eager_float32_nchw_seconds": plain_seconds,
        "encode_decode_speedup": plain_seconds / ours_seconds,
    }


def there_and_back(model: VQVAE, pictures: Tensor) -> Tensor:
    return model.decode(model.encode(pictures))


@torch.inference_mode()
def plainly_there_and_back(model: VQVAE, pictures: Tensor) -> Tensor:
    z = model.encoder(pictures)
    vectors = z.movedim(1, -1).flatten(0, 2)
    book = model.quantizer.codebook[0]
    quantized = book[nearest_codes(vectors, book)].view(*z.shape[:1], *z.shape[2:], -1)
    return model.decoder(quantized.movedim(-1, 1).contiguous())
