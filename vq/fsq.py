"""Finite scalar quantization: every number of a vector rounded by itself, no code book to learn.

From Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple" (arXiv 2309.15505): number
i of d is bounded to levels[i] values and rounded, so that the grid of all of them is the code
book: K is the product of the levels. There is nothing to collapse, to restart, or to commit to.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vq.quantizer import Quantized, code_counts, straight_through


class FiniteScalarQuantizer(nn.Module):
    """To the model what `vq.quantizer.VectorQuantizer` is; its code vectors lie in [-1, 1]^d.

    levels: how many values each of the d numbers may take, 2 or more; 5 or more are recommended.
    """

    levels: Tensor
    basis: Tensor
    counts: Tensor

    def __init__(self, levels: tuple[int, ...], *, decay: float = 0.99) -> None:
        super().__init__()
        self.num_codes, self.code_dim, self.books = math.prod(levels), len(levels), 1
        self.decay = decay
        # The shape of one vector, beside (B, h, w, d).
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        # A code is a number with one digit for each level, the first one least.
        basis = torch.tensor([math.prod(levels[:i]) for i in range(len(levels))])
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("counts", torch.zeros(1, self.num_codes), persistent=False)

    @property
    def codebook(self) -> Tensor:
        """The code book that the levels imply, as one that is learned looks: (1, K, d)."""
        every = torch.arange(self.num_codes, device=self.levels.device)
        return self.vectors(every[None, :, None])[:, :, :, 0].mT

    def forward(self, z: Tensor) -> Quantized:
        """Quantize encoder outputs z (B, d, h, w), in float32 whatever the autocast.

        Both losses are 0: what is rounded has no need of them. In training mode the moving
        average of the codes' usage goes on.
        """
        with torch.autocast(z.device.type, enabled=False):
            bounded = self._bound(z.float().permute(0, 2, 3, 1))
            digits = straight_through(bounded, bounded.round())
            vectors = (digits / (self.levels // 2)).permute(0, 3, 1, 2)
            codes = self._codes(digits.detach())
            if self.training:
                self.counts.lerp_(code_counts(codes, self.num_codes)[None], 1 - self.decay)
        return Quantized(vectors, codes, z.new_zeros(()).float(), z.new_zeros(()).float())

    def encode(self, z: Tensor) -> Tensor:
        """Codes (B, h, w) int64 of encoder outputs (B, d, h, w), nothing learned."""
        with torch.autocast(z.device.type, enabled=False):
            return self._codes(self._bound(z.float().permute(0, 2, 3, 1)).round())

    def vectors(self, codes: Tensor) -> Tensor:
        """Code vectors (B, d, h, w) of codes (B, h, w).

        Raises ValueError if a code is outside [0, num_codes).
        """
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.num_codes:
            raise ValueError(f"codes must be from 0 to {self.num_codes - 1}")
        half = self.levels // 2
        digits = codes.unsqueeze(-1) // self.basis % self.levels - half
        return (digits / half).permute(0, 3, 1, 2)

    def _bound(self, z: Tensor) -> Tensor:
        """(..., d) -> (..., d), where rounding gives the levels: appendix A.1.

        Even levels are one off centre, -L/2 to L/2 - 1; `shift` leaves 0 at (about) 0.
        """
        half = (self.levels - 1) * (1 - 1e-3) / 2
        offset = 0.5 * (self.levels % 2 == 0)
        shift = torch.tan(offset / half)
        return torch.tanh(z + shift) * half - offset

    def _codes(self, digits: Tensor) -> Tensor:
        return ((digits.long() + self.levels // 2) * self.basis).sum(-1)
