"""Whole pictures and code maps without a picture: what a studio makes of its priors."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch

from demo.jobs import CodeStep, Refusal, Settings
from demo.sampler import LOOKS, UNFILLED, GenerateParts, Sampler
from demo.shelf import Shelf
from demo.studio import TOGETHER, TURN, Studio
from tests.edit_tab import ENGLISH
from tests.tiny_checkpoint import tiny_checkpoint
from vq.checkpoints import DEFAULT_CHECKPOINT, Checkpoint
from vq.generation import GUIDANCE, sample_pictures, whole_prior
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.surprise import code_bits
from vq.weights import fingerprint

PRIORS = ("masked", "pixelcnn")
SIDE = 8  # of the tiny priors' maps


@functools.cache
def tiny() -> Checkpoint:
    """Stride 4, K = 16, both kinds of prior."""
    checkpoint = tiny_checkpoint((SIDE, SIDE))
    torch.manual_seed(1)
    config = PixelCNNConfig(
        num_codes=16, map_size=(SIDE, SIDE), labels=("sea", "hill"), layers=2, channels=8, head=8
    )
    priors = {**checkpoint.priors, "pixelcnn": PixelCNN(config).eval()}
    return Checkpoint(checkpoint.autoencoder, priors)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(tiny(), "tiny", "cpu")


@functools.cache
def shipped() -> Studio:
    return Studio.load(device="cpu")


def steps_of(studio: Studio, count: int, **settings: Any) -> list[CodeStep]:
    return list(studio.generate(count, Settings(**settings)))


@pytest.mark.parametrize("prior", PRIORS)
def test_pictures_come_a_few_at_a_time_and_nothing_filled_changes(
    studio: Studio, prior: str
) -> None:
    steps = steps_of(studio, TOGETHER + 2, prior=prior, steps=5, temperature=1.0)
    per_batch = SIDE if prior == "pixelcnn" else 5  # rows, or the steps asked for
    assert [(s.at_work, s.step, s.steps) for s in steps] == [
        (batch, step, per_batch)
        for batch in (range(TOGETHER), range(TOGETHER, TOGETHER + 2))
        for step in range(1, per_batch + 1)
    ]
    for before, after in itertools.pairwise(steps):
        assert not (after.remaining & ~before.remaining).any()
        np.testing.assert_array_equal(
            after.codes[~before.remaining], before.codes[~before.remaining]
        )
        others = [i for i in range(TOGETHER + 2) if i not in after.at_work]
        np.testing.assert_array_equal(after.remaining[others], before.remaining[others])
    assert not steps[-1].remaining.any()
    assert len(np.unique(steps[-1].codes)) > 4 and steps[-1].codes.max() < 16


@pytest.mark.parametrize("prior", PRIORS)
def test_a_seed_has_its_picture_whatever_the_size_of_the_grid(studio: Studio, prior: str) -> None:
    settings = {"prior": prior, "steps": 4, "label": "hill", "guidance": 2.0}
    many = steps_of(studio, TOGETHER + 2, seed=3, **settings)[-1].codes
    for i in (0, 2, TOGETHER + 1):
        (alone,) = steps_of(studio, 1, seed=3 + i, **settings)[-1].codes
        np.testing.assert_array_equal(alone, many[i])


@pytest.mark.parametrize("prior", PRIORS)
def test_each_class_in_turn_is_each_class_asked_for(studio: Studio, prior: str) -> None:
    """`*` gives a seed what the class does whose turn it is, and no two classes the same."""
    settings = {"prior": prior, "steps": 4, "guidance": 3.0, "temperature": 1.0}
    labels = tiny().priors[prior].config.labels
    maps = steps_of(studio, 5, seed=7, label="*", **settings)[-1].codes
    for seed, codes in enumerate(maps, 7):
        of_class = [
            steps_of(studio, 1, seed=seed, label=name, **settings)[-1].codes[0] for name in labels
        ]
        np.testing.assert_array_equal(codes, of_class[seed % len(labels)])
        assert (of_class[0] != of_class[1]).any()
    for label in ("*", "**"):  # a map's bits are those of one class
        with pytest.raises(Refusal, match="label"):
            studio.surprise(maps[0], prior, label)


def test_whole_pictures_come_from_the_prior_in_raster_order() -> None:
    assert whole_prior(tiny().priors) == "pixelcnn"
    assert whole_prior({"masked": tiny().priors["masked"]}) == "masked"
    assert whole_prior({}) is None
    assert Studio(tiny(), "tiny", "cpu").describe().whole == "pixelcnn"
    np.testing.assert_array_equal(
        sample_pictures(tiny(), None, [3], label="*"),
        sample_pictures(tiny(), "pixelcnn", [3], label="*", guidance=GUIDANCE),
    )


def test_a_closed_job_leaves_the_models_to_others(studio: Studio) -> None:
    job = studio.generate(16, Settings(steps=8))
    next(job)
    job.close()
    assert not TURN.locked()
    assert steps_of(studio, 1, steps=2)


@pytest.mark.parametrize("prior", PRIORS)
def test_only_the_hole_of_a_map_is_filled(studio: Studio, prior: str) -> None:
    codes = np.random.default_rng(0).integers(0, 16, (7, 11))
    cells = np.zeros(codes.shape, bool)
    cells[2:6, 3:9] = True
    settings = Settings(prior=prior, variations=2, seed=9, temperature=1.0)
    *_, last = studio.fill(codes, cells, settings)
    assert last.at_work == range(2) and not last.remaining.any()
    np.testing.assert_array_equal(last.codes[:, ~cells], np.stack([codes[~cells]] * 2))
    assert (last.codes[0] != last.codes[1]).any()


@pytest.mark.parametrize("prior", PRIORS)
def test_bits_are_the_librarys(studio: Studio, prior: str) -> None:
    codes = np.random.default_rng(0).integers(0, 16, (9, 12))
    *_, bits = studio.surprise(codes, prior, "sea")
    expected = code_bits(tiny().priors[prior], torch.from_numpy(codes)[None], label="sea")[0]
    np.testing.assert_allclose(bits, expected.numpy(), rtol=1e-5)


def test_what_is_not_there_is_refused_before_anything_is_computed(studio: Studio) -> None:
    nothing: Any = None
    wrong: list[tuple[Any, Any]] = [("vqgan", None), ([], None), ("masked", "moon"), ("masked", 3)]
    for prior, label in wrong:
        settings = Settings(prior=prior, label=label)
        for ask in (
            lambda s=settings: studio.generate(4, s),
            lambda s=settings: studio.fill(nothing, nothing, s),
            lambda s=settings: studio.surprise(nothing, s.prior, s.label),
        ):
            with pytest.raises(Refusal, match="known"):
                ask()


def test_codes_say_by_which_weights_they_were_made(studio: Studio) -> None:
    about = studio.describe()
    assert about.checkpoint == fingerprint(tiny().autoencoder)
    assert about.raster == ("pixelcnn",)
    other = copy.deepcopy(tiny().autoencoder)
    assert fingerprint(other) == about.checkpoint
    next(other.parameters()).data.flatten()[0] += 1e-3
    assert fingerprint(other) != about.checkpoint


def test_what_is_seen_on_the_way_is_what_is_filled(studio: Studio) -> None:
    parts: Any = GenerateParts(*(name for name in GenerateParts.__dataclass_fields__))
    sampler = Sampler(Shelf.of(studio), parts)
    updates = list(
        sampler.generate(studio.describe().name, "masked", 6, "", 12, 3, False, 1.0, 1.0, ENGLISH)
    )
    seen = [update["generated"] for update in updates if "generated" in update]
    # At each look of the first four and of the other two; and once at the very first step.
    assert len(seen) == 2 * LOOKS + 1
    last = steps_of(studio, 6, seed=3, steps=12, temperature=1.0)[-1]
    np.testing.assert_array_equal(seen[-1].codes, last.codes)
    for i, picture in enumerate(seen[-1].pictures):
        np.testing.assert_array_equal(picture, studio.decode(last.codes[i]))
    for generated in seen:
        unfilled = generated.remaining.repeat(4, 1).repeat(4, 2)
        assert (generated.pictures[unfilled] == UNFILLED).all()
        np.testing.assert_array_equal(generated.tiles[..., 3] == 0, unfilled)
        np.testing.assert_array_equal(generated.tiles[..., :3], generated.pictures)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_shipped_priors_make_pictures_of_their_kind(prior: str) -> None:
    if not DEFAULT_CHECKPOINT.is_dir() or prior not in shipped().describe().priors:
        pytest.skip(f"no {prior} in the shipped checkpoint")
    studio = shipped()
    made = steps_of(studio, 2, prior=prior, steps=8, label="forest", temperature=1.0)[-1].codes
    assert made.shape == (2, 32, 32) and len(np.unique(made)) > 30
    assert studio.decode(made[0]).shape == (128, 128, 3)

    def total(codes: np.ndarray) -> float:
        *_, bits = studio.surprise(codes, prior, "forest")
        return float(bits.sum())

    # The prior believes its own map, and not the same codes out of order.
    shuffled = np.random.default_rng(0).permuted(made[0].ravel()).reshape(made[0].shape)
    assert total(made[0]) < total(shuffled)
