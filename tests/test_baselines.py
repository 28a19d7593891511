"""The paper's three models of pixels: bounds that hold, gradients that are the right ones."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import vq.baselines as baselines
from vq.autoencoder import VQVAEConfig
from vq.baselines import (
    VIMCO,
    GaussianVAE,
    PixelModel,
    SoftmaxVQVAE,
    gaussian_kl,
    inverse_cdf,
    load_model,
    multi_sample_bound,
    save_model,
    vimco_terms,
)

TINY = VQVAEConfig(
    hidden=8, residual_hidden=4, num_codes=3, code_dim=2, books=2, encoder_blocks=1,
    decoder_blocks=1,
)  # fmt: skip
MODELS = [SoftmaxVQVAE, GaussianVAE, VIMCO]


def pixels(n: int = 2, side: int = 8) -> Tensor:
    rng = np.random.default_rng(3)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, side, side), np.uint8))


def build(kind: type[PixelModel], config: VQVAEConfig = TINY) -> PixelModel:
    torch.manual_seed(0)
    return kind(config)  # type: ignore[call-arg]


def posterior_bias(model: PixelModel) -> Tensor:
    """What is added to every encoder output, to be written to."""
    bias = list(model.encoder)[-1].bias
    assert isinstance(bias, Tensor)
    return bias.detach()


@pytest.mark.parametrize("kind", MODELS)
def test_one_encoder_and_one_decoder(kind: type[PixelModel]) -> None:
    """All weights but those next to the latents have the shapes that the others' have."""
    config = dataclasses.replace(TINY, books=10)
    shapes = [
        [
            tuple(p.shape)
            for layer in (*list(m.encoder)[:-1], *list(m.decoder)[1:])
            for p in layer.parameters()
        ]
        for m in (build(kind, config), build(SoftmaxVQVAE, config))
    ]
    assert shapes[0] == shapes[1]
    assert len(build(kind, config).latents(pixels(side=32))[0, 0]) == 8  # a map of 8x8


