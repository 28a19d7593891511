"""The Learn tab's figures, worked out another way, and the tab in a real browser."""

from __future__ import annotations

import io
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from demo.lessons import lesson
from demo.studio import Studio
from tests.fake_studio import FakeStudio
from tests.running_app import running_app
from vq import checkpoints

if TYPE_CHECKING:
    from tests.conftest import OpenPage


@pytest.fixture
def picture() -> np.ndarray:
    generator = np.random.default_rng(5)
    few = generator.integers(0, 256, (5, 3), dtype=np.uint8)
    blocks = few[generator.integers(0, 5, (8, 12))].repeat(4, 0).repeat(4, 1)
    return blocks // 2 + generator.integers(0, 20, blocks.shape, dtype=np.uint8)


def test_rates_and_use_of_codes(picture: np.ndarray) -> None:
    studio = FakeStudio()
    codes = studio.encode(picture)
    result = lesson(studio, picture, codes)
    counts = Counter(codes.ravel().tolist())
    surprise = sum(n * math.log2(codes.size / n) for n in counts.values())
    assert result.used == len(counts)
    assert result.perplexity == pytest.approx(2 ** (surprise / codes.size))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    expected = {
        "original": picture.size * 8,
        "png": len(file.getvalue()) * 8,
        "uniform": 96 * 9,
        "frequencies": surprise,
    }
    assert {rate.name: rate.bits for rate in result.rates()} == pytest.approx(expected)
    for rate in result.rates():
        assert rate.bits_a_dim(result.pixels) * picture.size == pytest.approx(rate.bits)
        assert rate.bits_a_pixel(result.pixels) == pytest.approx(rate.bits / (32 * 48))


def test_a_picture_of_one_code_has_no_entropy() -> None:
    studio, grey = FakeStudio(), np.full((16, 16, 3), 100, np.uint8)
    result = lesson(studio, grey, studio.encode(grey))
    assert (result.used, result.entropy, result.perplexity) == (1, 0, 1)
    assert math.copysign(1, result.entropy) == 1
    np.testing.assert_array_equal(result.shuffled, result.decoded)
    assert result.psnr(grey) == math.inf


def test_shuffling_keeps_the_codes_and_loses_the_picture(picture: np.ndarray) -> None:
    studio = FakeStudio()
    result = lesson(studio, picture, studio.encode(picture))
    shuffled = studio.encode(result.shuffled)
    assert Counter(shuffled.ravel().tolist()) == Counter(result.codes.ravel().tolist())
    assert result.psnr(result.shuffled) < result.psnr(result.decoded) - 3


def test_commitment_is_the_distance_to_the_nearest_code_vector() -> None:
    checkpoint = checkpoints.load(checkpoints.DEFAULT_CHECKPOINT)
    studio = Studio(checkpoint, "scenes", "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    with torch.inference_mode():
        values = torch.from_numpy(picture / np.float32(255)).permute(2, 0, 1)[None]
        z = checkpoint.autoencoder.encoder(values - 0.5)[0].flatten(1).T.double().numpy()
    book = checkpoint.autoencoder.quantizer.codebook[0].double().numpy()
    distance = ((z[:, None] - book[None]) ** 2).sum(-1).min(1)
    # The app may use bfloat16 on the way.
    assert studio.commitment(picture) == pytest.approx(distance.mean() / z.shape[1], rel=0.05)


def test_the_tab_teaches_then_answers(open_page: OpenPage, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    studio = FakeStudio()
    with running_app(studio, tmp_path) as url:
        page = open_page(url)
        page.get_by_role("tab", name="Learn").click()
        expect(page.locator("#learn-empty")).to_contain_text("What is a dead code?")
        page.click("#learn-go-edit")
        page.locator("#examples button").first.click()
        expect(page.locator("#resample")).to_be_enabled()
        page.get_by_role("tab", name="Learn").click()
        row = page.locator("#learn-first tr", has_text="PixelCNN")
        expect(row).to_be_visible()
        expect(page.locator("#learn-empty")).to_be_hidden()
        # A lion of 256 × 256: 64 × 64 codes of 9 bits.
        alike = page.locator("#learn-first tr", has_text="all alike")
        expect(alike.locator("td")).to_have_text(["9.00", "0.562", "0.1875", "4,608"])
        for name in ("decoded", "shuffled", "blind"):
            image = page.locator(f"#learn-{name} img").first
            expect(image).to_be_visible()
        assert studio.asked == [("pixelcnn", None)]
        page.get_by_role("tab", name="Edit").click()
        page.get_by_role("tab", name="Learn").click()
        expect(row).to_be_visible()
        assert studio.asked == [("pixelcnn", None)]  # coming back costs nothing
        page.close()  # before the app is, or it would complain of losing it
