"""What is minimised for each network: the paper's loss, and the prior's likelihood bound."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vq.autoencoder import VQVAE
from vq.baselines import PixelModel
from vq.data import Pictures, batch_indices, random_crops, step_generator
from vq.map_vae import MapVAE
from vq.priors.books import BooksPrior
from vq.priors.masked import MaskedPrior
from vq.priors.pixelcnn import PixelCNN
from vq.quantizer import perplexity
from vq.training import Objective


class VQVAEObjective(Objective):
    """Equation 3: reconstruction + code-book loss + beta x commitment loss, on random crops.

    p(x | z) is a Gaussian of fixed variance, so that -log p(x | z) is, but for a constant, the
    squared error over that variance; `variance` is that of the data, which leaves the terms
    on one scale (as in sonnet).
    """

    model: VQVAE

    def __init__(self, model: VQVAE, data: Pictures, *, crop: int, seed: int) -> None:
        super().__init__()
        self.model, self.data, self.crop, self.seed = model, data, crop, seed
        sample = data.pixels[:: max(1, len(data) // 1000)]
        self.variance = float((sample / 255.0).var(axis=(0, 1, 2)).mean())

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        rng = step_generator(self.seed, step)
        pixels = self.data.pixels[batch_indices(len(self.data), self.seed, step, size)]
        crops = random_crops(pixels, self.crop, rng)
        return (torch.from_numpy(crops).permute(0, 3, 1, 2),)

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        pictures = batch[0].float() / 255
        out = self.model(pictures)
        mse = F.mse_loss(out.reconstruction, pictures)
        q = out.quantized
        loss = mse / self.variance + q.codebook_loss + self.model.config.beta * q.commitment_loss
        return {
            "loss": loss,
            "mse": mse.detach(),
            "codebook": q.codebook_loss.detach(),
            "commitment": q.commitment_loss.detach(),
        }

    def progress(self) -> dict[str, float]:
        """Perplexity and codes used, by the moving average of usage (over about 100 steps)."""
        counts = self.model.quantizer.counts
        used = (counts > 0.01 * counts.mean(1, keepdim=True)).float().sum(1).mean()
        return {"perplexity": float(perplexity(counts).mean()), "codes_used": float(used)}


class MaskedPriorObjective(Objective):
    """Order-agnostic autoregressive likelihood bound (arXiv 2110.02037, equations 4 and 5).

    The number of hidden codes is uniform, which codes they are is random, and each map counts
    with the mean -log2 p of its hidden codes: an unbiased estimate of the bits per code of a
    random order. A share `holes` of the maps hides codes only inside a random rectangle, as
    regions are edited: conditionals of the same kind, on sets that a uniform draw all but
    never gives. `bits` in the log is the bound itself, over the other maps.
    """

    def __init__(
        self,
        model: MaskedPrior,
        maps: np.ndarray,  # (N, h, w)
        labels: np.ndarray,  # (N,), -1 for none
        *,
        holes: float,
        drop_label: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.maps, self.labels = model, maps, labels
        self.holes, self.drop_label, self.seed = holes, drop_label, seed

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        rng = step_generator(self.seed, step)
        index = batch_indices(len(self.maps), self.seed, step, size)
        codes = self.maps[index].astype(np.int64)
        labels = np.where(rng.random(size) < self.drop_label, -1, self.labels[index])
        whole = rng.random(size) >= self.holes
        known = hide(codes.shape, rng)
        for i in np.flatnonzero(~whole):
            inside = random_rectangle(codes.shape[1:], rng)
            known[i] |= ~inside
            if known[i].all():  # nothing hidden: hide one code of the rectangle after all
                cells = np.argwhere(inside)
                known[i][tuple(cells[rng.integers(len(cells))])] = False
        return tuple(map(torch.from_numpy, (codes, known, labels, whole)))

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        codes, known, labels, whole = batch
        hidden = ~known
        logits = self.model(codes, known, labels, hidden)
        nll = F.cross_entropy(logits, codes[hidden], reduction="none") / math.log(2)
        owner = hidden.nonzero()[:, 0]
        bits = nll.new_zeros(len(codes)).index_add_(0, owner, nll) / hidden.sum((1, 2))
        bound = bits[whole].mean() if whole.any() else bits.mean()
        return {"loss": bits.mean(), "bits": bound.detach()}


class PixelCNNObjective(Objective):
    """-log2 p of each code given those before it in raster order: exact, by the chain rule.

    A share `drop_label` of the maps is shown without its class.
    """

    def __init__(
        self,
        model: PixelCNN,
        maps: np.ndarray,  # (N, h, w)
        labels: np.ndarray,  # (N,), -1 for none
        *,
        drop_label: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.maps, self.labels = model, maps, labels
        self.drop_label, self.seed = drop_label, seed

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        rng = step_generator(self.seed, step)
        index = batch_indices(len(self.maps), self.seed, step, size)
        labels = np.where(rng.random(size) < self.drop_label, -1, self.labels[index])
        return torch.from_numpy(self.maps[index].astype(np.int64)), torch.from_numpy(labels)

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        codes, labels = batch
        logits = self.model(codes, labels).movedim(1, 3)  # a code's scores lie together in memory
        bits = F.cross_entropy(logits.flatten(0, 2), codes.flatten()) / math.log(2)
        return {"loss": bits, "bits": bits.detach()}


class BitsObjective(Objective):
    """A pixel model's own bound, on pictures that are mirrored half of the time."""

    model: PixelModel

    def __init__(self, model: PixelModel, data: Pictures, seed: int) -> None:
        super().__init__()
        self.model, self.data, self.seed = model, data, seed

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        rng = step_generator(self.seed, step)
        pixels = self.data.pixels[batch_indices(len(self.data), self.seed, step, size)]
        flip = np.less(rng.random(size), 0.5)[:, None, None, None]
        pixels = np.where(flip, pixels[:, :, ::-1], pixels).transpose(0, 3, 1, 2)
        return torch.from_numpy(pixels), self.model.noise(rng, pixels.shape, self.model.samples)

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        return self.model.loss(*batch)


