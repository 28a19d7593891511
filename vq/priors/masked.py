"""The masked prior: an order-agnostic transformer over code maps.

It predicts every hidden code from any set of known ones, which makes it an order-agnostic
autoregressive model (Hoogeboom et al., "Autoregressive Diffusion Models", arXiv 2110.02037):
one network gives a likelihood bound, exact sampling in any order and few-step parallel
sampling.

Full attention over the 1,024 codes of a 32x32 map is what costs most on a CPU. So, as in
U-ViT-like networks, convolutions at full resolution model the neighbourhood, each 2x2 block
of codes is merged into one token for the transformer, and its output is spread out again and
added to the full-resolution features.

The map has a fixed size. A window of a larger map is cut out, a smaller map is surrounded by
unknown codes: both are partly known maps, which is what the network was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vq.autoencoder import check_ranges


@dataclass(frozen=True)
class MaskedPriorConfig:
    """Shape of a masked prior. Raises ValueError, naming field and limits, if out of range."""

    num_codes: int = 512  # K
    map_size: tuple[int, int] = (32, 32)  # codes: height, width
    labels: tuple[str, ...] = ()  # class names
    channels: int = 128  # features of a code at full resolution
    local_blocks: int = 2  # convolutional blocks before, and as many after, the transformer
    merge: int = 2  # side of the block of codes merged into one token; 1: a token a code
    width: int = 256  # features of a token
    depth: int = 8  # transformer blocks
    heads: int = 4

    def __post_init__(self) -> None:
        limits = {
            "num_codes": (2, 65_536),
            "channels": (8, 1024),
            "local_blocks": (0, 8),
            "merge": (1, 4),
            "width": (16, 2048),
            "depth": (1, 48),
            "heads": (1, 32),
        }
        check_ranges(self, limits)
        sides = self.map_size
        if len(sides) != 2 or any(type(s) is not int or not 1 <= s <= 128 for s in sides):
            raise ValueError(f"map_size must be two whole numbers from 1 to 128, not {sides}")
        if any(side % self.merge for side in sides):
            raise ValueError(f"merge = {self.merge} must divide both sides of map_size {sides}")
        # Rotary position embedding rotates pairs of features, half of them for each axis.
        if self.width % (4 * self.heads):
            raise ValueError(f"width must be a multiple of 4 x heads, not {self.width}")
        if len(self.labels) > 10_000 or not all(isinstance(n, str) for n in self.labels):
            raise ValueError("labels must be at most 10,000 names")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from one another")


class LocalBlock(nn.Module):
    """Residual block at full resolution (B, C, h, w): normalise, 3x3 convolution, SiLU, 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(F.silu(self.conv3(self.norm(x))))


class Attention(nn.Module):
    """Self-attention with normalised queries and keys and rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm = nn.LayerNorm(width // heads, bias=False)
        self.k_norm = nn.LayerNorm(width // heads, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, C/H)
        q, k = rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin)
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v)
        return self.out(y.transpose(1, 2).reshape(b, t, c))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class MaskedPrior(nn.Module):
    """p(codes | known codes, class) over maps of config.map_size."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: MaskedPriorConfig) -> None:
        super().__init__()
        self.config = config
        c, width = config.channels, config.width
        # One row more than there are codes, or classes, stands for "unknown".
        self.code_embedding = nn.Embedding(config.num_codes + 1, c)
        self.label_embedding = nn.Embedding(len(config.labels) + 1, width)
        self.local_in = nn.Sequential(*[LocalBlock(c) for _ in range(config.local_blocks)])
        self.merge = nn.Linear(c * config.merge**2, width)
        blocks = [TransformerBlock(width, config.heads) for _ in range(config.depth)]
        self.blocks = cast(list[TransformerBlock], nn.ModuleList(blocks))
        self.spread_norm = nn.LayerNorm(width)
        self.spread = nn.Linear(width, c * config.merge**2)
        self.local_out = nn.Sequential(*[LocalBlock(c) for _ in range(config.local_blocks)])
        self.out_norm = nn.LayerNorm(c)
        self.out = nn.Linear(c, config.num_codes)
        # Each residual branch starts small, so that the sum over depth does not grow with it.
        for block in self.blocks:
            for linear in (block.attention.out, block.mlp[2]):
                nn.init.normal_(
                    cast(nn.Linear, linear).weight, std=0.02 / (2 * config.depth) ** 0.5
                )
        nn.init.normal_(self.code_embedding.weight, std=0.5)
        nn.init.normal_(self.label_embedding.weight, std=0.02)
        cos, sin = rotary_table(
            config.map_size[0] // config.merge,
            config.map_size[1] // config.merge,
            width // config.heads,
        )
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def logits(
        self, codes: Tensor, known: Tensor, labels: Tensor | None = None, at: Tensor | None = None
    ) -> Tensor:
        """See `vq.priors.OrderAgnosticPrior`. Raises ValueError if the map is of another size."""
        return self(codes, known, labels, at)

    def forward(
        self, codes: Tensor, known: Tensor, labels: Tensor | None = None, at: Tensor | None = None
    ) -> Tensor:
        """`logits`, under the name that training and its wrappers call."""
        b, h, w = codes.shape
        if (h, w) != self.config.map_size:
            raise ValueError(f"expected maps of {self.config.map_size} codes, got {(h, w)}")
        if labels is None:
            labels = codes.new_full((b,), -1)
        tokens = torch.where(known, codes, self.config.num_codes)
        x = self.code_embedding(tokens).permute(0, 3, 1, 2)  # (B, C, h, w), channels last
        x = self.local_in(x)
        x = x + self._transform(x, labels)
        x = self.local_out(x).permute(0, 2, 3, 1)
        x = x[at] if at is not None else x.reshape(-1, x.shape[-1])
        return self.out(self.out_norm(x)).float()

    def _transform(self, x: Tensor, labels: Tensor) -> Tensor:
        """Merge to tokens, add the class, run the transformer, spread out: (B, C, h, w)."""
        m = self.config.merge
        b, c, h, w = x.shape
        y = self.merge(F.pixel_unshuffle(x, m).flatten(2).transpose(1, 2))  # (B, T, width)
        # Index -1 is the last row: "no class".
        y = y + self.label_embedding(labels % self.label_embedding.num_embeddings).unsqueeze(1)
        for block in self.blocks:
            y = block(y, self.cos, self.sin)
        y = self.spread(self.spread_norm(y)).transpose(1, 2)
        return F.pixel_shuffle(y.reshape(b, c * m * m, h // m, w // m), m)


def rotary_table(height: int, width: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (height * width, size / 2) for `rotate` on a grid.

    Half of the pairs turn with the row and half with the column, so that attention sees where
    tokens stand to one another in both directions (RoFormer, arXiv 2104.09864, by axis).
    """
    frequencies = 100.0 ** -torch.arange(0, 1, 4 / size)  # (size / 4,)
    rows = torch.arange(height).float().outer(frequencies)  # (height, size / 4)
    columns = torch.arange(width).float().outer(frequencies)
    angles = torch.cat(
        [rows.repeat_interleave(width, 0), columns.repeat(height, 1)], 1
    )  # (height * width, size / 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of features of x (..., T, size) by its position's angle (T, size / 2)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
