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
    labels: tuple[int, ...]  # one a picture, -1: none
    guidance: float


@torch.inference_mode()
def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """A code (n,) for each row of logits (n, K), by inverting its distribution at uniform (n,).

    One number a code, rather than one a code and candidate (Gumbel), keeps the numbers few
    and the result insensitive to rounding in the logits.
    """
    if sampling.temperature == 0:
        return logits.argmax(1)
    if sampling.temperature != 1:
        logits = logits.double()
        logits = (logits - logits.amax(1, keepdim=True)) / sampling.temperature
    p = logits.softmax(1, dtype=torch.float64)
    if sampling.top_k is None and sampling.top_p == 1:
        return _invert(p, uniform)
    p, index = p.sort(dim=1, descending=True, stable=True)
    if sampling.top_k is not None:
        p[:, sampling.top_k :] = 0
        p /= p.sum(1, keepdim=True)
    before = p.cumsum(1) - p  # the likeliest code is always kept
    p = torch.where(before < sampling.top_p, p, 0)
    return index.gather(1, _invert(p, uniform)[:, None])[:, 0]


def _invert(p: Tensor, uniform: Tensor) -> Tensor:
    """Where the running sum of each row of p (n, K) passes that share of the row's sum."""
    total = p.cumsum(1)
    # Rounding must not carry the search past the last code of any probability.
    share = uniform * (1 - 2**-52)
    place = torch.searchsorted(total, share[:, None] * total[:, -1:], right=True)
    return place[:, 0].clamp_(max=p.shape[1] - 1)  # past all codes only if any is NaN
