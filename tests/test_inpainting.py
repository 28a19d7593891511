"""A region of a picture made anew: what changes, what must not, what is remembered."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.generation import sample_pictures
from vq.inpainting import decode, encode, inpaint, prepare
from vq.pictures import picture_grid
from vq.priors.masked import MaskedPrior
from vq.regions import dilate, scale_mask

CHECKPOINT = tiny_checkpoint()


def example(width: int, height: int) -> tuple[Image.Image, np.ndarray]:
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height * 2 // 3, width // 4 : width * 3 // 4] = True
    return Image.fromarray(photograph(width, height)), mask


@pytest.mark.parametrize("mode", ["vary", "remove"])
@pytest.mark.parametrize("size", [(64, 48), (61, 47), (200, 90), (20, 15)])
def test_outside_the_mask_every_pixel_is_the_uploads(mode: Any, size: tuple[int, int]) -> None:
    picture, mask = example(*size)
    results = inpaint(CHECKPOINT, picture, mask, mode=mode, variations=2, steps=2, longest=64)
    for result in results:
        pixels = np.asarray(result)
        assert pixels.shape == (size[1], size[0], 3)
        assert np.array_equal(pixels[~mask], np.asarray(picture)[~mask])
        assert not np.array_equal(pixels[mask], np.asarray(picture)[mask])
    assert not np.array_equal(np.asarray(results[0]), np.asarray(results[1]))


def test_variations_are_seeds_in_a_row() -> None:
    picture, mask = example(64, 48)
    many = inpaint(CHECKPOINT, picture, mask, variations=3, seed=5, steps=2)
    (one,) = inpaint(CHECKPOINT, picture, mask, seed=7, steps=2)
    assert np.array_equal(np.asarray(many[2]), np.asarray(one))


def test_remove_forgets_what_stood_there() -> None:
    """Two pictures that differ under the mask only give the same codes and results."""
    picture, mask = example(64, 48)
    other = np.asarray(picture).copy()
    other[mask] = 255 - other[mask]
    a = prepare(CHECKPOINT.autoencoder, np.asarray(picture), mask, "remove")
    b = prepare(CHECKPOINT.autoencoder, other, mask, "remove")
    assert np.array_equal(a.codes, b.codes)
    large = Image.fromarray(photograph(256, 192))
    ink = np.asarray(large).copy()
    ink[64:128, 64:192] = (255, 0, 255)
    wide = np.kron(mask, np.ones((4, 4))).astype(bool) | (ink != np.asarray(large)).any(2)
    both = (large, Image.fromarray(ink))
    small = [np.asarray(p.resize((64, 48), Image.Resampling.LANCZOS)) for p in both]
    narrow = scale_mask(wide, (48, 64))
    assert not np.array_equal(small[0][~narrow], small[1][~narrow])
    codes = [prepare(CHECKPOINT.autoencoder, p, narrow, "remove").codes for p in small]
    assert np.array_equal(codes[0], codes[1]), "nor what reducing the picture spread around it"
    vary = prepare(CHECKPOINT.autoencoder, np.asarray(picture), mask, "vary")
    assert np.array_equal(a.hole, dilate(vary.hole))
    known = ~dilate(vary.hole)
    assert not np.array_equal(
        prepare(CHECKPOINT.autoencoder, other, mask, "vary").codes[known], a.codes[known]
    ), "else the encoder would see too little for this test to mean anything"


def test_vary_keeps_the_codes_a_picture_has() -> None:
    picture, mask = example(64, 48)
    codes = np.full((12, 16), 3)
    region = prepare(CHECKPOINT.autoencoder, np.asarray(picture), mask, "vary", codes)
    assert region.codes is codes


def test_a_callback_sees_steps_and_stops() -> None:
    picture, mask = example(64, 48)
    seen: list[int] = []

    def callback(state: dict[str, Any]) -> bool:
        seen.append(state["step"])
        return len(seen) == 2

    (result,) = inpaint(CHECKPOINT, picture, mask, steps=5, callback=callback)
    assert seen == [1, 2]
    assert np.array_equal(np.asarray(result)[~mask], np.asarray(picture)[~mask])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": "pixelcnn"}, "no prior 'pixelcnn'; this checkpoint has: masked"),
        ({"mode": "erase"}, "mode must be one of vary, remove"),
        ({"variations": 0}, "variations must be from 1 to 64"),
        ({"label": "desert"}, "unknown class"),
        ({"temperature": float("nan")}, "temperature"),
        ({"seed": -1}, "seeds"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    picture, mask = example(64, 48)
    with pytest.raises(ValueError, match=message):
        inpaint(CHECKPOINT, picture, mask, **arguments)


def test_a_prior_that_is_not_named_is_the_first() -> None:
    other = MaskedPrior(CHECKPOINT.priors["masked"].config).eval()  # of other random weights
    both = dataclasses.replace(CHECKPOINT, priors={"raster": other, **CHECKPOINT.priors})
    picture, mask = example(64, 48)

    def made(**settings: Any) -> np.ndarray:
        return np.asarray(inpaint(both, picture, mask, mode="remove", steps=2, **settings)[0])

    assert np.array_equal(made(), made(prior="raster"))
    assert not np.array_equal(made(), made(prior="masked"))
    with pytest.raises(ValueError, match="no prior; this checkpoint has: none"):
        inpaint(dataclasses.replace(CHECKPOINT, priors={}), picture, mask)


def test_bad_masks_are_refused() -> None:
    picture, mask = example(64, 48)
    with pytest.raises(ValueError, match="mask is empty"):
        inpaint(CHECKPOINT, picture, mask & False)
    with pytest.raises(ValueError, match=r"bool \(48, 64\)"):
        inpaint(CHECKPOINT, picture, mask.T)
    with pytest.raises(ValueError, match=r"bool \(48, 64\)"):
        inpaint(CHECKPOINT, picture, mask.astype(int))


def test_a_full_mask_makes_the_whole_picture() -> None:
    picture, mask = example(64, 48)
    (result,) = inpaint(CHECKPOINT, picture, np.ones_like(mask), steps=2)
    (other,) = inpaint(
        CHECKPOINT, Image.fromarray(255 - np.asarray(picture)), np.ones_like(mask), steps=2
    )
    assert np.array_equal(np.asarray(result), np.asarray(other)), "nothing of it is known"


def test_encode_and_decode_are_the_models() -> None:
    pixels = photograph(64, 48)
    codes = encode(CHECKPOINT.autoencoder, pixels)
    assert codes.shape == (12, 16) and len(np.unique(codes)) > 4
    assert decode(CHECKPOINT.autoencoder, codes[None]).shape == (1, 48, 64, 3)


def test_samples_are_the_hole_that_covers_everything() -> None:
    pictures = sample_pictures(CHECKPOINT, "masked", range(9), steps=2, label="sea")
    assert pictures.shape == (9, 32, 32, 3)
    again = sample_pictures(CHECKPOINT, "masked", [8], steps=2, label="sea")
    assert np.array_equal(again[0], pictures[8])


def test_a_grid_holds_every_picture_in_order() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((5, 4, 6, 3), np.uint8)
    grid = np.asarray(picture_grid(pictures, columns=3, gap=1))
    assert grid.shape == (9, 20, 3)
    corners = [grid[r * 5, c * 7, 0] for r in range(2) for c in range(3)]
    assert corners == [0, 1, 2, 3, 4, 255]
    assert (grid[4] == 255).all() and (grid[:, 6] == 255).all()
