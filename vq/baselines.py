"""The paper's three models of pixels, on one encoder and one decoder (arXiv 1711.00937, 4.1).

SoftmaxVQVAE, GaussianVAE and VIMCO differ in their latents alone: `books` of them for each
position of the map. p(x | z) is a softmax over the 256 levels of each sub-pixel
(`vq.likelihood`), so that all are compared by a bound on -log2 p(x), in bits per dimension.

Pixels are uint8 (B, C, H, W). Random numbers come as arguments, drawn by `noise` from the
generator of a step, so that a resumed run sees them again.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vq.atomic import write_file
from vq.autoencoder import Decoder, Encoder, VQVAEConfig
from vq.autoencoder import quantizer as make_quantizer
from vq.likelihood import PixelSoftmax, bits_per_dim

# A sample of VIMCO whose share of the bound is below this gets no gradient of p(x | h): 50 of
# them together change it by less than a thousandth, and most samples are such.
NEGLIGIBLE = 1e-5
AT_ONCE = 1024  # decoded pictures that VIMCO keeps for their gradient; of more it makes them anew


class PixelModel(nn.Module):
    """Encoder and decoder of a VQVAEConfig, with a 256-way softmax for every sub-pixel.

    encoded, decoded: channels for each of the `books` latents of a position, out of the
    encoder and into the decoder.
    """

    samples = 1  # of the latents, for each picture in training

    def __init__(self, config: VQVAEConfig, *, encoded: int, decoded: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(replace(config, code_dim=encoded))
        self.decoder = Decoder(replace(config, code_dim=decoded), config.hidden)
        self.pixels = PixelSoftmax(config.hidden, config.channels)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], samples: int) -> Tensor:
        """Random numbers for pixels of a shape (B, C, H, W): (B, samples, books, h, w)."""
        raise NotImplementedError

    def loss(self, pixels: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Scalars: "loss" to minimise, in nats per dimension; "bits" per dimension of the bound."""
        raise NotImplementedError

    def bound(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """An upper bound on -log2 p(x), bits per dimension (B,): see each model's class."""
        raise NotImplementedError

    def latents(self, pixels: Tensor) -> Tensor:
        """What the decoder gets for a picture, without noise: (B, C', h, w)."""
        raise NotImplementedError

    def reconstruct(self, pixels: Tensor) -> Tensor:
        """The expected picture (B, C, H, W) in [0, 1] under p(x | z) of the picture's latents."""
        return self.pixels.mean(self.features(self.latents(pixels)))

    def encode(self, pixels: Tensor) -> Tensor:
        """Encoder outputs (B, C', h, w) float32."""
        x = pixels.contiguous(memory_format=torch.channels_last).float() / 255 - 0.5
        return self.encoder(x).float()

    def features(self, latents: Tensor) -> Tensor:
        """What PixelSoftmax scores levels by: (B, hidden, H, W)."""
        return F.relu(self.decoder(latents.contiguous(memory_format=torch.channels_last)))

    def _map(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return shape[2] // self.config.stride, shape[3] // self.config.stride

    def _bits(self, nats: Tensor, pixels: Tensor) -> Tensor:
        return bits_per_dim(nats, pixels[0].numel())


class SoftmaxVQVAE(PixelModel):
    """The VQ-VAE with `books` independent code books for each position.

    q(z | x) is certain of its codes, so the ELBO (section 3.1) is log p(x | z_q) + log p(z_q).
    `bound` takes the uniform prior of training: books * h * w * log2 K bits for the codes. A
    prior learned afterwards makes them cheaper, and the bound tighter by what it saves.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__(config, encoded=config.code_dim, decoded=config.code_dim)
        self.quantizer = make_quantizer(config)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], samples: int) -> Tensor:
        """None is needed."""
        return torch.zeros(shape[0], 0)

    def loss(self, pixels: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Equation 3: -log p(x | z_q) + |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2, all sums."""
        q = self.quantizer(self.encode(pixels))
        weights = torch.full((len(pixels),), 1 / len(pixels), device=pixels.device)
        nll, each = self.pixels(self.features(q.vectors), pixels, weights)
        # The quantizer's losses are means over elements; a picture has this many of them.
        elements = q.vectors[0].numel()
        squares = q.codebook_loss + self.config.beta * q.commitment_loss
        bits = self._bits(each, pixels) + self.rate(pixels)
        return {
            "loss": (nll + elements * squares) / pixels[0].numel(),
            "bits": bits.mean(),
            "commitment": q.commitment_loss.detach(),
        }

    @torch.no_grad()
    def bound(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """-log2 p(x | z_q) + log2 of the number of all code maps: exact, no sampling."""
        return self.distortion(pixels) + self.rate(pixels)

    @torch.no_grad()
    def distortion(self, pixels: Tensor) -> Tensor:
        """-log2 p(x | z_q), bits per dimension (B,)."""
        return self._bits(self.pixels.nll(self.features(self.latents(pixels)), pixels), pixels)

    def rate(self, pixels: Tensor) -> float:
        """Bits per dimension of the codes under the uniform prior."""
        h, w = self._map(tuple(pixels.shape))
        bits = h * w * self.config.books * math.log2(self.config.num_codes)
        return bits / pixels[0].numel()

    @torch.no_grad()
    def codes(self, pixels: Tensor) -> Tensor:
        """(B, h, w, books) int64."""
        codes = self.quantizer.encode(self.encode(pixels))
        return codes.view(*codes.shape[:3], self.config.books)

    @torch.no_grad()
    def latents(self, pixels: Tensor) -> Tensor:
        return self.quantizer.vectors(self.codes(pixels))


class GaussianVAE(PixelModel):
    """`books` Gaussian latents for each position, with a standard normal prior.

    Kingma and Welling, "Auto-Encoding Variational Bayes" (arXiv 1312.6114): trained on the ELBO
    of equation 3 with the KL divergence of appendix B, one sample by reparametrisation.
    `bound` is the importance-weighted one of as many samples as the noise has (Burda et al.,
    arXiv 1509.00519, equation 8); `elbo` is the ELBO.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__(config, encoded=2, decoded=1)

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log of the standard deviation of q(z | x), each (B, books, h, w)."""
        mean, log_sd = self.encode(pixels).chunk(2, 1)
        return mean, log_sd.clamp(-8, 8)  # beyond them float32 gains nothing

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], samples: int) -> Tensor:
        size = (shape[0], samples, self.config.books, *self._map(shape))
        return torch.from_numpy(rng.standard_normal(size, dtype=np.float32))

    def loss(self, pixels: Tensor, noise: Tensor) -> dict[str, Tensor]:
        mean, log_sd = self.posterior(pixels)
        z = mean + log_sd.exp() * noise[:, 0]
        weights = torch.full((len(pixels),), 1 / len(pixels), device=pixels.device)
        nll, each = self.pixels(self.features(z), pixels, weights)
        kl = gaussian_kl(mean, log_sd)
        return {
            "loss": (nll + kl.mean()) / pixels[0].numel(),
            "bits": self._bits(each + kl.detach(), pixels).mean(),
            "rate": self._bits(kl.detach(), pixels).mean(),
        }

    @torch.no_grad()
    def elbo(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """Minus the ELBO, bits per dimension (B,), estimated with the first sample of z."""
        mean, log_sd = self.posterior(pixels)
        nll = self.pixels.nll(self.features(mean + log_sd.exp() * noise[:, 0]), pixels)
        return self._bits(nll + gaussian_kl(mean, log_sd), pixels)

    @torch.no_grad()
    def bound(self, pixels: Tensor, noise: Tensor) -> Tensor:
        mean, log_sd = self.posterior(pixels)
        log_weights = []
        for e in noise.unbind(1):
            z = mean + log_sd.exp() * e
            # log p(z) - log q(z | x): the normalising constants are the same.
            difference = (log_sd + (e.square() - z.square()) / 2).flatten(1).sum(1)
            log_weights.append(difference - self.pixels.nll(self.features(z), pixels))
        return self._bits(-multi_sample_bound(torch.stack(log_weights, 1)), pixels)

    @torch.no_grad()
    def latents(self, pixels: Tensor) -> Tensor:
        return self.posterior(pixels)[0]


class VIMCO(PixelModel):
    """`books` categorical latents of K values for each position, with a uniform prior.

    Mnih and Rezende, "Variational inference for Monte Carlo objectives" (arXiv 1602.06725).
    Trained on, and measured by (`bound`), the multi-sample bound of its equation 3: the log of
    the mean of p(x, h) / q(h | x) over `samples` samples of h (an IWAE bound).
    """

    def __init__(self, config: VQVAEConfig, samples: int = 50) -> None:
        if samples < 2:
            raise ValueError(f"VIMCO compares samples: it needs 2 or more, not {samples}")
        # From the encoder K scores for each latent; to the decoder a vector of its own.
        super().__init__(config, encoded=config.num_codes, decoded=config.code_dim)
        self.samples = samples
        self.embedding = nn.Embedding(config.books * config.num_codes, config.code_dim)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...], samples: int) -> Tensor:
        """Uniform in [0, 1)."""
        size = (shape[0], samples, self.config.books, *self._map(shape))
        return torch.from_numpy(rng.random(size, dtype=np.float32))

    def loss(self, pixels: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Minus a function whose gradient is VIMCO's (equations 5, 8 and 10).

        The score function's part is log q of every sample times its own learning signal; the
        other part is the gradient of log f, weighted by the samples' shares of the bound.
        """
        s = self.sample(pixels, noise)
        signal, shares = vimco_terms(s.log_f)
        kept = shares > NEGLIGIBLE
        which = kept.nonzero()[:, 0]
        parts = (s.codes[kept], pixels[which], shares[kept] / len(pixels))
        if len(which) <= AT_ONCE:
            nll = self._nll(*parts)
        else:
            pieces = zip(*(t.split(AT_ONCE) for t in parts), strict=True)
            nll = torch.stack(
                [checkpoint(self._nll, *p, use_reentrant=False) for p in pieces]
            ).sum()
        score = ((signal - shares) * s.log_q).sum(1).mean()
        return {
            "loss": (nll - score) / pixels[0].numel(),
            "bits": self._bits(-multi_sample_bound(s.log_f), pixels).mean(),
            "decoded": kept.sum() / len(pixels),
        }

    def _nll(self, codes: Tensor, pixels: Tensor, weights: Tensor) -> Tensor:
        return self.pixels(self.features(self.embed(codes)), pixels, weights)[0]

    @torch.no_grad()
    def bound(self, pixels: Tensor, noise: Tensor) -> Tensor:
        return self._bits(-multi_sample_bound(self.sample(pixels, noise).log_f), pixels)

    def sample(self, pixels: Tensor, noise: Tensor) -> Samples:
        """As many samples as the noise (B, samples, books, h, w) has; only log q has a gradient."""
        log_probabilities = self.posterior(pixels)
        codes = inverse_cdf(log_probabilities.detach().exp(), noise)
        log_q = log_probabilities.unsqueeze(1).expand(*codes.shape, -1)
        log_q = log_q.gather(-1, codes.unsqueeze(-1)).flatten(2).sum(2)
        with torch.no_grad():
            nll = [self.pixels.nll(self.features(self.embed(c)), pixels) for c in codes.unbind(1)]
            log_prior = -math.log(self.config.num_codes) * codes[0, 0].numel()
            log_f = log_prior - torch.stack(nll, 1) - log_q
        return Samples(codes, log_q, log_f)

    def posterior(self, pixels: Tensor) -> Tensor:
        """log q (B, books, h, w, K) of each latent's values, independent given the picture."""
        scores = self.encode(pixels).unflatten(1, (self.config.books, -1))
        return scores.movedim(2, -1).log_softmax(-1)

    def embed(self, codes: Tensor) -> Tensor:
        """The decoder's input (N, books * D, h, w) for codes (N, books, h, w)."""
        first = torch.arange(self.config.books, device=codes.device) * self.config.num_codes
        return self.embedding(codes + first[:, None, None]).movedim(-1, 2).flatten(1, 2)

    @torch.no_grad()
    def latents(self, pixels: Tensor) -> Tensor:
        return self.embed(self.posterior(pixels).argmax(-1))


def save_model(model: PixelModel, path: Path) -> None:
    """Its weights as safetensors, with its type and configuration as their metadata."""
    metadata = {"type": type(model).__name__, "config": json.dumps(asdict(model.config))}
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save(tensors, metadata=metadata))


