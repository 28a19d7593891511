"""The VQ-VAE: picture -> encoder -> nearest codes -> decoder -> picture.

van den Oord et al., arXiv 1711.00937, section 3 and 4.1: strided 4x4 convolutions, then
residual blocks (ReLU, 3x3 convolution, ReLU, 1x1 convolution); the decoder mirrors it with
transposed convolutions. Fully convolutional: any picture whose sides the stride divides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vq.fsq import FiniteScalarQuantizer
from vq.precision import fast
from vq.quantizer import Quantized, VectorQuantizer


@dataclass(frozen=True)
class VQVAEConfig:
    """Shape of a VQ-VAE. Raises ValueError, naming field and limits, if one is out of range.

    The defaults are the paper's ImageNet model (128x128x3 -> 32x32x1, K = 512) at half its
    256 hidden units.
    """

    channels: int = 3  # of the picture
    hidden: int = 128  # units of every hidden layer
    residual_hidden: int = 128  # units inside a residual block
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    downsamplings: int = 2  # halvings of each side: the stride is 2 ** downsamplings
    num_codes: int = 512  # K
    code_dim: int = 64  # D, the length of a code vector
    books: int = 1  # independent code books (codes per position)
    ema: bool = True  # code book by moving average; False: by the code-book loss
    ema_decay: float = 0.99  # gamma of appendix A.1
    restart_below: float = 0.03  # restart codes used less than this share of the mean; 0: never
    beta: float = 0.25  # weight of the commitment loss
    rotation: bool = False  # gradient by the rotation trick (arXiv 2410.06424), not copied
    levels: tuple[int, ...] = ()  # of finite scalar quantization (vq.fsq); (): a code book

    def __post_init__(self) -> None:
        limits = {
            "channels": (1, 16),
            "hidden": (1, 1024),
            "residual_hidden": (1, 1024),
            "encoder_blocks": (0, 16),
            "decoder_blocks": (0, 16),
            "downsamplings": (1, 6),
            "num_codes": (2, 65_536),
            "code_dim": (1, 1024),
            "books": (1, 64),
            "ema_decay": (0.0, 0.99999),
            "restart_below": (0.0, 0.5),
            "beta": (0.0, 100.0),
        }
        check_ranges(self, limits)
        if not self.levels:
            return
        if any(type(n) is not int or not 2 <= n <= 256 for n in self.levels):
            raise ValueError(f"levels must be whole numbers from 2 to 256, not {self.levels}")
        wanted = (math.prod(self.levels), len(self.levels), 1, False)
        if (self.num_codes, self.code_dim, self.books, self.rotation) != wanted:
            raise ValueError(
                f"levels {self.levels} make num_codes {wanted[0]} and code_dim {wanted[1]}, "
                "with 1 book and no rotation"
            )

    @property
    def stride(self) -> int:
        """Pixels of a side for each code of a side."""
        return 2**self.downsamplings


def check_ranges(config: object, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for the first field of `config` outside its inclusive limits, or NaN."""
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int if isinstance(low, int) else float):
            kind = "a whole number" if isinstance(low, int) else "a number"
            raise ValueError(f"{name} must be {kind}, not {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {value!r}")


class VQVAEOutput(NamedTuple):
    reconstruction: Tensor  # (B, C, H, W) in the range of pictures, not clamped
    quantized: Quantized


