"""Searching codes by the decoder's error: against enumeration and exact derivatives."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from gradio.media import get_image
from PIL import Image
from torch import Tensor, nn

import vq.code_search
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import DEFAULT_CHECKPOINT, load
from vq.code_search import look, mean_curvature, search_codes, search_steps
from vq.pictures import to_tensor


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in float32."""
    monkeypatch.setattr(vq.code_search, "fast", lambda device: nullcontext())


def tiny(seed: int = 0, **config: Any) -> VQVAE:
    torch.manual_seed(seed)
    small = {"hidden": 8, "residual_hidden": 8, "num_codes": 16, "code_dim": 4}
    model = VQVAE(VQVAEConfig(**(small | config))).eval()
    if isinstance(book := getattr(model.quantizer, "codebook", None), Tensor):
        book.copy_(torch.randn_like(book))
    return model


def squared_error(model: VQVAE, pictures: Tensor, codes: Tensor) -> Tensor:
    return (model.decode(codes) - pictures).square().sum((1, 2, 3))


def test_where_codes_do_not_overlap_it_finds_the_best_of_all_maps(
    exact: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linear decoder, a patch a code: second order is exact, and every map can be tried."""
    monkeypatch.setattr(vq.code_search, "CAUTION", 1.0)
    model = tiny(num_codes=4)
    decoder = nn.ConvTranspose2d(4, 3, 4, 4, bias=False)
    model.decoder = decoder  # type: ignore[assignment]
    with torch.no_grad():
        decoder.weight.mul_(0.3)  # no pixel is clamped
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    maps = torch.tensor(list(itertools.product(range(4), repeat=4))).view(-1, 2, 2)
    start = torch.zeros(3, 2, 2, dtype=torch.int64)
    found = search_codes(model, pictures, start, passes=4)  # one for each phase
    for picture, its in zip(pictures, found, strict=True):
        errors = squared_error(model, picture.expand(len(maps), -1, -1, -1), maps)
        assert torch.equal(its, maps[errors.argmin()])


@pytest.mark.parametrize("seed", range(4))
def test_a_real_decoder_is_searched_to_within_reach_of_the_best_map(seed: int) -> None:
    """Of 4,096 maps, what is found is among the best hundredth, wherever it starts."""
    model = tiny(seed, num_codes=8)
    picture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    maps = torch.tensor(list(itertools.product(range(8), repeat=4))).view(-1, 2, 2)
    errors = squared_error(model, picture.expand(len(maps), -1, -1, -1), maps)
    found = search_codes(model, picture, passes=32)
    (error,) = squared_error(model, picture, found)
    assert (errors < error - 1e-5).float().mean() < 0.01


def test_the_gradient_is_that_of_finite_differences(exact: None) -> None:
    model = tiny()
    pictures = torch.rand(2, 3, 16, 16)
    codes = torch.randint(16, (2, 4, 4))
    found = look(model, pictures, codes)
    vectors = model.quantizer.vectors(codes).double()
    decoder = model.decoder.double()

    def error(vectors: Tensor) -> Tensor:
        return (decoder(vectors) + 0.5 - pictures).square().sum((1, 2, 3))

    with torch.no_grad():
        clamped = ((decoder(vectors) + 0.5).clamp(0, 1) - pictures).square().sum((1, 2, 3))
        torch.testing.assert_close(found.error.double(), clamped, rtol=1e-5, atol=0)
        for b, d, i, j in ((0, 0, 0, 0), (1, 3, 2, 1), (1, 1, 3, 3)):
            step = torch.zeros_like(vectors)
            step[b, d, i, j] = 1e-6
            slope = (error(vectors + step) - error(vectors - step))[b] / 2e-6
            assert float(found.gradient[b, d, i, j]) == pytest.approx(float(slope), rel=1e-3)


def test_the_curvature_is_that_of_the_whole_jacobian(exact: None) -> None:
    model = tiny(decoder_blocks=1)
    codes = torch.randint(16, (1, 12, 12), generator=torch.Generator().manual_seed(3))
    vectors = model.quantizer.vectors(codes)

    def decode(vectors: Tensor) -> Tensor:
        return model.decoder(vectors).flatten()

    jacobian = torch.autograd.functional.jacobian(decode, vectors)  # (pixels, 1, D, h, w)
    by_code = jacobian[:, 0].flatten(2)  # (pixels, D, n)
    expected = torch.einsum("pdn,pen->de", by_code, by_code) / by_code.shape[2]
    (found,) = mean_curvature(model, codes)
    # One random picture is a sample of 144 codes.
    assert (found - expected).norm() < 0.35 * expected.norm()
    assert float(found.trace()) == pytest.approx(float(expected.trace()), rel=0.2)


@pytest.mark.parametrize(
    "model", [tiny(), tiny(levels=(4, 4), num_codes=16, code_dim=2)], ids=["book", "fsq"]
)
def test_no_picture_comes_out_worse_and_all_pictures_come_out_the_same(model: VQVAE) -> None:
    pictures = torch.rand(5, 3, 32, 24)
    starts = torch.randint(16, (5, 8, 6)), None
    for start in starts:
        first, *more = search_steps(model, pictures, start, passes=6)
        assert torch.equal(first, model.encode(pictures) if start is None else start)
        assert len(more) == 6
        errors = torch.stack([squared_error(model, pictures, c) for c in (first, *more)])
        assert (errors.diff(dim=0) < 1e-3).all() and (errors[-1] < errors[0]).all()
        again = search_codes(model, pictures, start, passes=6)
        assert torch.equal(more[-1], again)


def test_photographs_come_nearer_in_inference_mode_too() -> None:
    model = load(DEFAULT_CHECKPOINT).autoencoder
    with Image.open(get_image("lion.jpg")) as photograph:
        picture = to_tensor(np.asarray(photograph.convert("RGB").resize((192, 128))))
    with torch.inference_mode():
        first, *_, last = search_steps(model, picture)
        before, after = (squared_error(model, picture, codes).log10() for codes in (first, last))
    assert float(before - after) > 0.02  # 0.2 dB
    assert 0.02 < float((first != last).float().mean()) < 0.4
    assert (model.code_vectors()[last[0]].permute(2, 0, 1) == model.quantizer.vectors(last)).all()


def test_what_cannot_be_searched_is_refused_at_once() -> None:
    pictures: Any = torch.rand(1, 3, 8, 8)
    for passes in (-1, 65, 1.5, True, None):
        with pytest.raises(ValueError, match="passes must be a whole number from 0 to 64"):
            search_steps(tiny(), pictures, passes=passes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="several code books"):
        search_codes(tiny(books=2), pictures)
    with pytest.raises(ValueError, match="multiples of 4"):
        search_codes(tiny(), torch.rand(1, 3, 8, 9))
    with pytest.raises(ValueError, match="codes must be from 0 to 15"):
        search_codes(tiny(), pictures, torch.full((1, 2, 2), 16))
