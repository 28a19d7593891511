"""The VAEs over code maps: bounds, causality, and a decoder that hears its latents."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vq.map_vae import MapVAE, MapVAEConfig
from vq.objectives import MapVAEObjective
from vq.priors import RasterPrior, incremental
from vq.priors.pixelcnn import PixelCNN
from vq.training import Run, TrainingConfig

TINY = MapVAEConfig(
    num_codes=5, map_size=(3, 4), latent_codes=8, latent_dim=4, channels=8, layers=2
)


@pytest.fixture(autouse=True)
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a walk can be told from the full pass, on whatever processor."""
    monkeypatch.setattr(incremental, "has_bf16", lambda device: False)


def model(**changes: object) -> MapVAE:
    torch.manual_seed(0)
    m = MapVAE(dataclasses.replace(TINY, **changes))  # type: ignore[arg-type]
    with torch.no_grad():  # as built, the latents are hardly heard
        for parameter in m.spread.parameters():
            parameter.mul_(3)
    return m.eval()


def maps(n: int, seed: int = 1, size: tuple[int, int] = (3, 4)) -> torch.Tensor:
    return torch.randint(5, (n, *size), generator=torch.Generator().manual_seed(seed))


def test_probabilities_given_the_latents_sum_to_one() -> None:
    m = model(map_size=(2, 2), num_codes=3)
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)
    latents = m.vectors(torch.tensor([[1, 5, 7]])).expand(len(every), -1)
    total = (-m.bits(every, latents) * math.log(2)).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("gaussian", [False, True])
def test_a_code_is_told_by_the_latents_and_the_codes_before_it_alone(gaussian: bool) -> None:
    m = model(gaussian=gaussian)
    codes = maps(1)
    latents = torch.randn(1, 12, generator=torch.Generator().manual_seed(2))
    before = m.decoder.conditioned(codes, m._condition(latents))
    changed = codes.clone()
    changed[0, 1, 2] = (codes[0, 1, 2] + 1) % 5
    after = m.decoder.conditioned(changed, m._condition(latents))
    differs = (before != after).any(1)[0].flatten()
    assert not differs[: 1 * 4 + 2 + 1].any() and differs[7:].any()
    other = m.decoder.conditioned(codes, m._condition(latents + 1))
    assert (before != other).any(1).all()  # every place hears the latents, the first one too


def test_without_a_condition_it_is_the_prior() -> None:
    m = model()
    prior = m.decoder
    assert isinstance(prior, PixelCNN)
    codes = maps(3)
    features = prior.label_features(codes, None)
    spread = features[..., None, None].expand(-1, -1, -1, 3, 4)
    assert torch.allclose(prior.conditioned(codes, spread), prior.logits(codes), atol=1e-6)


def test_the_rate_of_codes_is_their_number_times_log_k() -> None:
    out = model()(maps(4))
    assert out.rate.tolist() == [9.0] * 4
    assert MapVAEConfig().latents * math.log2(MapVAEConfig().latent_codes) == 27


