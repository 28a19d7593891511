"""What surprises a prior: -log2 p of every code of a map."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vq.precision import fast
from vq.priors import OrderAgnosticPrior, RasterPrior, label_index
from vq.windows import windows

BATCH = 8  # forward passes of an order-agnostic prior that are made together


def code_bits(
    prior: OrderAgnosticPrior | RasterPrior,
    codes: Tensor,
    *,
    label: str | None = None,
    apart: int = 4,
) -> Tensor:
    """-log2 p (B, h, w) float32 of each code of maps (B, h, w) int64, any h and w.

    Under a raster-order prior each code is given those before it, so that by the chain rule the
    sum over a map is exactly its -log2 p(map | label).

    Under an order-agnostic prior each code is given all others ("one left out"), and the sum is a
    pseudo-likelihood (Besag, 1975): what surprises is what the whole neighbourhood, and not only
    half of it, leads one not to expect. Codes that stand a multiple of `apart` rows and columns
    from one another are left out together, which takes apart^2 forward passes a window and lets
    them not see one another; apart = max(h, w) is exact, one code at a time. Maps larger than the
    prior's are read through windows, each code in the one that shows most around it.

    Raises ValueError if a code, the label or `apart` is out of range.
    """
    labels = _checked(prior, codes, label, apart)
    if isinstance(prior, RasterPrior):
        return _in_raster_order(prior, codes, labels)
    maps = zip(codes, labels, strict=True)
    return torch.stack([list(_one_left_out(prior, one, is_, apart))[-1] for one, is_ in maps])


def code_bits_steps(
    prior: OrderAgnosticPrior | RasterPrior,
    codes: Tensor,
    *,
    label: str | None = None,
    apart: int = 4,
) -> Iterator[Tensor]:
    """`code_bits` of one map (h, w) while it is computed: each time all so far, the rest NaN.

    A raster-order prior has them all at once. Raises ValueError, at the first step, as `code_bits`.
    """
    labels = _checked(prior, codes[None], label, apart)
    if isinstance(prior, RasterPrior):
        yield _in_raster_order(prior, codes[None], labels)[0]
    else:
        yield from _one_left_out(prior, codes, labels[0], apart)


def _checked(
    prior: OrderAgnosticPrior | RasterPrior, codes: Tensor, label: str | None, apart: int
) -> Tensor:
    """The label of each map (B,) as the prior numbers it."""
    num_codes = prior.config.num_codes
    if codes.ndim != 3 or codes.dtype != torch.int64:
        raise ValueError(f"codes must be int64 (B, h, w), not {codes.dtype} {tuple(codes.shape)}")
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < num_codes:
        raise ValueError(f"codes must be from 0 to {num_codes - 1}")
    if type(apart) is not int or apart < 1:
        raise ValueError(f"apart must be a whole number from 1, not {apart!r}")
    return codes.new_full((len(codes),), label_index(prior.config, label))


@torch.inference_mode()
def _in_raster_order(prior: RasterPrior, codes: Tensor, labels: Tensor) -> Tensor:
    with fast(codes.device):
        return prior.bits(codes, labels)


@torch.inference_mode()
def _one_left_out(
    prior: OrderAgnosticPrior, codes: Tensor, label: Tensor, apart: int
) -> Iterator[Tensor]:
    """-log2 p (h, w) of each code of one map given all but those left out with it, NaN at first."""
    result = torch.full(codes.shape, torch.nan, device=codes.device)
    size = prior.config.map_size
    for window in windows(np.ones(codes.shape, bool), size):
        # A map smaller than the prior's stands in the middle of what is otherwise unknown.
        top, left = (size[0] - window.height) // 2, (size[1] - window.width) // 2
        inner = slice(top, top + window.height), slice(left, left + window.width)
        tokens = codes.new_zeros(size)
        tokens[inner] = codes[window.slices]
        inside = torch.zeros(size, dtype=torch.bool, device=codes.device)
        inside[inner] = True
        scored = torch.zeros_like(inside)
        scored[inner] = torch.from_numpy(window.fill).to(codes.device)
        for left_out in _lattices(scored, apart).split(BATCH):
            n = len(left_out)
            with fast(codes.device):
                logits = prior.logits(
                    tokens.expand(n, -1, -1), inside & ~left_out, label.expand(n), left_out
                )
            place = left_out.nonzero()
            seen = tokens[place[:, 1], place[:, 2]]
            bits = F.cross_entropy(logits, seen, reduction="none") / math.log(2)
            result[place[:, 1] - top + window.top, place[:, 2] - left + window.left] = bits
            yield result.clone()


def _lattices(cells: Tensor, apart: int) -> Tensor:
    """The cells (h, w) bool shared out to lattices of that spacing (n, h, w); no empty ones."""
    rows = torch.arange(cells.shape[0], device=cells.device)[:, None] % apart
    columns = torch.arange(cells.shape[1], device=cells.device)[None] % apart
    which = rows * apart + columns
    return torch.stack([cells & (which == i) for i in which[cells].unique().tolist()])
