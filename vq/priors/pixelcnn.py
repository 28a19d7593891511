"""The Gated PixelCNN prior: every code given the codes before it in raster order.

Van den Oord et al., "Conditional Image Generation with PixelCNN Decoders" (arXiv 1606.05328).
Two stacks of convolutions, so that no earlier code lies in a blind spot: the vertical one sees
the rows above, the horizontal one the codes to the left in the row, and what the vertical one
has found. One pass gives log p of a whole map by the chain rule, exactly.

To fill a hole code by code, see `vq.priors.incremental`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional as F

from vq.autoencoder import check_ranges

if TYPE_CHECKING:
    from vq.priors.incremental import RasterWalk

# Mean square of tanh(a) sigmoid(b) for standard normal a and b.
GATE_POWER = 0.115


@dataclass(frozen=True)
class PixelCNNConfig:
    """Shape of a Gated PixelCNN. Raises ValueError, naming field and limits, if out of range."""

    num_codes: int = 512  # K
    map_size: tuple[int, int] = (32, 32)  # codes: height, width
    labels: tuple[str, ...] = ()  # class names
    layers: int = 15
    channels: int = 128
    first_kernel: int = 5  # side of the first layer's field, odd
    kernel: int = 3  # of the other layers'
    head: int = 256  # features between the stacks and the K logits

    def __post_init__(self) -> None:
        limits = {
            "num_codes": (2, 65_536),
            "layers": (1, 64),
            "channels": (4, 1024),
            "first_kernel": (3, 15),
            "kernel": (3, 15),
            "head": (4, 4096),
        }
        check_ranges(self, limits)
        sides = self.map_size
        if len(sides) != 2 or any(type(s) is not int or not 1 <= s <= 128 for s in sides):
            raise ValueError(f"map_size must be two whole numbers from 1 to 128, not {sides}")
        for name in ("first_kernel", "kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd, not {getattr(self, name)}")
        if len(self.labels) > 10_000 or not all(isinstance(n, str) for n in self.labels):
            raise ValueError("labels must be at most 10,000 names")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from one another")

    @property
    def reach(self) -> int:
        """How far a code sees: so many rows up, and columns left, and right in rows above."""
        return self.first_kernel // 2 + (self.layers - 1) * (self.kernel // 2)


def gate(x: Tensor) -> Tensor:
    """tanh of one half of the channels times sigmoid of the other: (B, 2C, ...) -> (B, C, ...)."""
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class GatedLayer(nn.Module):
    """One layer of both stacks (figure 2 of the paper). The first does not see the code itself."""

    def __init__(self, channels: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.reach, self.first = kernel // 2, first
        taps = self.reach if first else self.reach + 1
        self.vertical = nn.Conv2d(channels, 2 * channels, (taps, kernel))
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, taps), bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, v: Tensor, h: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The stacks' features v, h (B, C, h, w) one layer up; 2C of the label for each stack.

        label: (B, 4C), or (B, 4C, h, w) if it differs from place to place.

        v at a row sees the rows above it; h at a code sees those, and the codes to the left.
        """
        n = self.reach
        p = self.vertical(F.pad(v, (n, n, n, 0)))
        q = self.horizontal(F.pad(h, (n, 0, 0, 0)))
        if self.first:  # one row, or column, back
            p, q = p[:, :, :-1], q[:, :, :, :-1]
        # In the features' precision: float32 labels would turn all that follows to float32.
        label = label if label.ndim == 4 else label[:, :, None, None]
        label_v, label_h = label.to(p.dtype).chunk(2, 1)
        out = self.out(gate(q + self.link(p) + label_h))
        return gate(p + label_v), out if self.first else h + out


class PixelCNN(nn.Module):
    """p(codes | class) = product of p(code | codes before it in raster order, class)."""

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.embedding = nn.Embedding(config.num_codes, c)
        # One row more than there are classes stands for "unknown".
        self.label_embedding = nn.Embedding(len(config.labels) + 1, config.layers * 4 * c)
        first = GatedLayer(c, config.first_kernel, first=True)
        rest = [GatedLayer(c, config.kernel, first=False) for _ in range(config.layers - 1)]
        self.layers = cast(list[GatedLayer], nn.ModuleList([first, *rest]))
        self.head = nn.Linear(c, config.head)
        self.out = nn.Linear(config.head, config.num_codes)
        nn.init.normal_(self.label_embedding.weight, std=0.02)
        initialise(self.layers)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """See `logits`: the same, under a name that wrappers of modules know."""
        return self.logits(codes, labels)

    def logits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (B, K, h, w) float32 of every code, each given the codes before it.

        codes: (B, h, w) int64, of any size: a map's border is all the same to it.
        labels: (B,) int64 class indices, -1 for no class; None: no class for any.
        """
        return self.conditioned(codes, self.label_features(codes, labels))

    def conditioned(self, codes: Tensor, label: Tensor) -> Tensor:
        """`logits` given (B, layers, 4C) or (B, layers, 4C, h, w) of anything, before the gates."""
        v = h = self.embedding(codes).permute(0, 3, 1, 2)  # (B, C, h, w), channels last
        for i, layer in enumerate(self.layers):
            v, h = layer(v, h, label[:, i])
        x = F.relu(self.head(F.relu(h.permute(0, 2, 3, 1))))
        return self.out(x).permute(0, 3, 1, 2).float()

    def label_features(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        """What the classes add before every gate: (B, layers, 4C)."""
        if labels is None:
            labels = codes.new_full((len(codes),), -1)
        # Index -1 is the last row: "no class".
        rows = self.label_embedding(labels % self.label_embedding.num_embeddings)
        return rows.view(len(codes), len(self.layers), -1)

    def bits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """-log2 p (B, h, w) of each code given those before it; the sum is -log2 p(map | class).

        Arguments as for `logits`.
        """
        return F.cross_entropy(self.logits(codes, labels), codes, reduction="none") / math.log(2)

    def walk(self, codes: Tensor, labels: Tensor | None = None, *, row: int = 0) -> RasterWalk:
        """Logits code by code in raster order, from the start of `row`: see `RasterWalk`."""
        from vq.priors.incremental import RasterWalk

        return RasterWalk(self, codes, labels, row=row)


def initialise(layers: Sequence[GatedLayer]) -> None:
    """Unit variance before every gate, however deep, as batch normalisation would give."""
    for layer in layers:
        power = 1.0 if layer.first else GATE_POWER
        _normal(layer.vertical, power)
        _normal(layer.horizontal, 2.0)
        _normal(layer.link, 2.0)
        _normal(layer.out, GATE_POWER * (1 if layer.first else len(layers)))


def _normal(conv: nn.Conv2d, power: float) -> None:
    """Random weights that turn inputs of mean square `power` into outputs of variance 1."""
    nn.init.normal_(conv.weight, std=(conv.weight[0].numel() * power) ** -0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
