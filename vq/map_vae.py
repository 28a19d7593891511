"""A VQ-VAE over code maps, whose decoder is a PixelCNN; and the Gaussian VAE beside it.

Van den Oord et al. (arXiv 1711.00937), section 4.1: on the 21x21 maps of a first VQ-VAE a second
one is trained with 3 latents of K = 512, 27 bits for a whole frame. Its decoder could do without
them, as each code is seen by those before it; a VAE with such a decoder lets its latents collapse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vq.autoencoder import check_ranges
from vq.priors.incremental import RasterWalk
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.quantizer import VectorQuantizer
from vq.resampling import resample

MAX_CONDITION = 2**24  # numbers by which a map's latents are told to its decoder


@dataclass(frozen=True)
class MapVAEConfig:
    """Shape of a VAE over maps. Raises ValueError, naming field and limits, if out of range."""

    num_codes: int = 512  # of the maps
    map_size: tuple[int, int] = (21, 21)  # codes: height, width
    gaussian: bool = False  # latents: normal numbers; False: codes
    latents: int = 3
    latent_codes: int = 512  # K of each latent; of no meaning to a Gaussian
    latent_dim: int = 64  # numbers of each latent
    beta: float = 0.25  # weight of the commitment loss
    channels: int = 64  # of the encoder, of the decoder, and of what tells it the latents
    layers: int = 6  # of the decoder

    def __post_init__(self) -> None:
        limits = {
            "latents": (1, 64),
            "latent_codes": (2, 65_536),
            "latent_dim": (1, 1024),
            "beta": (0.0, 100.0),
        }
        check_ranges(self, limits)
        self.decoder()  # checks the rest
        told = 4 * self.layers * self.channels * math.prod(self.map_size)
        if told > MAX_CONDITION:
            raise ValueError(
                "4 x layers x channels x the places of map_size must be at most "
                f"{MAX_CONDITION:,}, not {told:,}"
            )

    def decoder(self) -> PixelCNNConfig:
        """Shape of p(map | latents)."""
        return PixelCNNConfig(
            self.num_codes, self.map_size, layers=self.layers, channels=self.channels
        )


class MapVAEOutput(NamedTuple):
    bits: Tensor  # (B,) -log2 p(map | latents), of the whole map
    rate: Tensor  # (B,) bits of the latents: latents x log2 K, or KL(q(z | map) || p(z))
    auxiliary: Tensor  # scalar: code-book and commitment loss


class MapVAE(nn.Module):
    """map -> encoder -> latents -> PixelCNN. Maps are int64 (B, h, w)."""

    def __init__(self, config: MapVAEConfig) -> None:
        super().__init__()
        self.config = c = config
        width, numbers = c.channels, c.latents * c.latent_dim
        self.embedding = nn.Embedding(c.num_codes, width)
        small = [math.ceil(side / 8) for side in c.map_size]
        layers: list[nn.Module] = []
        for _ in range(3):  # halve the sides, rounding up
            layers += [nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()]
        out = 2 * numbers if c.gaussian else numbers
        layers += [nn.Flatten(), nn.Linear(width * math.prod(small), out)]
        self.encoder = nn.Sequential(*layers)
        if not c.gaussian:
            # "Each with their own embedding space": one place, a book for each latent.
            self.quantizer = VectorQuantizer(c.latent_codes, c.latent_dim, c.latents)
        quarter = [math.ceil(side / 4) for side in c.map_size]
        self.spread = nn.Sequential(
            nn.Linear(numbers, width * math.prod(quarter)),
            nn.ReLU(),
            nn.Unflatten(1, (width, *quarter)),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, c.layers * 4 * width, 1),
        )
        self.decoder = PixelCNN(c.decoder())

    def forward(self, maps: Tensor, noise: Tensor | None = None) -> MapVAEOutput:
        """Both terms of the bound. noise (B, latents * D): standard normal, for the Gaussian;
        None: its mean. In training mode the code books are updated."""
        c = self.config
        z = self._encoded(maps)
        if c.gaussian:
            mean, log_variance = z.chunk(2, 1)
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
            if noise is not None:
                mean = mean + (log_variance / 2).exp() * noise
            return MapVAEOutput(self.bits(maps, mean), kl / math.log(2), kl.new_zeros(()))
        q = self.quantizer(z[:, :, None, None])
        rate = z.new_full((len(maps),), c.latents * math.log2(c.latent_codes))
        auxiliary = q.codebook_loss + c.beta * q.commitment_loss
        return MapVAEOutput(self.bits(maps, q.vectors.flatten(1)), rate, auxiliary)

    def encode(self, maps: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents (B, latents * D) of maps, as the decoder gets them; noise: see `forward`."""
        if not self.config.gaussian:
            return self.vectors(self.codes(maps))
        mean, log_variance = self._encoded(maps).chunk(2, 1)
        return mean if noise is None else mean + (log_variance / 2).exp() * noise

    def codes(self, maps: Tensor) -> Tensor:
        """Latent codes (B, latents) int64 of maps."""
        return self.quantizer.encode(self._encoded(maps)[:, :, None, None]).view(len(maps), -1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Latents (B, latents * D) of latent codes (B, latents). ValueError if out of range."""
        b, n = codes.shape
        shape = (b, 1, 1, n) if n > 1 else (b, 1, 1)
        return self.quantizer.vectors(codes.view(shape)).flatten(1)

    def bits(self, maps: Tensor, latents: Tensor) -> Tensor:
        """-log2 p(map | latents) (B,) of maps (B, h, w), given latents (B, latents * D)."""
        return _bits(self.decoder, maps, self._condition(latents)).sum((1, 2))

    def given(self, latents: Tensor) -> GivenLatents:
        """p(map | latents) of latents (1, latents * D), as a prior that samplers know."""
        with torch.no_grad():
            return GivenLatents(self.decoder, self._condition(latents))

    def sample(self, latents: Tensor, seeds: list[int], temperature: float = 1.0) -> Tensor:
        """Maps (B, h, w) drawn code by code given latents (B, latents * D), one seed for each."""
        shape = (1, *self.config.map_size)
        maps = torch.zeros(shape, dtype=torch.int64, device=latents.device)
        hole = torch.ones_like(maps, dtype=torch.bool)
        return torch.cat(
            [
                resample(self.given(one), maps, hole, [seed], temperature=temperature)
                for one, seed in zip(latents.split(1), seeds, strict=True)
            ]
        )

    def _encoded(self, maps: Tensor) -> Tensor:
        return self.encoder(self.embedding(maps).permute(0, 3, 1, 2)).float()

    def _condition(self, latents: Tensor) -> Tensor:
        """What joins every gate of the decoder: (B, layers, 4C, h, w)."""
        height, width = self.config.map_size
        spread = self.spread(latents)[:, :, :height, :width]
        return spread.unflatten(1, (self.config.layers, -1))


class GivenLatents:
    """A `vq.priors.RasterPrior` over maps of the one size that the latents were spread to.

    decoder: of a `MapVAE`; condition: (1, layers, 4C, h, w), the same for every map. It knows no
    classes: labels are ignored.
    """

    def __init__(self, decoder: PixelCNN, condition: Tensor) -> None:
        self.config = decoder.config
        self._decoder, self._condition = decoder, condition

    def bits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """-log2 p (B, h, w) of each code of (B, h, w) int64, given those before it."""
        return _bits(self._decoder, codes, self._for(codes))

    def walk(self, codes: Tensor, labels: Tensor | None = None, *, row: int = 0) -> RasterWalk:
        """Code by code from the start of `row`: see `vq.priors.incremental`."""
        return RasterWalk(self._decoder, codes, features=self._for(codes), row=row)

    def _for(self, codes: Tensor) -> Tensor:
        size = self._condition.shape[3:]
        if codes.shape[1:] != size:
            raise ValueError(f"maps must be {tuple(size)} codes, not {tuple(codes.shape[1:])}")
        return self._condition.expand(len(codes), -1, -1, -1, -1)


def _bits(decoder: PixelCNN, maps: Tensor, condition: Tensor) -> Tensor:
    logits = decoder.conditioned(maps, condition)
    return F.cross_entropy(logits, maps, reduction="none") / math.log(2)
