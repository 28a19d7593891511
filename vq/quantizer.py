"""Vector quantization: the nearest code of each encoder output, and how the code book learns.

From van den Oord et al., "Neural Discrete Representation Learning" (arXiv 1711.00937): the
look-up is equation 1 and 2, the losses are equation 3, EMA code books are appendix A.1.
`vq.fsq` has a quantizer without a code book.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

# Numbers of the distance matrix computed at once: bounds memory, however large the code book.
CHUNK = 2**23


class Quantized(NamedTuple):
    """What quantizing gives. Losses are scalars, means over every element (as in sonnet)."""

    vectors: Tensor  # (B, C, h, w) float32: the code vectors, gradient copied to z_e
    codes: Tensor  # (B, h, w) int64, or (B, h, w, books) with several books
    codebook_loss: Tensor  # ||sg[z_e] - e||^2, reaches the code book only; 0 for EMA books
    commitment_loss: Tensor  # ||z_e - sg[e]||^2, reaches the encoder only; not yet times beta


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code by Euclidean distance (equation 1).

    vectors: (N, D), codebook: (K, D), both computed in float32. Returns (N,) int64.
    ||v||^2 is the same for every code, so it is left out of the distance.
    """
    codebook = codebook.float()
    half_norms = codebook.square().sum(1) / 2
    return torch.cat(
        [
            torch.addmm(half_norms, rows.float(), codebook.T, alpha=-1).argmin(1)
            for rows in vectors.split(max(1, CHUNK // len(codebook)))
        ]
    )


def straight_through(z: Tensor, e: Tensor) -> Tensor:
    """The value of `e` to the last bit, the gradient of `z` (section 3.2).

    Written as e + (z - z) rather than z + (e - z): the second rounds, and then decoding the
    codes would differ from the forward pass.
    """
    return e.detach() + (z - z.detach())


def rotation_trick(z: Tensor, e: Tensor) -> Tensor:
    """The value of `e` to the last bit, the gradient of a rotation that takes `z` to `e`.

    z, e: (..., D). Fifty et al., "Restructuring Vector Quantization with the Rotation Trick"
    (arXiv 2410.06424, section 4.2): e = |e|/|z| R z, where R turns z in the plane of the two and
    is, with its factor, a constant to the gradient; so z gets |e|/|z| R^T of e's gradient.
    """
    z_norm = z.detach().norm(dim=-1, keepdim=True).clamp(min=1e-6)
    e_norm = e.detach().norm(dim=-1, keepdim=True).clamp(min=1e-6)
    u, v = z.detach() / z_norm, e.detach() / e_norm
    r = F.normalize(u + v, dim=-1)
    # R z = (I - 2 r r^T + 2 v u^T) z: a reflection and a second one, no matrix needed.
    turned = z - 2 * r * (r * z).sum(-1, keepdim=True) + 2 * v * (u * z).sum(-1, keepdim=True)
    return straight_through(e_norm / z_norm * turned, e)


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of code usage. counts: (..., K), not negative. Returns (...)."""
    p = counts.double() / counts.sum(-1, keepdim=True).clamp(min=1)
    return torch.exp(-(p * p.clamp(min=1e-300).log()).sum(-1)).float()


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """How often each code was chosen, in all processes: codes of any shape -> (K,) float32."""
    counts = torch.bincount(codes.flatten(), minlength=num_codes).float()
    if _distributed():
        dist.all_reduce(counts)
    return counts


class VectorQuantizer(nn.Module):
    """`books` independent code books of `num_codes` vectors of `code_dim` floats each.

    With `ema` the code book follows a debiased moving average of the vectors that chose it;
    without, it learns from `codebook_loss` by gradient descent. With `rotation` the encoder's
    gradient is that of `rotation_trick`, not copied straight through.
    The first training batch initialises the code book. A code whose usage falls below
    `restart_below` times the mean usage is restarted at a random encoder output.

    Nothing here reads global random state: restarts draw from a generator seeded by the
    step, so that a resumed run, or several processes, choose the same vectors.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    step: Tensor

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        books: int = 1,
        *,
        ema: bool = True,
        decay: float = 0.99,
        restart_below: float = 0.03,
        rotation: bool = False,
    ) -> None:
        super().__init__()
        self.num_codes, self.code_dim, self.books = num_codes, code_dim, books
        self.ema, self.decay, self.restart_below = ema, decay, restart_below
        self.estimator = rotation_trick if rotation else straight_through
        start = torch.randn(books, num_codes, code_dim) / code_dim**0.5
        if ema:
            self.register_buffer("codebook", start)
        else:
            self.codebook = nn.Parameter(start)
        # The statistics serve training alone: a published checkpoint does not carry them.
        self.register_buffer("counts", torch.zeros(books, num_codes), persistent=False)
        self.register_buffer("sums", torch.zeros(books, num_codes, code_dim), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.step.clamp_(min=1)  # a code book that was loaded must not be initialised anew

    def forward(self, z: Tensor) -> Quantized:
        """Quantize encoder outputs z (B, books * code_dim, h, w).

        Runs in float32 whatever the autocast: half precision breaks distances and averages.
        In training mode the code book is updated (EMA) after the vectors have been looked up.
        """
        with torch.autocast(z.device.type, enabled=False):
            flat = self._flatten(z.float())
            if self.training and self.step == 0:
                self._initialise(flat.detach())
            codes = self._nearest(flat.detach())
            e = self._look_up(codes)
            commitment_loss = F.mse_loss(flat, e.detach())
            codebook_loss = e.new_zeros(()) if self.ema else F.mse_loss(e, flat.detach())
            vectors = self._unflatten(self.estimator(flat, e), z.shape)
            if self.training:
                self._update(flat.detach(), codes)
        b, _, h, w = z.shape
        return Quantized(vectors, self._codes_out(codes, b, h, w), codebook_loss, commitment_loss)

    def encode(self, z: Tensor) -> Tensor:
        """Codes of encoder outputs (B, books * code_dim, h, w), nothing learned."""
        b, _, h, w = z.shape
        with torch.autocast(z.device.type, enabled=False):
            codes = self._nearest(self._flatten(z.float()))
        return self._codes_out(codes, b, h, w)

    def vectors(self, codes: Tensor) -> Tensor:
        """Code vectors (B, books * code_dim, h, w) of codes (B, h, w) or (B, h, w, books).

        Raises ValueError if a code is outside [0, num_codes).
        """
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.num_codes:
            raise ValueError(f"codes must be from 0 to {self.num_codes - 1}")
        b, h, w = codes.shape[:3]
        by_book = codes.reshape(-1, self.books).T
        return self._unflatten(self._look_up(by_book), (b, -1, h, w))

    # Layout: (B, books * D, h, w) <-> (books, B * h * w, D)

    def _flatten(self, z: Tensor) -> Tensor:
        b, c, h, w = z.shape
        if c != self.books * self.code_dim:
            raise ValueError(f"expected {self.books * self.code_dim} channels, got {c}")
        z = z.permute(0, 2, 3, 1).reshape(b * h * w, self.books, self.code_dim)
        return z.transpose(0, 1)

    def _unflatten(self, flat: Tensor, shape: tuple[int, ...] | torch.Size) -> Tensor:
        b, _, h, w = shape
        return flat.transpose(0, 1).reshape(b, h, w, -1).permute(0, 3, 1, 2)

    def _codes_out(self, codes: Tensor, b: int, h: int, w: int) -> Tensor:
        codes = codes.T.reshape(b, h, w, self.books)
        return codes.squeeze(-1) if self.books == 1 else codes

    def _nearest(self, flat: Tensor) -> Tensor:
        books = self.codebook.detach()
        return torch.stack([nearest_codes(v, c) for v, c in zip(flat, books, strict=True)])

    def _look_up(self, codes: Tensor) -> Tensor:
        pairs = zip(codes, self.codebook, strict=True)
        return torch.stack([F.embedding(i, book) for i, book in pairs])

    # Learning

    @torch.no_grad()
    def _initialise(self, flat: Tensor) -> None:
        """Start the code book at distinct vectors of the first batch, so that none is dead."""
        flat = _gather(flat)
        self.codebook.data.copy_(self._draw(flat, self.num_codes))

    def _draw(self, flat: Tensor, n: int) -> Tensor:
        """n vectors of each book (books, n, D); distinct ones while there are enough."""
        generator = torch.Generator().manual_seed(int(self.step))
        rows = flat.shape[1]
        order = torch.cat([torch.randperm(rows, generator=generator) for _ in range(-(-n // rows))])
        return flat[:, order[:n].to(flat.device)]

    @torch.no_grad()
    def _update(self, flat: Tensor, codes: Tensor) -> None:
        counts = torch.stack([code_counts(i, self.num_codes) for i in codes])
        sums = torch.zeros_like(self.sums)
        sums.scatter_add_(1, codes.unsqueeze(-1).expand_as(flat), flat)
        if _distributed():
            dist.all_reduce(sums)
        if self.step > 0 and not self.counts.any():
            # A loaded code book comes without statistics: it counts as evenly used so far, or
            # the first batch alone would replace it.
            self.counts.copy_(counts.mean(1, keepdim=True).expand_as(counts))
            self.sums.copy_(self.counts.unsqueeze(-1) * self.codebook.detach())
        self.step += 1
        # Both averages start at zero and share the factor 1 - decay^t that debiases them (as in
        # Adam), so it cancels in their ratio and in the comparison with the mean usage.
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        if self.ema:
            seen = self.counts > 0  # a code never chosen has no average: it stays where it is
            average = self.sums / self.counts.clamp(min=1e-12).unsqueeze(-1)
            self.codebook.copy_(torch.where(seen.unsqueeze(-1), average, self.codebook))
        if self.restart_below > 0:
            self._restart(flat)

    def _restart(self, flat: Tensor) -> None:
        """Move codes that fell out of use onto encoder outputs of this batch.

        Vector, count and sum are set together, after this step's averages are in: were one
        left behind, the next average would undo the restart (encodec issue 61). The count
        starts at the mean usage, which gives the code time to earn it.
        """
        mean = self.counts.mean(1, keepdim=True)
        dead = self.counts < self.restart_below * mean
        if not dead.any():
            return
        flat = _gather(flat)
        for book, which in enumerate(dead):
            n = int(which.sum())
            if n == 0:
                continue
            fresh = self._draw(flat, n)[book]
            self.codebook.data[book, which] = fresh
            self.counts[book, which] = mean[book]
            self.sums[book, which] = fresh * mean[book]


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _gather(flat: Tensor) -> Tensor:
    """Every process's vectors, in rank order: (books, N, D) -> (books, N * world, D)."""
    if not _distributed():
        return flat
    parts = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, flat.contiguous())
    return torch.cat(parts, 1)
