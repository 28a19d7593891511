"""Codes chosen by what the decoder makes of them, not by what lies nearest.

Equation 1 of the paper takes the code nearest to what the encoder says. It is quick, and it is not
the code that gives the picture back best: the error that is left depends on the decoder, and on
the codes around. So, starting from the nearest, codes are changed for others where that brings the
decoded picture nearer to the original.

The squared error after an exchange of code vector a for b is, to second order,

    E + g (b - a) + (b - a)' A (b - a)

with g the gradient at the position, from one pass through decoder and back for all positions, and
A = J'J, J the derivative of the picture by the code vector, taken as the same all over a picture.
All K codes of every position are so compared at the price of that one pass. Since neighbours
overlap in the picture, one position in 2x2 is exchanged at a time; and since second order is not
the truth, the next pass looks at what came of it, and takes back what made its surroundings worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vq.autoencoder import VQVAE
from vq.precision import fast

PASSES = 8
MAX_PASSES = 64
# How many times heavier than measured the second order weighs: neighbours change at the same time.
CAUTION = 2.0
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))  # row and column in 2x2, diagonal neighbours first
RANDOM_MAPS, RANDOM_SIDE = 2, 32  # of codes, to learn how the decoder responds
AT_ONCE = 2**24  # scores of codes that are held in memory


def search_codes(
    autoencoder: VQVAE, pictures: Tensor, codes: Tensor | None = None, *, passes: int = PASSES
) -> Tensor:
    """Codes (B, h, w) that decode nearer to pictures (B, C, H, W) in [0, 1], by squared error.

    codes: those to start from (None: the nearest). passes: from 0 to 64; the more the better, and
    each costs about one pass forward and back through the decoder. A picture's codes never decode
    worse than those that it started with, and are the same each time.

    Raises ValueError for passes out of range, for a model with several code books, and as
    `VQVAE.encode`.
    """
    *_, found = search_steps(autoencoder, pictures, codes, passes=passes)
    return found


def search_steps(
    autoencoder: VQVAE, pictures: Tensor, codes: Tensor | None = None, *, passes: int = PASSES
) -> Iterator[Tensor]:
    """`search_codes`, pass by pass: first the codes to start from, then the best so far.

    Arguments are checked at once, not at the first step.
    """
    if type(passes) is not int or not 0 <= passes <= MAX_PASSES:
        raise ValueError(f"passes must be a whole number from 0 to {MAX_PASSES}, not {passes!r}")
    if codes is None:
        codes = autoencoder.encode(pictures)
    if passes and codes.ndim != 3:
        raise ValueError("codes of several code books cannot be searched for")
    return _steps(autoencoder, pictures, codes, passes)


def _steps(autoencoder: VQVAE, pictures: Tensor, codes: Tensor, passes: int) -> Iterator[Tensor]:
    before = best = codes
    yield best
    if not passes:
        return
    known = look(autoencoder, pictures, codes)
    least = known.error
    book = autoencoder.code_vectors().float()
    curvature = typical_curvature(autoencoder, codes)
    for step in range(passes):
        codes = _exchange(codes, known.gradient, curvature, book, PHASES[step % len(PHASES)])
        now = look(autoencoder, pictures, codes)
        best = torch.where((now.error < least)[:, None, None], codes, best)
        least = least.minimum(now.error)
        yield best
        worse = (codes != before) & (now.nearby > known.nearby)
        before = codes = torch.where(worse, before, codes)
        # Around what is taken back, what was known of it holds again.
        again = F.max_pool2d(worse[:, None].float(), 3, 1, 1) > 0
        known = Look(
            now.error,
            torch.where(again[:, 0], known.nearby, now.nearby),
            torch.where(again, known.gradient, now.gradient),
        )


class Look(NamedTuple):
    """What the decoder makes of codes."""

    error: Tensor  # (B,): squared error of the picture
    nearby: Tensor  # (B, h, w): that of the 3x3 codes around each, its mean
    gradient: Tensor  # (B, D, h, w): of the error by code vector, as if nothing were clamped


def look(autoencoder: VQVAE, pictures: Tensor, codes: Tensor) -> Look:
    """How far codes (B, h, w) decode from pictures (B, C, H, W), and what would change that."""
    with _deriving(pictures):
        vectors, made = _decoded(autoencoder, codes)
        (gradient,) = torch.autograd.grad((made - pictures.clone()).square().sum(), vectors)
    squares = (made.detach().clamp(0, 1) - pictures).square().sum(1, keepdim=True)
    nearby = F.avg_pool2d(F.avg_pool2d(squares, autoencoder.stride), 3, 1, 1)
    return Look(squares.sum((1, 2, 3)), nearby[:, 0], gradient.float())


def typical_curvature(autoencoder: VQVAE, codes: Tensor) -> Tensor:
    """What to take for J'J of every code of a map: (B, D, D) of codes (B, h, w).

    As large as the mean of that map, but shaped like that of random codes: those show the decoder
    in more of its states, and photographs are better searched with it than with their own.
    """
    shape = (RANDOM_MAPS, RANDOM_SIDE, RANDOM_SIDE)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(autoencoder.config.num_codes, shape, generator=generator)
    shaped = mean_curvature(autoencoder, drawn.to(codes.device)).mean(0)
    own = mean_curvature(autoencoder, codes).diagonal(dim1=1, dim2=2).sum(1)
    return own[:, None, None] * shaped / shaped.trace()


def mean_curvature(autoencoder: VQVAE, codes: Tensor) -> Tensor:
    """J'J (B, D, D), the mean over each map of codes (B, h, w), J = d picture / d code vector.

    Estimated by a single random picture v of unit variance: (J'v)(J'v)' is J'J in the mean.
    """
    with _deriving(codes):
        vectors, made = _decoded(autoencoder, codes)
        # The same for every map, whatever its batch.
        v = torch.randn(made.shape[1:], generator=torch.Generator().manual_seed(0))
        (back,) = torch.autograd.grad(made, vectors, v.to(made.device).expand_as(made))
    back = back.float()
    return torch.einsum("bdhw,behw->bde", back, back) / codes[0].numel()


@contextmanager
def _deriving(where: Tensor) -> Iterator[None]:
    """Gradients, even where the caller is in inference mode, in the precision of decoding."""
    with torch.inference_mode(False), torch.enable_grad(), fast(where.device):
        yield


def _decoded(autoencoder: VQVAE, codes: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors (B, D, h, w), to derive by, and the pictures they are decoded to, not clamped."""
    # What was made in inference mode may not be derived by: copies may.
    vectors = autoencoder.quantizer.vectors(codes.clone()).detach().requires_grad_()
    return vectors, autoencoder._decoded(vectors)


def _exchange(
    codes: Tensor, gradient: Tensor, curvature: Tensor, book: Tensor, phase: tuple[int, int]
) -> Tensor:
    """Codes (B, h, w), at the positions of a phase the best of the book to second order."""
    codes = codes.clone()
    here = (slice(phase[0], None, 2), slice(phase[1], None, 2))
    for b, of_picture in enumerate(CAUTION * curvature):
        old = codes[b][here]
        bent = book @ of_picture  # (K, D)
        # g'e + (e - a)'A(e - a) for every e of the book, less what all e have in common.
        slopes = gradient[b][:, *here].flatten(1).T - 2 * bent[old.flatten()]
        own = (bent * book).sum(1)
        parts = slopes.split(max(1, AT_ONCE // len(book)))
        chosen = torch.cat([torch.addmm(own, part, book.T).argmin(1) for part in parts])
        codes[b][here] = chosen.view(old.shape)
    return codes
