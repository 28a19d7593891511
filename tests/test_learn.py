"""The Learn tab's figures, worked out another way, and the tab in a real browser."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from demo.lesson_view import training
from demo.lessons import lesson
from demo.studio import Studio
from demo.text import LANGUAGES
from demo.tradeoffs import LOGS, training_runs
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
    assert result.use.used == len(counts)
    assert result.use.perplexity == pytest.approx(2 ** (surprise / codes.size))
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
    assert (result.use.used, result.use.entropy, result.use.perplexity) == (1, 0, 1)
    assert math.copysign(1, result.use.entropy) == 1
    np.testing.assert_array_equal(result.shuffled, result.decoded)
    assert result.psnr(grey) == math.inf


def test_shuffling_keeps_the_codes_and_loses_the_picture(picture: np.ndarray) -> None:
    studio = FakeStudio()
    result = lesson(studio, picture, studio.encode(picture))
    shuffled = studio.encode(result.shuffled)
    assert Counter(shuffled.ravel().tolist()) == Counter(result.codes.ravel().tolist())
    assert result.psnr(result.shuffled) < result.psnr(result.decoded) - 3


def test_rounding_is_the_distance_to_the_nearest_code_vector() -> None:
    checkpoint = checkpoints.load(checkpoints.DEFAULT_CHECKPOINT)
    studio = Studio(checkpoint, "scenes", "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    with torch.inference_mode():
        values = torch.from_numpy(picture / np.float32(255)).permute(2, 0, 1)[None]
        z = checkpoint.autoencoder.encoder(values - 0.5)[0].flatten(1).T.double().numpy()
    book = checkpoint.autoencoder.quantizer.codebook[0].double().numpy()
    distance = ((z[:, None] - book[None]) ** 2).sum(-1).min(1)
    # The app may use bfloat16 on the way.
    found = studio.rounding(picture)
    assert found.commitment == pytest.approx(distance.mean() / z.shape[1], rel=0.05)
    chosen = book[((z[:, None] - book[None]) ** 2).sum(-1).argmin(1)]
    share = math.sqrt(distance.mean() / (chosen**2).sum(1).mean())
    assert found.relative == pytest.approx(share, rel=0.05)


def test_the_runs_are_those_of_the_log_and_each_axis_passes_through_the_same_run() -> None:
    log = json.loads((LOGS / "ablations.json").read_text("utf-8"))
    for axis, settings in log["axes"].items():
        if len(settings) < 2:
            continue
        found = training_runs(axis)
        assert [run.setting for run in found] == list(settings)
        for run, name in zip(found, settings.values(), strict=True):
            figures, curve = log["runs"][name]["figures"], log["runs"][name]["curve"]
            assert (run.psnr, run.used) == (figures["psnr_db"], figures["codes_used"])
            # |z - e|² is the commitment times D, as that is a mean over the elements.
            dim = log["runs"][name]["config"]["code_dim"]
            assert run.distance == pytest.approx((curve["commitment"][-1] * dim) ** 0.5, rel=1e-3)
    common = next(run for run in training_runs("codes") if run.setting == "512")
    assert common.psnr == next(r.psnr for r in training_runs("beta") if r.setting == "0.25")


def test_what_the_runs_say_is_what_the_lesson_says() -> None:
    """The answers claim directions: they must be in the figures, whatever run they come from."""
    codes, beta = training_runs("codes"), training_runs("beta")
    assert [run.psnr for run in codes] == sorted(run.psnr for run in codes)
    assert [run.bits for run in codes] == sorted(run.bits for run in codes)
    assert beta[0].distance > beta[-1].distance
    gains = [
        (b.psnr - a.psnr) / math.log2(int(b.setting) / int(a.setting)) for a, b in pairwise(codes)
    ]
    assert gains[-1] < gains[0]  # of a further bit a code


def test_what_the_search_says_is_what_the_lesson_says() -> None:
    measured = json.loads((LOGS / "code-search.json").read_text("utf-8"))["checkpoints"]
    about = FakeStudio().describe()
    for name, splits in measured.items():
        page = training(dataclasses.replace(about, name=name), "en")
        for split, steps in splits.items():
            row = page.split(f"<th scope='row'>{split}</th>")[1].split("</tr>")[0]
            assert row == "".join(f"<td>{figures['psnr_db']:.2f} dB</td>" for figures in steps)
        for figures in steps:
            assert f"<th scope='col'>{figures['passes']} passes</th>" in page
        # What the answer claims: less and less error, and codes that a prior finds less likely.
        for steps in splits.values():
            psnr = [figures["psnr_db"] for figures in steps]
            assert psnr == sorted(psnr) and psnr[0] < psnr[-1]
            before, after = (f["bits_per_code"] for f in steps if "bits_per_code" in f)
            assert all(after[prior] > bits for prior, bits in before.items())
    page = training(dataclasses.replace(about, name="owner/never-measured"), "en")
    assert "Is the nearest code the best one?" in page and " passes</th>" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_has_words_and_a_strangers_card_does_no_harm(language: str) -> None:
    about = FakeStudio().describe()
    page = training(about, language)
    tables = page.count("<table>")
    assert tables >= 3 and "6.00" in page and "8.00" in page
    for figures in ({"<b>": {"unigram_bits": "<i>", "bits_per_code": {"masked": math.nan}}}, {}):
        harmless = training(dataclasses.replace(about, figures=figures), language)
        assert (
            harmless.count("<table>") == tables - 1
            and "<i>" not in harmless
            and "<b>" not in harmless
        )


def test_the_tab_teaches_then_answers(open_page: OpenPage, tmp_path: Path) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    studio = FakeStudio()
    with running_app(studio, tmp_path) as url:
        page = open_page(url)
        page.get_by_role("tab", name="Learn").click()
        expect(page.locator("#learn-empty")).to_contain_text("What is a dead code?")
        expect(page.locator("#learn-third tr", has_text="K = 512").first).to_be_visible()
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
        for name in ("decoded", "shuffled", "blind", "drawn"):
            image = page.locator(f"#learn-{name} img").first
            expect(image).to_be_visible()
        assert studio.asked == [("pixelcnn", None)]
        # What was learnt over many pictures is there too, and was there without one.
        held_out = page.locator("#learn-third tr", has_text="PixelCNN")
        expect(held_out.locator("td")).to_have_text(["6.00"])
        page.get_by_role("tab", name="Edit").click()
        page.get_by_role("tab", name="Learn").click()
        expect(row).to_be_visible()
        assert studio.asked == [("pixelcnn", None)]  # coming back costs nothing
        page.close()  # before the app is, or it would complain of losing it