def test_the_rate_of_the_gaussian_is_its_kl_divergence() -> None:
    m = model(gaussian=True)
    z = m._encoded(maps(4))
    mean, log_variance = z.chunk(2, 1)
    q = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(q, Normal(0.0, 1.0)).sum(1) / math.log(2)
    assert torch.allclose(m(maps(4)).rate, expected, rtol=1e-5)
    noise = torch.randn(4, 12, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(m.encode(maps(4), noise), q.mean + q.stddev * noise, atol=1e-6)
    assert torch.equal(m.bits(maps(4), m.encode(maps(4), noise)), m(maps(4), noise).bits)


def test_forward_is_encode_then_decode() -> None:
    m = model()
    codes = m.codes(maps(6))
    assert codes.shape == (6, 3) and 0 <= int(codes.min()) <= int(codes.max()) < 8
    assert torch.equal(m.encode(maps(6)), m.vectors(codes))
    assert torch.allclose(m.bits(maps(6), m.vectors(codes)), m(maps(6)).bits)
    # Each latent has a code book of its own.
    parts = m.vectors(torch.tensor([[2, 2, 2]])).view(3, 4)
    assert torch.equal(parts, m.quantizer.codebook[:, 2])


def plainly_drawn(m: MapVAE, latents: torch.Tensor, seed: int) -> torch.Tensor:
    """A map (h, w) with a pass over all of it for every code, by the same random numbers."""
    rows, columns = m.config.map_size
    codes = torch.zeros(1, rows, columns, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    for row in range(rows):
        uniform = torch.rand(columns, generator=generator, dtype=torch.float64)
        torch.rand(columns, generator=generator, dtype=torch.float64)  # an order of one particle
        for column in range(columns):
            logits = m.decoder.conditioned(codes, m._condition(latents))[0, :, row, column]
            total = logits.double().softmax(0).cumsum(0)
            codes[0, row, column] = int((total < uniform[column]).sum())
    return codes[0]


@torch.no_grad()
def test_a_sample_is_the_plain_one_code_by_code() -> None:
    m = model(map_size=(6, 5), layers=3)
    for seed, latents in enumerate(torch.randint(8, (2, 3), generator=generator(4))):
        z = m.vectors(latents[None])
        assert torch.equal(m.sample(z, [seed])[0], plainly_drawn(m, z, seed))


@torch.no_grad()
@pytest.mark.parametrize("row", [0, 3])
def test_a_walk_given_latents_finds_the_logits_of_the_full_pass(row: int) -> None:
    """In any row, of several maps at once, and after some were taken for others."""
    m = model(map_size=(6, 5), layers=3)
    codes = maps(3, size=(6, 5))
    prior = m.given(m.vectors(torch.tensor([[1, 5, 7]])))
    assert isinstance(prior, RasterPrior)
    walk = prior.walk(codes, row=row)
    order = torch.tensor([2, 2, 0, 1])
    walk.select(order)
    condition = prior._condition.expand(4, -1, -1, -1, -1)
    full = m.decoder.conditioned(codes[order], condition).permute(0, 2, 3, 1)
    for at in range(row, 6):
        if at > row:
            walk.next_row()
        assert torch.allclose(walk.logits(0, 2), full[:, at, :2], atol=1e-4)
        assert torch.allclose(walk.logits(2, 5), full[:, at, 2:], atol=1e-4)
    z = m.vectors(torch.tensor([[1, 5, 7]])).expand(3, -1)
    assert torch.allclose(prior.bits(codes).sum((1, 2)), m.bits(codes, z))
    with pytest.raises(ValueError, match=r"maps must be \(6, 5\) codes, not \(3, 4\)"):
        prior.walk(maps(1))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_samples_follow_the_distribution() -> None:
    m = model(map_size=(1, 2), num_codes=2)
    latents = m.vectors(torch.tensor([[0, 3, 6]])).expand(400, -1)
    drawn = m.sample(latents, list(range(400)))
    every = torch.tensor(list(itertools.product(range(2), repeat=2))).view(-1, 1, 2)
    p = torch.exp2(-m.bits(every, latents[:4]))
    found = torch.stack([(drawn == one).all(2).all(1).float().mean() for one in every])
    assert torch.allclose(found, p, atol=4 * 0.5 / 400**0.5)
    # A map depends on its own seed alone.
    assert torch.equal(m.sample(latents[:1], [123]), drawn[123:124])


def test_training_makes_use_of_the_latents(tmp_path: Path) -> None:
    """Maps of one code each: 5 kinds, which the latents can name before the first code is seen."""
    uniform = np.repeat(np.arange(5), 12).reshape(5, 3, 4).astype(np.int32)
    torch.manual_seed(1)
    m = MapVAE(TINY)
    objective = MapVAEObjective(m, np.repeat(uniform, 8, 0), seed=0)
    config = TrainingConfig(
        steps=250, batch=20, learning_rate=3e-3, warmup=0, bf16=False, average=0.9
    )
    run = Run(objective, config, tmp_path)
    run.train(quiet=True)
    run.load_average()
    every = torch.from_numpy(uniform).long()
    own = m.bits(every, m.encode(every)).mean()
    another = m.bits(every, m.encode(every.roll(1, 0))).mean()
    # Without latents no model is below the entropy of the first code, log2 5 = 2.3 bits.
    assert float(own) < 0.5 < 2 < float(another)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latents", 0),
        ("latent_codes", 1),
        ("layers", 0),
        ("map_size", (0, 3)),
        ("channels", 1),
        ("map_size", (128, 128)),  # with so much to tell
    ],
)
def test_a_config_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TINY, **{"channels": 512, field: value})  # type: ignore[arg-type]


def test_latent_codes_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 7"):
        model().vectors(torch.tensor([[0, 8, 0]]))