@pytest.mark.parametrize("kind", MODELS)
def test_training_lowers_the_loss_and_reaches_every_weight(kind: type[PixelModel]) -> None:
    model = build(kind)
    model.samples = min(model.samples, 4)
    x, rng = pixels(), np.random.default_rng(0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    first = 0.0
    for step in range(60):
        scalars = model.loss(x, model.noise(rng, tuple(x.shape), model.samples))
        optimizer.zero_grad()
        scalars["loss"].backward()
        optimizer.step()
        first = first or float(scalars["bits"].detach())
        if step == 0:
            unused = [n for n, p in model.named_parameters() if p.grad is None]
            assert unused == []
    assert float(scalars["bits"].detach()) < first - 0.2
    assert model.reconstruct(x).shape == x.shape


def test_the_vqvae_costs_its_pixels_and_the_uniform_rate() -> None:
    """-log2 p(x | z_q) by torch's own distribution, plus log2 of the number of code maps."""
    model = build(SoftmaxVQVAE).eval()
    assert isinstance(model, SoftmaxVQVAE)
    x = pixels()
    codes = model.codes(x)
    assert codes.shape == (2, 2, 2, 2)
    scores = model.pixels.logits(model.features(model.quantizer.vectors(codes)))
    log_p = torch.distributions.Categorical(logits=scores).log_prob(x.permute(0, 2, 3, 1))
    expected = (8 * math.log2(3) - log_p.flatten(1).sum(1) / math.log(2)) / 192
    assert torch.allclose(model.bound(x, torch.zeros(2, 0)), expected, atol=1e-5)
    assert model.rate(x) == pytest.approx(8 * math.log2(3) / 192)


def test_the_rate_of_the_papers_model() -> None:
    """Ten maps of 8x8 codes of 512 cost 1.875 bits a dimension, one 0.1875."""
    config = dataclasses.replace(TINY, num_codes=512, books=10)
    model = build(SoftmaxVQVAE, config)
    assert isinstance(model, SoftmaxVQVAE)
    assert model.rate(pixels(1, 32)) == 1.875
    one = build(SoftmaxVQVAE, dataclasses.replace(config, books=1))
    assert isinstance(one, SoftmaxVQVAE) and one.rate(pixels(1, 32)) == 0.1875


def test_the_vqvae_minimises_equation_3() -> None:
    """Sums over the picture, beta on the commitment alone, divided by the dimensions."""
    model = build(SoftmaxVQVAE, dataclasses.replace(TINY, ema=False, beta=0.7))
    assert isinstance(model, SoftmaxVQVAE)
    x = pixels()
    model.eval()  # the code book keeps still
    loss = float(model.loss(x, torch.zeros(2, 0))["loss"].detach())
    z = model.encode(x)
    squares = (z - model.latents(x)).square().flatten(1).sum(1)
    nats = model.distortion(x) * 192 * math.log(2)
    assert loss == pytest.approx(float((nats + 1.7 * squares).mean().detach()) / 192, rel=1e-5)


def test_gaussian_kl_is_that_of_torch() -> None:
    mean, log_sd = torch.randn(2, 5, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    q = torch.distributions.Normal(mean, log_sd.exp())
    p = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    expected = torch.distributions.kl_divergence(q, p).flatten(1).sum(1)
    assert torch.allclose(gaussian_kl(mean, log_sd), expected, atol=1e-4)


def test_many_samples_tighten_the_vaes_bound() -> None:
    """One sample of the bound estimates the ELBO; the mean falls as samples are added."""
    model = build(GaussianVAE)
    assert isinstance(model, GaussianVAE)
    x, rng = pixels(1).expand(100, -1, -1, -1), np.random.default_rng(0)
    # A posterior that is off, so that samples differ in weight.
    posterior_bias(model).copy_(torch.tensor([0.7, -0.4, 0.2, 0.3]))
    bounds = {
        k: model.bound(x, model.noise(rng, tuple(x.shape), k)).double().mean() for k in (1, 5, 25)
    }
    elbo = model.elbo(x, model.noise(rng, tuple(x.shape), 1)).double().mean()
    spread = model.bound(x, model.noise(rng, tuple(x.shape), 1)).double().std() / 100**0.5
    assert abs(bounds[1] - elbo) < 5 * spread
    assert bounds[1] - 3 * spread > bounds[5] > bounds[25]


def test_multi_sample_bound_is_the_log_of_the_mean() -> None:
    w = torch.tensor([[0.1, 0.4, 0.7], [2.0, 2.0, 2.0]])
    assert torch.allclose(multi_sample_bound(w.log()), w.mean(1).log())
    assert torch.isfinite(multi_sample_bound(torch.full((1, 50), -20_000.0))).all()


def test_learning_signals_by_hand() -> None:
    """Equations 7 and 8 written out in NumPy, sample by sample."""
    log_f = np.random.default_rng(0).normal(size=(3, 4)) * 2
    signal, shares = (t.numpy() for t in vimco_terms(torch.from_numpy(log_f)))
    for b, row in enumerate(log_f):
        f = np.exp(row)
        for j in range(4):
            others = np.delete(f, j)
            estimate = np.prod(others) ** (1 / 3)
            without = np.log((others.sum() + estimate) / 4)
            assert signal[b, j] == pytest.approx(np.log(f.mean()) - without)
            assert shares[b, j] == pytest.approx(f[j] / f.sum())


def all_codes(model: VIMCO) -> Tensor:
    """Every joint value of the latents of a picture of 4x4 pixels: (K ** books, books, 1, 1)."""
    c = model.config
    values = list(itertools.product(range(c.num_codes), repeat=c.books))
    return torch.tensor(values)[:, :, None, None]


def exact_bound(model: VIMCO, x: Tensor) -> Tensor:
    """The expectation of the 2-sample bound, in nats, over all pairs of samples: differentiable."""
    codes = all_codes(model)
    log_q = model.posterior(x)[0].squeeze(1).squeeze(1)  # (books, K)
    log_q = sum(log_q[n, codes[:, n, 0, 0]] for n in range(model.config.books))  # type: ignore[assignment]
    scores = model.pixels.logits(model.features(model.embed(codes))).log_softmax(-1)
    target = x.permute(0, 2, 3, 1).long().unsqueeze(-1).expand(len(codes), -1, -1, -1, -1)
    log_p = scores.gather(-1, target).flatten(1).sum(1)
    log_f = log_p - model.config.books * math.log(model.config.num_codes) - log_q
    pairs = torch.logaddexp(log_f[:, None], log_f[None]) - math.log(2)
    return ((log_q[:, None] + log_q[None]).exp() * pairs).sum()


def test_vimcos_gradient_is_that_of_its_bound() -> None:
    """The estimator's expectation over all pairs of samples against the gradient of the exact one.

    Two latents of three values: 9 joint values, 81 pairs, each weighted by its probability.
    """
    torch.manual_seed(1)
    model = VIMCO(TINY, samples=2)
    posterior_bias(model).normal_(std=0.7)  # far from uniform, and latents that matter a little
    with torch.no_grad():
        model.embedding.weight.mul_(0.3)
    x = pixels(1, 4)
    names = [n for n, _ in model.named_parameters()]
    exact = torch.autograd.grad(exact_bound(model, x), list(model.parameters()))

    probabilities = model.posterior(x).detach().exp()
    codes = all_codes(model)
    cdf = probabilities.cumsum(-1)[0].squeeze(1).squeeze(1)
    middle = cdf - probabilities[0].squeeze(1).squeeze(1) / 2  # a number that draws each value
    uniform = torch.stack([middle[n, codes[:, n, 0, 0]] for n in range(2)], 1)[:, :, None, None]
    assert torch.equal(inverse_cdf(probabilities, uniform[None])[0], codes)
    log_q = probabilities[0].squeeze(1).squeeze(1).log()
    weights = (log_q[0, codes[:, 0, 0, 0]] + log_q[1, codes[:, 1, 0, 0]]).exp()
    expected = [torch.zeros_like(p) for p in model.parameters()]
    for i, j in itertools.product(range(9), repeat=2):
        loss = model.loss(x, torch.stack([uniform[i], uniform[j]])[None])["loss"] * -48
        for total, grad in zip(
            expected, torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            total += weights[i] * weights[j] * grad
    for name, a, b in zip(names, expected, exact, strict=True):
        scale = float(b.abs().max()) + 1e-3
        assert float((a - b).abs().max()) < 2e-3 * scale, name
    # The test would see a part go missing: the encoder's gradient is not that of the shares.
    assert float(exact[names.index("encoder.0.weight")].abs().max()) > 1e-3


def test_many_kept_samples_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, x = VIMCO(TINY, samples=3), pixels()
    noise = model.noise(np.random.default_rng(0), tuple(x.shape), 3)
    grads = []
    for at_once in (1024, 2):
        monkeypatch.setattr(baselines, "AT_ONCE", at_once)
        grads.append(torch.autograd.grad(model.loss(x, noise)["loss"], list(model.parameters())))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))


def test_vimcos_bound_is_above_the_true_likelihood_and_falls_towards_it() -> None:
    model = VIMCO(TINY, samples=2)
    x, rng = pixels(1, 4), np.random.default_rng(0)
    posterior_bias(model).normal_(generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.embedding.weight.mul_(3)
        scores = model.pixels.logits(model.features(model.embed(all_codes(model)))).log_softmax(-1)
        target = x.permute(0, 2, 3, 1).long().unsqueeze(-1).expand(9, -1, -1, -1, -1)
        log_p = scores.gather(-1, target).flatten(1).sum(1).logsumexp(0) - 2 * math.log(3)
    truth = float(-log_p) / 48 / math.log(2)
    many = x.expand(300, -1, -1, -1)
    bounds = [
        float(model.bound(many, model.noise(rng, tuple(many.shape), k)).mean()) for k in (2, 20)
    ]
    assert bounds[0] > bounds[1] > truth - 1e-4
    two = -float(exact_bound(model, x).detach()) / 48 / math.log(2)
    assert bounds[0] == pytest.approx(two, abs=0.01)


def test_samples_follow_their_probabilities() -> None:
    p = torch.tensor([[0.5, 0.0, 0.3, 0.2]])
    u = (torch.arange(1000) + 0.5).view(1, -1, 1) / 1000
    drawn = inverse_cdf(p.view(1, 1, 4), u)
    assert torch.bincount(drawn.flatten(), minlength=4).tolist() == [500, 0, 300, 200]
    edge = torch.tensor([0.0, 1 - 2**-24]).view(1, 2, 1)
    assert inverse_cdf(p.view(1, 1, 4), edge).flatten().tolist() == [0, 3]


@pytest.mark.parametrize("kind", MODELS)
def test_a_saved_model_is_the_same(kind: type[PixelModel], tmp_path: Path) -> None:
    model = build(kind).eval()
    save_model(model, tmp_path / "models" / "a.safetensors")
    loaded = load_model(tmp_path / "models" / "a.safetensors")
    assert type(loaded) is kind and loaded.config == TINY
    assert torch.equal(loaded.reconstruct(pixels()), model.reconstruct(pixels()))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="none of SoftmaxVQVAE"):
        load_model(tmp_path / "a.safetensors")


def test_vimco_needs_something_to_compare() -> None:
    with pytest.raises(ValueError, match="2 or more"):
        VIMCO(TINY, samples=1)
    assert VIMCO(TINY).samples == 50