class ResidualBlock(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x))))"""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(channels, hidden, 3, padding=1)
        self.conv1 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(F.relu(self.conv3(F.relu(x))))


class Encoder(nn.Sequential):
    """(B, C, H, W) in [0, 1] -> z_e (B, books * D, H / stride, W / stride)."""

    def __init__(self, c: VQVAEConfig) -> None:
        layers: list[nn.Module] = []
        for i in range(c.downsamplings):
            layers += [nn.Conv2d(c.hidden if i else c.channels, c.hidden, 4, 2, 1), nn.ReLU()]
        # The first residual block opens with a ReLU of its own: the last one here is spared.
        layers.pop()
        layers += [ResidualBlock(c.hidden, c.residual_hidden) for _ in range(c.encoder_blocks)]
        layers += [nn.ReLU(), nn.Conv2d(c.hidden, c.books * c.code_dim, 1)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """z_q (B, books * D, h, w) -> (B, out, h * stride, w * stride); out: None for C."""

    def __init__(self, c: VQVAEConfig, out: int | None = None) -> None:
        last = c.channels if out is None else out
        layers: list[nn.Module] = [nn.Conv2d(c.books * c.code_dim, c.hidden, 3, padding=1)]
        layers += [ResidualBlock(c.hidden, c.residual_hidden) for _ in range(c.decoder_blocks)]
        for i in range(c.downsamplings):
            width = last if i == c.downsamplings - 1 else c.hidden
            layers += [nn.ReLU(), nn.ConvTranspose2d(c.hidden, width, 4, 2, 1)]
        super().__init__(*layers)


def quantizer(c: VQVAEConfig) -> VectorQuantizer | FiniteScalarQuantizer:
    """The layer between encoder and decoder."""
    if c.levels:
        return FiniteScalarQuantizer(c.levels, decay=c.ema_decay)
    return VectorQuantizer(
        c.num_codes,
        c.code_dim,
        c.books,
        ema=c.ema,
        decay=c.ema_decay,
        restart_below=c.restart_below,
        rotation=c.rotation,
    )


class VQVAE(nn.Module):
    """Encoder, code book and decoder. Pictures are float32 (B, C, H, W) in [0, 1].

    `encode` and `decode` run the convolutions in bfloat16 where that is fast (see
    `vq.precision`), as training does; the code book is searched in float32 everywhere. Codes of
    one picture may therefore differ here and there between two kinds of machine.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = quantizer(config)
        self.decoder = Decoder(config)

    @property
    def stride(self) -> int:
        """Pixels of a side for each code of a side."""
        return self.config.stride

    @property
    def reach(self) -> int | None:
        """How many codes around a code the decoder looks at; None: at all of the map."""
        return self.config.decoder_blocks + 3

    def forward(self, pictures: Tensor) -> VQVAEOutput:
        """Reconstruct pictures (B, C, H, W); in training mode also update the code book."""
        quantized = self.quantizer(self._encoded(pictures))
        return VQVAEOutput(self._decoded(quantized.vectors), quantized)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Codes (B, h, w) of pictures (B, C, H, W), or (B, h, w, books) with several books.

        Raises ValueError if the channels differ or the stride does not divide both sides, and
        FloatingPointError where the vectors overflow: the nearest code to none would be any.
        """
        with fast(pictures.device):
            vectors = self._encoded(pictures)
            if not vectors.isfinite().all():
                raise FloatingPointError("the encoder gives vectors that are not finite")
            return self.quantizer.encode(vectors)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, C, h * stride, w * stride) in [0, 1] of codes as `encode` gives them.

        Raises ValueError if a code is not in the code book.
        """
        with fast(codes.device):
            return self._decoded(self.quantizer.vectors(codes)).clamp(0, 1)

    @torch.no_grad()
    def code_vectors(self) -> Tensor:
        """The vectors (K, D) that the decoder is given for the codes, of a model with one book."""
        device = next(self.parameters()).device
        every = torch.arange(self.config.num_codes, device=device)
        return self.quantizer.vectors(every[None, None])[0, :, 0].T

    def _encoded(self, pictures: Tensor) -> Tensor:
        _, channels, height, width = pictures.shape
        if channels != self.config.channels:
            raise ValueError(f"pictures must have {self.config.channels} channels, not {channels}")
        if height % self.stride or width % self.stride or not height * width:
            raise ValueError(
                f"the sides of a picture must be multiples of {self.stride}, not {width}x{height}"
            )
        # Centred inputs and outputs train faster than ones in [0, 1].
        return self.encoder(pictures.contiguous(memory_format=torch.channels_last) - 0.5)

    def _decoded(self, vectors: Tensor) -> Tensor:
        return self.decoder(vectors.contiguous(memory_format=torch.channels_last)).float() + 0.5
