"""The VQ-VAE: shapes, exactness of decode, where gradients go, refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.precision import fast

TINY = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)


def model(config: VQVAEConfig = TINY) -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(config)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (20, 64)])
@pytest.mark.parametrize("downsamplings", [1, 2])
def test_any_size_that_the_stride_divides(size: tuple[int, int], downsamplings: int) -> None:
    m = model(dataclasses.replace(TINY, downsamplings=downsamplings)).eval()
    x = pictures(2, 3, *size)
    codes = m.encode(x)
    assert codes.shape == (2, size[0] // m.stride, size[1] // m.stride)
    assert codes.dtype == torch.int64
    assert m.decode(codes).shape == x.shape


@pytest.mark.parametrize("books", [1, 10])
def test_decoding_the_codes_is_the_forward_pass(books: int) -> None:
    m = model(dataclasses.replace(TINY, books=books)).eval()
    x = pictures(2, 3, 16, 16)
    with fast(x.device):
        out = m(x)
    assert torch.equal(m.encode(x), out.quantized.codes)
    assert torch.equal(m.decode(out.quantized.codes), out.reconstruction.clamp(0, 1))


def test_pictures_are_in_range_whatever_the_codes() -> None:
    m = model().eval()
    m.quantizer.codebook.mul_(1000)
    decoded = m.decode(torch.arange(16).reshape(1, 4, 4))
    assert 0 <= float(decoded.min()) <= float(decoded.max()) <= 1


def test_reconstruction_loss_reaches_encoder_and_decoder_but_not_an_ema_book() -> None:
    m = model()
    x = pictures(4, 3, 16, 16)
    F.mse_loss(m(x).reconstruction, x).backward()
    for part in (m.encoder, m.decoder):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert "quantizer.codebook" not in dict(m.named_parameters())


def test_reconstruction_loss_does_not_reach_a_learned_book() -> None:
    m = model(dataclasses.replace(TINY, ema=False))
    x = pictures(4, 3, 16, 16)
    out = m(x)
    (grad,) = torch.autograd.grad(
        F.mse_loss(out.reconstruction, x), [m.quantizer.codebook], allow_unused=True
    )
    assert grad is None


def test_the_encoder_gets_the_gradient_of_the_decoders_input() -> None:
    """Straight-through (section 3.2): the gradient of z_e is that of z_q."""
    m = model()
    x = pictures(2, 3, 16, 16)
    z = m._encoded(x)
    z.retain_grad()
    q = m.quantizer(z).vectors
    q.retain_grad()
    m._decoded(q).square().sum().backward()
    assert z.grad is not None and q.grad is not None and torch.equal(z.grad, q.grad)


def test_the_first_layers_follow_the_paper() -> None:
    m = VQVAE(VQVAEConfig(hidden=32, residual_hidden=16))
    kinds = [(type(x).__name__, getattr(x, "stride", None)) for x in m.encoder]
    assert kinds[0] == ("Conv2d", (2, 2))
    assert kinds[2] == ("Conv2d", (2, 2))
    assert [k for k, _ in kinds].count("ResidualBlock") == 2
    assert m.stride == 4


def test_wrong_pictures_are_refused() -> None:
    m = model()
    with pytest.raises(ValueError, match="multiples of 4, not 10x8"):
        m.encode(pictures(1, 3, 8, 10))
    with pytest.raises(ValueError, match="3 channels, not 1"):
        m.encode(pictures(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden", 0),
        ("hidden", 10**6),
        ("num_codes", 1),
        ("num_codes", 4.0),
        ("num_codes", True),
        ("beta", float("nan")),
        ("beta", -1.0),
        ("ema_decay", 1.0),
        ("downsamplings", 7),
    ],
)
def test_a_config_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TINY, **{field: value})


def test_vectors_that_overflow_are_no_codes() -> None:
    """Each weight is finite, so that a checkpoint of them loads; `argmin` would return the NaN."""
    model = VQVAE(VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)).eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(1e30)
    with pytest.raises(FloatingPointError, match="not finite"):
        model.encode(torch.rand(1, 3, 16, 16))
