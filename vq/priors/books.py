"""A prior over maps with several codes for each position, one of each book.

Positions in raster order as a Gated PixelCNN sees them (arXiv 1606.05328); within a position
the books one after the other, each given those before it as NADE does (arXiv 1605.02226,
section 2): what the context says, plus a sum of one learned vector for each code so far. One
pass gives log p of a whole map by the chain rule, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vq.autoencoder import check_ranges
from vq.priors.pixelcnn import GatedLayer, initialise


@dataclass(frozen=True)
class BooksPriorConfig:
    """Shape of the prior. Raises ValueError, naming field and limits, if one is out of range."""

    num_codes: int = 512  # K of each book
    books: int = 10
    layers: int = 6
    channels: int = 64
    kernel: int = 3  # side of a layer's field, odd
    head: int = 128  # features of each book, between the stacks and its K logits

    def __post_init__(self) -> None:
        limits = {
            "num_codes": (2, 65_536),
            "books": (1, 64),
            "layers": (1, 64),
            "channels": (4, 1024),
            "kernel": (3, 15),
            "head": (4, 4096),
        }
        check_ranges(self, limits)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")


class BooksPrior(nn.Module):
    """p(codes) = product of p(code | all codes of positions before, earlier books here)."""

    def __init__(self, config: BooksPriorConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        codes = config.books * config.num_codes
        self.embedding = nn.Embedding(codes, c)  # summed over a position's books
        self.earlier = nn.Embedding(codes, config.head)  # for the books after it
        self.layers = cast(
            list[GatedLayer],
            nn.ModuleList(
                [GatedLayer(c, config.kernel, first=i == 0) for i in range(config.layers)]
            ),
        )
        self.context = nn.Linear(c, config.books * config.head)
        self.weight = nn.Parameter(
            torch.randn(config.books, config.head, config.num_codes) / config.head**0.5
        )
        self.bias = nn.Parameter(torch.zeros(config.books, config.num_codes))
        nn.init.normal_(self.embedding.weight, std=config.books**-0.5)
        nn.init.normal_(self.earlier.weight, std=config.books**-0.5)
        initialise(self.layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Scores (B, h, w, books, K) float32 of codes (B, h, w, books) int64.

        Each code's are given the positions before it in raster order and the books before it.
        """
        c = self.config
        rows = codes + torch.arange(c.books, device=codes.device) * c.num_codes
        v = h = self.embedding(rows).sum(3).permute(0, 3, 1, 2)
        label = v.new_zeros(len(codes), 4 * c.channels)  # there are no classes
        for layer in self.layers:
            v, h = layer(v, h, label)
        context = self.context(F.relu(h.permute(0, 2, 3, 1))).unflatten(-1, (c.books, c.head))
        # Shifted by one book before it is summed up: a code has no part in its own score.
        earlier = F.pad(self.earlier(rows[..., :-1]), (0, 0, 1, 0)).cumsum(3)
        x = F.relu(context + earlier).flatten(0, 2).transpose(0, 1)  # (books, B * h * w, head)
        scores = torch.bmm(x, self.weight.to(x.dtype)).float() + self.bias[:, None]
        return scores.transpose(0, 1).unflatten(0, codes.shape[:3])

    def bits(self, codes: Tensor) -> Tensor:
        """-log2 p (B, h, w, books) of each code; the sum is that of the map."""
        scores = self(codes).flatten(0, 3)
        nll = F.cross_entropy(scores, codes.flatten(), reduction="none")
        return nll.view(codes.shape) / math.log(2)
