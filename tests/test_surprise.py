"""-log2 p of every code: against the chain rule's sum, and against hiding one code at a time."""

from __future__ import annotations

import contextlib
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
from vq.surprise import code_bits, code_bits_steps, filling_bits

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


def test_the_bits_of_fillings_differ_as_those_of_the_whole_maps_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the hole is at the border, and where the map is larger than the prior's own."""
    monkeypatch.setattr("vq.surprise.fast", lambda device: contextlib.nullcontext())  # float32
    generator = torch.Generator().manual_seed(5)
    for top, left, height, width in [(0, 0, 1, 1), (9, 7, 2, 3), (18, 20, 2, 4)]:
        hole = np.zeros((20, 24), bool)
        hole[top : top + height, left : left + width] = True
        maps = torch.randint(0, 3, (1, 20, 24), generator=generator).repeat(3, 1, 1)
        maps[:, hole] = torch.randint(0, 3, (3, int(hole.sum())), generator=generator)
        whole = code_bits(PIXELCNN, maps, label="sea").double().sum((1, 2))
        part = [filling_bits(PIXELCNN, one, hole, label="sea") for one in maps]
        assert part[1] - part[0] == pytest.approx(float(whole[1] - whole[0]), abs=1e-3)
        assert part[2] - part[0] == pytest.approx(float(whole[2] - whole[0]), abs=1e-3)
        assert abs(part[1] - part[0]) > 0.3 or abs(part[2] - part[0]) > 0.3
        assert max(part) < float(whole.max())


@pytest.mark.parametrize("prior", [MASKED, PIXELCNN])
def test_step_by_step_more_and_more_becomes_known(prior: Any) -> None:
    codes = example_codes(1, 70, 9)[0]
    whole = code_bits(prior, codes[None], label="sea")[0]
    before = torch.zeros(70, 9, dtype=torch.bool)
    steps = list(code_bits_steps(prior, codes, label="sea"))
    for bits in steps:
        known = ~bits.isnan()
        assert (known >= before).all() and known.sum() > before.sum()
        torch.testing.assert_close(bits[known], whole[known], atol=0.05, rtol=0)
        before = known
    assert before.all() and len(steps) > 2


def test_a_filling_has_a_hole() -> None:
    codes = example_codes(1, 4, 6)[0]
    for hole in (np.zeros((4, 6), bool), np.ones((4, 6)), np.ones((6, 4), bool)):
        with pytest.raises(ValueError, match="hole must be bool"):
            filling_bits(PIXELCNN, codes, hole)
