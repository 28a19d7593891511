"""A network that is trained on from another starts as that one does."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from vq.autoencoder import VQVAE, ResidualBlock, VQVAEConfig
from vq.growth import continue_from, grown
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig

SHALLOW = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)
DEEP = dataclasses.replace(SHALLOW, encoder_blocks=3, decoder_blocks=5, beta=1.0)
PIXELCNN = PixelCNNConfig(num_codes=16, map_size=(4, 4), layers=2, channels=8, head=8)


def old() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(SHALLOW).eval()


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def test_a_deeper_autoencoder_has_the_same_codes_and_the_same_pictures() -> None:
    source = old()
    model = grown(source, DEEP).eval()
    codes = source.encode(pictures())
    assert torch.equal(model.encode(pictures()), codes)
    assert torch.equal(model.decode(codes), source.decode(codes))
    assert model.config == DEEP
    assert sum(isinstance(m, ResidualBlock) for m in model.decoder) == 5


@pytest.mark.parametrize("widths", [(16, 4), (8, 12), (24, 12)])
def test_a_wider_autoencoder_has_the_same_vectors_and_the_same_pictures(
    widths: tuple[int, int],
) -> None:
    source = old()
    config = dataclasses.replace(DEEP, hidden=widths[0], residual_hidden=widths[1])
    model = grown(source, config).eval()
    x = pictures()
    assert torch.allclose(model.encoder(x), source.encoder(x), atol=1e-6)
    z = model.quantizer.vectors(source.encode(x))
    assert torch.allclose(model.decoder(z), source.decoder(z), atol=1e-6)


def test_the_copies_of_a_unit_part_ways() -> None:
    """Twins that get the same gradient would stay one unit."""
    config = dataclasses.replace(SHALLOW, hidden=16)
    model = grown(old(), config).train()
    out = model(pictures())
    (out.reconstruction.square().mean() + out.quantized.commitment_loss).backward()
    for part in (model.encoder, model.decoder):
        first = next(m for m in part if isinstance(m, torch.nn.Conv2d))
        assert first.weight.grad is not None
        one, other = first.weight.grad.chunk(2)
        assert float((one - other).abs().max()) > 0.01 * float(one.abs().max())


def test_what_was_added_learns() -> None:
    """A block that is 0 at both ends would never leave it."""
    model = grown(old(), DEEP).train()
    out = model(pictures())
    (out.reconstruction.square().mean() + out.quantized.commitment_loss).backward()
    for part in (model.encoder, model.decoder):
        for block in (m for m in part if isinstance(m, ResidualBlock)):
            assert block.conv1.weight.grad is not None
            assert float(block.conv1.weight.grad.abs().max()) > 0


def test_a_step_of_training_leaves_the_codes_what_they_are() -> None:
    """The first batch must neither replace the code book nor restart what it does not use."""
    model = grown(old(), SHALLOW).train()
    before = model.quantizer.codebook.clone()
    model(pictures())
    moved = (model.quantizer.codebook - before).norm() / before.norm()
    assert 0 < float(moved) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder_blocks": 1}, "decoder_blocks must be 2 or more"),
        ({"num_codes": 32}, "num_codes must be 16 as there, not 32"),
        ({"hidden": 12}, "hidden must be a multiple of its 8, not 12"),
        ({"residual_hidden": 2}, "residual_hidden must be a multiple of its 4, not 2"),
    ],
)
def test_what_cannot_be_continued_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grown(old(), dataclasses.replace(SHALLOW, **change))


def test_a_prior_is_continued_if_it_has_the_same_shape() -> None:
    torch.manual_seed(0)
    source, model = PixelCNN(PIXELCNN), PixelCNN(PIXELCNN)
    continue_from(source, model)
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    other = PixelCNN(dataclasses.replace(PIXELCNN, layers=3))
    with pytest.raises(ValueError, match=r"the prior must be .*layers=2.* as there"):
        continue_from(source, other)
