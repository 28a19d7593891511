"""Ways of coding one picture: their figures, counted in another way, and the chart they make."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from demo import contenders
from demo.contenders import (
    Choice,
    CodeUse,
    Contender,
    Results,
    by_codec,
    by_codes,
    curve,
    prior_bits,
)
from demo.rate_chart import BOTTOM, LEFT, RIGHT, SIZES, TOP, Axis
from demo.tabs.compare_view import chart, figures
from tests.fake_studio import FakeStudio, psnr


@pytest.fixture
def picture() -> np.ndarray:
    """48 × 64 pixels: a few colours in blocks, and some noise."""
    rng = np.random.default_rng(4)
    few = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    blocks = few[rng.integers(0, 5, (12, 16))].repeat(4, 0).repeat(4, 1)
    return blocks // 2 + rng.integers(0, 30, blocks.shape, dtype=np.uint8)


def test_entropy_and_perplexity_are_those_of_counting() -> None:
    codes = np.array([[3, 3, 3], [3, 9, 1]])
    use = CodeUse(codes, 16)
    counts = Counter(codes.ravel().tolist())
    entropy = sum(n / 6 * math.log2(6 / n) for n in counts.values())
    assert use.used == 3 and use.entropy == pytest.approx(entropy)
    assert use.perplexity == pytest.approx(2**entropy)
    flat = CodeUse(np.full((4, 4), 7), 16)
    assert (flat.used, flat.entropy, flat.perplexity) == (1, 0, 1)


def test_another_stride_is_compared_at_the_size_of_the_picture(picture: np.ndarray) -> None:
    odd = picture[:44, :60]  # no multiples of 8
    own = by_codes(FakeStudio(), odd)
    assert own.coded_size == (60, 44) and not own.resized
    assert own.bits == 11 * 15 * 9
    coarse = by_codes(FakeStudio(stride=8), odd)
    assert coarse.resized and coarse.picture.shape == odd.shape
    assert coarse.psnr == pytest.approx(psnr(odd, coarse.picture))
    assert coarse.bits < own.bits / 3


def test_a_file_has_no_more_bytes_than_the_codes(picture: np.ndarray) -> None:
    one = by_codec(FakeStudio(), picture, "jpeg", 900)
    assert one.fits and one.bits <= 8 * 900 and one.picture.shape == picture.shape
    points = curve(FakeStudio(), picture, "webp")
    assert [p.bits for p in points] == sorted(p.bits for p in points)
    assert points[-1].psnr > points[0].psnr + 3


def test_a_prior_prices_the_whole_map(picture: np.ndarray) -> None:
    studio = FakeStudio()
    codes = studio.encode(picture)
    shares, bits = zip(*prior_bits(studio, codes), strict=True)
    assert list(shares) == [0.25, 0.5, 0.75, 1]
    assert bits[:-1] == (None,) * 3
    assert bits[-1] == pytest.approx((codes % 13 + 0.5).sum())
    assert list(prior_bits(FakeStudio(priors=()), codes)) == []


def test_a_prior_that_would_take_too_long_is_not_waited_for(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "PRICING_SECONDS", 0.0)
    studio = FakeStudio()
    assert list(prior_bits(studio, studio.encode(picture))) == [(0.25, None)]
    assert studio.closed_at_part == 1


def results_of(picture: np.ndarray) -> Results:
    studio = FakeStudio()
    one = by_codes(studio, picture)
    assert one.use is not None
    return Results(
        picture,
        Choice(("fake", "gone"), ("jpeg",)),
        by_codes={"fake": one},
        curves={"jpeg": curve(studio, picture, "jpeg")},
        prior_bits={"fake": list(prior_bits(studio, one.use.codes))[-1][1]},
        failed={"gone": "no such thing"},
    )


def test_the_codecs_get_the_bytes_of_the_first_checkpoint_there_is(picture: np.ndarray) -> None:
    results = results_of(picture)
    assert results.reference == "fake" and results.budget == math.ceil(12 * 16 * 9 / 8)
    file = by_codec(FakeStudio(), picture, "jpeg", results.budget)
    assert list(results.having(by_codec={("jpeg", results.budget): file}).shown) == ["fake", "jpeg"]
    assert list(results.having(by_codec={("jpeg", 1): file}).shown) == ["fake"]
    assert Results(picture, Choice((), ("jpeg",))).budget == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("measure", ["psnr", "ssim"])
def test_the_points_of_the_chart_lie_where_their_figures_say(
    picture: np.ndarray, size: str, measure: str
) -> None:
    results = results_of(picture)
    html = chart(results, measure, "en")
    svg = re.search(rf"<svg class='chart-{size}'.*?</svg>", html, re.DOTALL)
    assert svg is not None
    hits = re.findall(
        r"series-(\d).*?aria-label='([^']+)'><circle class='chart-hit' cx='([\d.]+)' cy='([\d.]+)'",
        svg[0],
    )
    one = results.by_codes["fake"]
    expected = [
        (bits / results.pixels, getattr(one, measure))
        for bits in (one.bits, one.entropy_bits, results.prior_bits["fake"])
        if bits is not None
    ]
    points = results.curves["jpeg"]
    expected += [(point.bits / results.pixels, getattr(point, measure)) for point in points]
    assert [int(series) for series, *_ in hits] == [0] * 3 + [1] * len(points)
    places = np.array([(float(x), float(y)) for _, _, x, y in hits])
    rates, values = np.log([rate for rate, _ in expected]), np.array([v for _, v in expected])
    # Straight lines through the places: the scales are even, the one of rates by its logarithm.
    for place, number in ((places[:, 0], rates), (places[:, 1], values)):
        slope, offset = np.polyfit(number, place, 1)
        np.testing.assert_allclose(slope * number + offset, place, atol=0.02)
    width, height = SIZES[size]
    assert places[:, 0].min() >= LEFT and places[:, 0].max() <= width - RIGHT
    assert places[:, 1].min() >= TOP and places[:, 1].max() <= height - BOTTOM
    assert "fake, all codes alike" in hits[0][1] and "quality 1" in hits[3][1]


def test_ticks_are_round_and_hold_everything() -> None:
    assert Axis.of_rates([0.12, 3.9]).ticks == (0.1, 0.2, 0.5, 1, 2, 5)
    assert Axis.of_values([23.4, 31.2]).ticks == (22, 24, 26, 28, 30, 32)
    assert len(Axis.of_rates([0.5]).ticks) >= 2 and len(Axis.of_values([20.0]).ticks) >= 2


def test_a_picture_without_loss_stands_in_the_table_only() -> None:
    flat = np.full((8, 8, 3), 100, np.uint8)
    use = CodeUse(np.zeros((2, 2), int), 512)
    perfect = Contender(flat, 36.0, math.inf, 1.0, 0.0, (8, 8), use)
    results = Results(flat, Choice(("<b>",), ()), by_codes={"<b>": perfect})
    assert chart(results, "psnr", "en") == ""
    table = figures(results, "ko")
    assert "&lt;b&gt;" in table and "<b>" not in table and "∞" in table


def test_pictures_of_other_sizes_come_back_at_theirs() -> None:
    picture = np.asarray(Image.new("RGB", (30, 20), "teal"))
    assert by_codec(FakeStudio(), picture, "webp", 30).picture.shape == picture.shape
