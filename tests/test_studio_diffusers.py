"""A VQModel of diffusers at work in the app: seen, painted with, compared; nothing is resampled."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from demo import studio as studios
from demo.contenders import by_codes
from demo.jobs import Refusal, Settings
from demo.studio import Studio
from tests.test_diffusers_vq import SHAPES, saved
from vq.checkpoints import load


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("vqgan")
    saved(folder, **SHAPES["as VQGAN f4"])
    return Studio(load(folder), "a/vqgan", "cpu")


@pytest.fixture(scope="module")
def picture(studio: Studio) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 45, 3), np.uint8)
    return studio.prepare(Image.fromarray(pixels))


def test_a_picture_is_encoded_decoded_and_compared(studio: Studio, picture: np.ndarray) -> None:
    about = studio.describe()
    assert (about.num_codes, about.stride, about.priors) == (64, 4, ())
    assert picture.shape == (32, 44, 3) and len(about.palette) == 64
    codes = studio.encode(picture)
    assert codes.shape == (8, 11)
    result = by_codes(studio, picture)
    assert np.array_equal(result.picture, studio.decode(codes))
    assert result.bits == codes.size * 6
    with pytest.raises(Refusal):
        studio.resample(picture, codes, np.ones(codes.shape, bool), Settings())


def test_painting_a_part_shows_what_the_whole_map_decodes_to(
    studio: Studio, picture: np.ndarray
) -> None:
    """The decoder looks at all of the map: decoding the painted part alone would be another."""
    codes = studio.encode(picture)
    cells = np.zeros(codes.shape, bool)
    cells[2:6, 2:9] = True
    painted = np.where(cells, 5, codes)
    shown = studio.render(picture, painted[None], cells)[0]
    inside = np.s_[4 * 3 : 4 * 5, 4 * 3 : 4 * 8]  # beyond the feather
    assert np.array_equal(shown[inside], studio.decode(painted)[inside])
    assert np.array_equal(shown[:8], picture[:8])


def test_patches_are_decoded_where_that_is_soon_done(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = studio.code_book()
    assert book.patches.shape == (64, 4, 4, 3) and book.vectors.shape == (64, 6)
    assert np.array_equal(book.patches[9], studio.decode(np.array([[9]])))
    monkeypatch.setattr(studios, "MOST_PATCHED", 64 * 16 - 1)
    monkeypatch.setattr(studio, "_book", None)
    colours = studio.code_book().patches
    assert (colours == studio.describe().palette[:, None, None]).all()