def load_model(path: Path) -> PixelModel:
    """The model that `save_model` has saved, on the CPU, in evaluation mode.

    Raises ValueError if the file holds none, or its configuration is out of range.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    kinds = {kind.__name__: kind for kind in (SoftmaxVQVAE, GaussianVAE, VIMCO)}
    if metadata.get("type") not in kinds:
        raise ValueError(f"{path}: none of {', '.join(kinds)}")
    values = json.loads(metadata["config"])
    model = kinds[metadata["type"]](VQVAEConfig(**values | {"levels": tuple(values["levels"])}))
    model.load_state_dict(tensors)
    return model.eval()


class Samples(NamedTuple):
    codes: Tensor  # (B, samples, books, h, w) int64
    log_q: Tensor  # (B, samples): log q(h | x), with its gradient
    log_f: Tensor  # (B, samples): log p(x, h) - log q(h | x), without


def gaussian_kl(mean: Tensor, log_sd: Tensor) -> Tensor:
    """KL(q || standard normal) in nats (B,), summed over latents (B, ...)."""
    kl = (mean.square() + (2 * log_sd).exp() - 1) / 2 - log_sd
    return kl.flatten(1).sum(1)


def multi_sample_bound(log_weights: Tensor) -> Tensor:
    """log of the mean of exp(log_weights) over the samples: (B, samples) -> (B,)."""
    return log_weights.logsumexp(1) - math.log(log_weights.shape[1])


def vimco_terms(log_f: Tensor) -> tuple[Tensor, Tensor]:
    """Learning signals and shares of the samples, each (B, samples), for log f (B, samples).

    The signal is the bound less what it would be with the sample's f replaced by the
    geometric mean of the others' (arXiv 1602.06725, equations 7 and 8); the shares are
    f over the sum of all f.
    """
    k = log_f.shape[1]
    others = (log_f.sum(1, keepdim=True) - log_f) / (k - 1)
    # Row j of the last two dimensions is the samples with the j-th replaced.
    replaced = log_f.unsqueeze(1).expand(-1, k, -1).clone()
    replaced.diagonal(dim1=1, dim2=2).copy_(others)
    without = replaced.logsumexp(2) - math.log(k)
    return multi_sample_bound(log_f).unsqueeze(1) - without, log_f.softmax(1)


def inverse_cdf(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Samples by inverting the distribution function.

    probabilities: (B, ..., K); uniform: (B, samples, ...) in [0, 1). Returns int64 like uniform.
    """
    cdf = probabilities.cumsum(-1)
    u = uniform.movedim(1, -1) * cdf[..., -1:]  # rounding may leave the sum a little off 1
    codes = torch.searchsorted(cdf, u.contiguous(), right=True)
    return codes.clamp(max=probabilities.shape[-1] - 1).movedim(-1, 1)
