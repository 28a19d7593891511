"""Where networks run, in which precision, and what is to be done where memory runs out."""

from __future__ import annotations

import traceback
from contextlib import AbstractContextManager
from functools import cache

import torch


@cache
def has_bf16(device: str) -> bool:
    """Whether bfloat16 is fast on a kind of device: the chip must have instructions for it."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return False


def fast(device: torch.device, enabled: bool = True) -> AbstractContextManager[object]:
    """Autocast to bfloat16 where that is fast, and wanted."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and has_bf16(device.type))


def release_memory(error: torch.OutOfMemoryError) -> None:
    """Free what was computed until a GPU's memory ran out: the error's traceback holds on to it."""
    traceback.clear_frames(error.__traceback__)
    torch.cuda.empty_cache()  # does nothing where there is no CUDA