class BooksPriorObjective(Objective):
    """-log2 p of the code maps (N, h, w, books): exact, by the chain rule."""

    model: BooksPrior

    def __init__(self, model: BooksPrior, maps: Tensor, seed: int) -> None:
        super().__init__()
        self.model, self.maps, self.seed = model, maps, seed

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        return (self.maps[batch_indices(len(self.maps), self.seed, step, size)].long(),)

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        return {"loss": self.model.bits(*batch).mean()}


class MapVAEObjective(Objective):
    """Equation 3 for the codes, the evidence lower bound for the Gaussian; by code of the map."""

    model: MapVAE

    def __init__(self, model: MapVAE, maps: np.ndarray, *, seed: int) -> None:
        super().__init__()
        self.model, self.maps, self.seed = model, maps, seed

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        c = self.model.config
        index = batch_indices(len(self.maps), self.seed, step, size)
        noise = step_generator(self.seed, step).standard_normal((size, c.latents * c.latent_dim))
        return torch.from_numpy(self.maps[index].astype(np.int64)), torch.from_numpy(noise).float()

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        maps, noise = batch
        out = self.model(maps, noise)
        bits, rate = out.bits.mean(), out.rate.mean()
        # The rate of codes is a constant, which no gradient feels.
        loss = (bits + rate) / maps[0].numel() + out.auxiliary
        return {
            "loss": loss,
            "bits": bits.detach(),
            "rate": rate.detach(),
            "auxiliary": out.auxiliary.detach(),
        }

    def progress(self) -> dict[str, float]:
        """Perplexity of each latent's codes, by the moving average of usage: their mean."""
        if self.model.config.gaussian:
            return {}
        return {"perplexity": float(perplexity(self.model.quantizer.counts).mean())}


def hide(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Known codes (B, h, w): in each map a uniform number, from 1 to all, is hidden at random.

    The numbers are spread evenly over the batch (one draw from each of B equal intervals),
    which leaves every single one uniform and the mean of the batch steadier.
    """
    b, n = shape[0], math.prod(shape[1:])
    spread = (rng.permutation(b) + rng.random(b)) / b
    hidden = 1 + np.floor(spread * n).astype(int)
    ranks = rng.random((b, n)).argsort(1).argsort(1)
    return (ranks >= hidden[:, None]).reshape(shape)


def random_rectangle(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A random rectangle (h, w) bool, each side between an eighth and three quarters."""
    out = np.zeros(shape, bool)
    spans = []
    for side in shape:
        length = int(rng.integers(max(1, side // 8), max(2, side * 3 // 4 + 1)))
        start = int(rng.integers(0, side - length + 1))
        spans.append(slice(start, start + length))
    out[tuple(spans)] = True
    return out
