"""JPEG and WebP at a given number of bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from demo.codecs import encode_to_bytes


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth shapes under some noise: neither codec makes a tiny file of it."""
    y, x = np.mgrid[0:96, 0:128]
    waves = np.stack([np.sin(x / 9) + np.cos(y / 7), np.sin((x + y) / 13), np.cos(x / 17)], -1)
    noise = np.random.default_rng(0).normal(0, 0.15, waves.shape)
    return np.clip((waves + noise) * 60 + 128, 0, 255).astype(np.uint8)


def sizes(picture: np.ndarray, codec: str) -> list[int]:
    """The file's size at every quality, by brute force."""
    result = []
    for quality in range(1, 96):
        file = io.BytesIO()
        options = {"optimize": True, "subsampling": 2} if codec == "jpeg" else {"method": 4}
        Image.fromarray(picture).save(file, codec, quality=quality, **options)
        result.append(len(file.getvalue()))
    return result


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
@pytest.mark.parametrize("budget", [2000, 3000, 5000])
def test_the_file_is_as_near_to_the_budget_as_a_quality_step_allows(
    picture: np.ndarray, codec: str, budget: int
) -> None:
    coded = encode_to_bytes(picture, budget, codec)  # type: ignore[arg-type]
    by_quality = sizes(picture, codec)
    if min(by_quality) > budget:
        assert coded.size != (128, 96)
        return
    assert coded.fits and coded.size == (128, 96) and coded.picture.shape == picture.shape
    assert coded.num_bytes == by_quality[coded.quality - 1] <= budget
    # Bisection may miss by one step where sizes do not rise with every step of quality.
    nearest = max(size for size in by_quality if size <= budget)
    assert coded.num_bytes >= 0.97 * nearest


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_where_full_size_cannot_be_so_small_it_is_coded_smaller_and_says_so(
    picture: np.ndarray, codec: str
) -> None:
    budget = min(sizes(picture, codec)) - 1
    coded = encode_to_bytes(picture, budget, codec)  # type: ignore[arg-type]
    assert coded.fits and coded.num_bytes <= budget
    assert coded.size[0] < 128 and coded.picture.shape == picture.shape


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_where_no_file_is_so_small_the_smallest_comes_back_and_says_so(
    picture: np.ndarray, codec: str
) -> None:
    coded = encode_to_bytes(picture, 10, codec)  # type: ignore[arg-type]
    assert not coded.fits and 10 < coded.num_bytes < 1000
    assert coded.quality == 1 and coded.picture.shape == picture.shape


def test_a_picture_of_one_pixel_survives() -> None:
    coded = encode_to_bytes(np.full((1, 1, 3), 77, np.uint8), 2000, "jpeg")
    assert coded.picture.shape == (1, 1, 3)
