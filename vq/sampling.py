"""How a code is drawn from a prior's scores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ResamplingStep(NamedTuple):
    """The state after one step. Codes that are still to be filled keep their old value."""

    codes: Tensor  # (B, h, w) int64
    remaining: Tensor  # (B, h, w) bool, True = still to be filled
    step: int  # from 1
    steps: int


class Sampling(NamedTuple):
    """How codes are drawn from p: sharpened by temperature, then cut to the likeliest."""

    temperature: float
    top_k: int | None
    top_p: float
    label: int
    guidance: float


@torch.inference_mode()
def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """A code (n,) for each row of logits (n, K), by inverting its distribution at uniform (n,).

    One number a code, rather than one a code and candidate (Gumbel), keeps the numbers few
    and makes the result as insensitive as can be to rounding in the logits.
    """
    if sampling.temperature == 0:
        return logits.argmax(1)
    logits, index = logits.double().sort(dim=1, descending=True, stable=True)
    p = ((logits - logits[:, :1]) / sampling.temperature).softmax(1)
    if sampling.top_k is not None:
        p[:, sampling.top_k :] = 0
        p /= p.sum(1, keepdim=True)
    if sampling.top_p < 1:
        before = p.cumsum(1) - p  # the likeliest code is always kept
        p = torch.where(before < sampling.top_p, p, 0)
    total = p.cumsum(1)
    place = torch.searchsorted(total, (uniform * total[:, -1]).unsqueeze(1), right=True)
    # Rounding may carry the search past the last code of any probability.
    last = (p > 0).sum(1, keepdim=True) - 1
    return index.gather(1, torch.minimum(place, last)).squeeze(1)
