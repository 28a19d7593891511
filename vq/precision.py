"""Where networks run, and in which precision."""

from __future__ import annotations

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
