"""-log2 p of every code: against the chain rule's sum, and against hiding one code at a time."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from gradio.media import get_image
from PIL import Image

import vq
from tests import test_masked_prior, test_pixelcnn
from vq.inpainting import encode
from vq.surprise import code_bits, code_bits_steps

MASKED = test_masked_prior.model()
PIXELCNN = test_pixelcnn.model()


def test_under_the_pixelcnn_the_bits_of_a_map_sum_to_its_nll() -> None:
    """p(map) = 2^-sum is a distribution: over all maps it adds up to 1, for each class."""
    maps = torch.tensor(list(itertools.product(range(3), repeat=6))).view(-1, 2, 3)
    for label in (None, "sea", "forest"):
        p = 2 ** -code_bits(PIXELCNN, maps, label=label).double().sum((1, 2))
        assert float(p.sum()) == pytest.approx(1, abs=0.02)  # in bfloat16, where the chip has it
        assert p.max() > 3 * p.min()


def test_under_the_pixelcnn_the_sum_is_what_a_walk_finds_code_by_code() -> None:
    codes = example_codes(2, 5, 7)
    walk = PIXELCNN.walk(codes, torch.tensor([1, 1]))
    nll = torch.zeros(2)
    for row in range(5):
        for column in range(7):
            logits = walk.logits(column, column + 1)[:, 0]
            seen = codes[:, row, column]
            nll -= logits.log_softmax(1).gather(1, seen[:, None])[:, 0] / math.log(2)
            walk.put(column, seen)
        if row < 4:
            walk.next_row()
    sums = code_bits(PIXELCNN, codes, label="forest").sum((1, 2))
    assert torch.allclose(sums, nll, rtol=0.01)


def example_codes(n: int = 1, h: int = 2, w: int = 2) -> torch.Tensor:
    return torch.randint(0, 3, (n, h, w), generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def left_out(codes: torch.Tensor, hidden: torch.Tensor, label: int) -> torch.Tensor:
    """-log2 p (n,) of the hidden codes (h, w) of one map given the others, in float32."""
    logits = MASKED.logits(codes[None], ~hidden[None], torch.tensor([label]), hidden[None])
    p = logits.double().softmax(1)
    return -p.gather(1, codes[hidden][:, None])[:, 0].log2()


def test_under_the_masked_prior_each_code_is_given_all_others() -> None:
    codes = test_masked_prior.example(2)[0]
    bits = code_bits(MASKED, codes, label="sea", apart=6)
    for map_bits, one in zip(bits, codes, strict=True):
        for cell in itertools.product(range(4), range(6)):
            hidden = torch.zeros(4, 6, dtype=torch.bool)
            hidden[cell] = True
            assert map_bits[cell] == pytest.approx(float(left_out(one, hidden, 0)), abs=0.05)


def test_codes_of_a_lattice_are_left_out_together() -> None:
    codes = test_masked_prior.example(1)[0]
    bits = code_bits(MASKED, codes, apart=2)[0]
    for row, column in itertools.product(range(2), range(2)):
        hidden = torch.zeros(4, 6, dtype=torch.bool)
        hidden[row::2, column::2] = True
        expected = left_out(codes[0], hidden, -1).float()
        assert torch.allclose(bits[hidden], expected, atol=0.05)


def test_maps_of_any_size_are_read() -> None:
    """A smaller map is surrounded by unknown codes; of a larger one each window counts its part."""
    small = test_masked_prior.example(1)[0][:, :2, :3]
    inside = torch.zeros(4, 6, dtype=torch.bool)
    inside[1:3, 1:4] = True
    whole = torch.zeros(4, 6, dtype=torch.int64)
    whole[inside] = small.flatten()
    bits = code_bits(MASKED, small, apart=6)
    for i, cell in enumerate(inside.nonzero()):
        hidden = ~inside
        hidden[tuple(cell)] = True
        logits = MASKED.logits(whole[None], ~hidden[None])
        p = logits.detach().softmax(1).view(4, 6, 5)[tuple(cell)]
        assert float(bits.flatten()[i]) == pytest.approx(
            -math.log2(float(p[whole[tuple(cell)]])), abs=0.05
        )
    large = torch.randint(0, 5, (1, 11, 13), generator=torch.Generator().manual_seed(0))
    bits = code_bits(MASKED, large)
    assert bits.shape == large.shape
    assert (bits > 0).all()


def test_a_code_out_of_place_is_what_surprises() -> None:
    """The shipped priors, on a photograph with one code changed for the least like it."""
    checkpoint = vq.load(vq.DEFAULT_CHECKPOINT)
    picture = Image.open(get_image("lion.jpg")).convert("RGB").resize((128, 128))
    codes = torch.from_numpy(encode(checkpoint.autoencoder, np.asarray(picture)))[None]
    book: Any = checkpoint.autoencoder.quantizer.codebook[0]
    changed = codes.clone()
    changed[0, 20, 16] = (book - book[codes[0, 20, 16]]).norm(dim=1).argmax()
    for prior in checkpoint.priors.values():
        before, after = code_bits(prior, torch.cat([codes, changed]))
        assert after[20, 16] > before[20, 16] + 4
        assert after[20, 16] > after.quantile(0.95)


@pytest.mark.parametrize("apart", [0, -1, 1.5, True])
def test_spacing_out_of_range(apart: float) -> None:
    with pytest.raises(ValueError, match="apart must be a whole number from 1"):
        code_bits(MASKED, test_masked_prior.example(1)[0], apart=apart)  # type: ignore[arg-type]


def test_what_is_no_map_is_refused() -> None:
    codes = test_masked_prior.example(1)[0]
    with pytest.raises(ValueError, match="from 0 to 4"):
        code_bits(MASKED, codes + 4)
    with pytest.raises(ValueError, match="int64"):
        code_bits(MASKED, codes.float())
    with pytest.raises(ValueError, match="unknown class 'moon'"):
        code_bits(PIXELCNN, codes % 3, label="moon")


def test_priors_of_any_shape_are_scored_alike() -> None:
    merged = test_masked_prior.model(dataclasses.replace(test_masked_prior.TINY, merge=1))
    codes = test_masked_prior.example(2)[0]
    both = code_bits(merged, codes)
    assert torch.allclose(both[1:], code_bits(merged, codes[1:]), atol=1e-6)


def test_step_by_step_more_and_more_is_known_until_all_is() -> None:
    codes = torch.randint(0, 5, (11, 13), generator=torch.Generator().manual_seed(0))
    whole = code_bits(MASKED, codes[None])[0]
    known = torch.zeros(codes.shape, dtype=torch.bool)
    steps = list(code_bits_steps(MASKED, codes))
    assert len(steps) > 4
    for bits in steps:
        assert torch.equal(bits[known], whole[known])  # what is known stays
        assert (~bits.isnan())[known].all() and (~bits.isnan()).sum() > known.sum()
        known = ~bits.isnan()
    assert known.all()
    (at_once,) = code_bits_steps(PIXELCNN, codes % 3)
    assert torch.equal(at_once, code_bits(PIXELCNN, codes[None] % 3)[0])
    with pytest.raises(ValueError, match="from 0 to 4"):
        next(code_bits_steps(MASKED, codes + 5))
