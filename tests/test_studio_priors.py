"""The door to the models where there is a prior of each kind, on small networks."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from demo.jobs import Refusal, Settings
from demo.studio import TURN, Studio
from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.checkpoints import Checkpoint
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.resampling import resample
from vq.surprise import code_bits

PRIORS = ("masked", "pixelcnn")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The codes of tests.tiny_checkpoint; the PixelCNN lacks the class hill."""
    checkpoint = tiny_checkpoint()
    config = PixelCNNConfig(
        num_codes=16, map_size=(8, 8), labels=("sea",), layers=2, channels=8, head=16
    )
    pixelcnn = PixelCNN(config).eval()
    with torch.no_grad():
        for prior in (checkpoint.priors["masked"], pixelcnn):
            prior.out.weight.mul_(6)
            prior.label_embedding.weight.mul_(40)
    return Checkpoint(checkpoint.autoencoder, {**checkpoint.priors, "pixelcnn": pixelcnn})


@pytest.fixture(scope="module")
def studio(checkpoint: Checkpoint) -> Studio:
    return Studio(checkpoint, "tiny", "cpu")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return photograph(64, 160)


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    cells = np.zeros((40, 16), bool)
    cells[4:8, 5:9] = True
    return cells


def filled(
    studio: Studio, picture: np.ndarray, cells: np.ndarray, settings: Settings
) -> np.ndarray:
    *_, step = studio.resample(picture, studio.encode(picture), cells, settings)
    return step.codes


def test_it_says_which_priors_go_row_by_row_and_who_judges(
    studio: Studio, checkpoint: Checkpoint
) -> None:
    about = studio.describe()
    assert about.priors == PRIORS and about.raster == ("pixelcnn",) and about.judge == "pixelcnn"
    masked = Checkpoint(checkpoint.autoencoder, {"masked": checkpoint.priors["masked"]})
    about = Studio(masked, "one", "cpu").describe()
    assert about.raster == () and about.judge is None


def test_each_prior_gets_its_own_of_steps_and_particles(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    def made(**changes: object) -> np.ndarray:
        settings = Settings(temperature=1, seed=3, **changes)  # type: ignore[arg-type]
        return filled(studio, picture, cells, settings)

    base = {prior: made(prior=prior, steps=2, particles=2) for prior in PRIORS}
    for prior, steps_matter in (("masked", True), ("pixelcnn", False)):
        more_steps = made(prior=prior, steps=8, particles=2)
        more_particles = made(prior=prior, steps=2, particles=16)
        assert (more_steps != base[prior]).any() == steps_matter
        assert (more_particles != base[prior]).any() != steps_matter


@pytest.mark.parametrize("prior", PRIORS)
def test_label_and_guidance_go_to_every_prior(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray, prior: str
) -> None:
    codes = torch.from_numpy(studio.encode(picture).astype(np.int64))[None]
    hole = torch.from_numpy(cells)[None]
    results = []
    for label, guidance in ((None, 1.0), ("sea", 1.0), ("sea", 8.0)):
        settings = Settings(prior=prior, label=label, guidance=guidance, temperature=1, seed=9)
        results.append(filled(studio, picture, cells, settings))
        expected = resample(
            checkpoint.priors[prior], codes, hole, [9], label=label, guidance=guidance
        )
        np.testing.assert_array_equal(results[-1], expected.numpy())
    assert (results[0] != results[1]).any() and (results[1] != results[2]).any()


@pytest.mark.parametrize("prior", PRIORS)
def test_surprise_is_the_librarys_and_lets_others_in_between_its_steps(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, prior: str
) -> None:
    codes = studio.encode(picture)
    tensor = torch.from_numpy(codes.astype(np.int64))[None]
    expected = code_bits(checkpoint.priors[prior], tensor, label="sea")[0].numpy()
    steps = []
    for bits in studio.surprise(codes, prior, "sea"):
        steps.append(bits)
        assert studio.encode(picture).shape == cells_shape(picture)  # would wait for ever
    assert steps[-1].dtype == np.float32
    np.testing.assert_allclose(steps[-1], expected, atol=0.05)
    assert len(steps) > 1 and np.isnan(steps[0]).any()
    job = studio.surprise(codes, prior, "sea")
    next(job)
    job.close()
    assert not TURN.locked()


def cells_shape(picture: np.ndarray) -> tuple[int, int]:
    return picture.shape[0] // 4, picture.shape[1] // 4


def test_the_judge_ranks_as_the_whole_maps_likelihoods_do(
    studio: Studio, checkpoint: Checkpoint, picture: np.ndarray, cells: np.ndarray
) -> None:
    """Whoever filled the hole, and in the mode that fills a ring around it too."""
    for mode in ("vary", "remove"):
        maps = np.concatenate(
            [
                filled(studio, picture, cells, Settings(prior=prior, mode=mode, variations=2))
                for prior in PRIORS
            ]
        )
        whole = code_bits(checkpoint.priors["pixelcnn"], torch.from_numpy(maps), label="sea")
        expected = whole.double().sum((1, 2)).numpy()
        found = studio.judge(maps, cells, "sea")
        assert np.ptp(expected) > 5
        np.testing.assert_allclose(found - found[0], expected - expected[0], atol=0.5)


def test_a_label_the_judge_does_not_know_is_left_out(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    maps = filled(studio, picture, cells, Settings(label="hill"))
    found = studio.judge(maps, cells, "hill")
    np.testing.assert_array_equal(found, studio.judge(maps, cells, None))
    assert (found != studio.judge(maps, cells, "sea")).all()


def test_what_is_not_there_is_refused_at_once(studio: Studio, picture: np.ndarray) -> None:
    codes = studio.encode(picture)
    with pytest.raises(Refusal, match="oracle"):
        studio.surprise(codes, "oracle", None)
    with pytest.raises(Refusal, match="hill"):
        studio.surprise(codes, "pixelcnn", "hill")


def test_a_long_question_and_a_job_of_somebody_else_end_both(
    studio: Studio, picture: np.ndarray, cells: np.ndarray
) -> None:
    alone = filled(studio, picture, cells, Settings(seed=4))
    asking = threading.Thread(
        target=lambda: list(studio.surprise(studio.encode(picture), "masked", None))
    )
    asking.start()
    np.testing.assert_array_equal(filled(studio, picture, cells, Settings(seed=4)), alone)
    asking.join()


@pytest.mark.parametrize("prior", PRIORS)
def test_akin_to_a_map_keeps_that_share_of_its_hole_seed_by_seed(
    studio: Studio, picture: np.ndarray, cells: np.ndarray, prior: str
) -> None:
    parent = filled(studio, picture, cells, Settings(prior=prior, seed=1, steps=4))[0]
    settings = Settings(prior=prior, seed=5, variations=3, steps=4, keep=0.75)
    job = studio.resample(picture, parent, cells, settings)
    for step in job:
        assert (step.remaining[:, cells].sum(1) <= 4).all()  # of sixteen
    np.testing.assert_array_equal(step.codes[:, ~cells], np.stack([parent[~cells]] * 3))
    assert ((step.codes == parent)[:, cells].sum(1) >= 12).all()
    assert (step.codes != parent).any()
    *_, alone = studio.fill(parent, cells, Settings(prior=prior, seed=6, steps=4, keep=0.75))
    np.testing.assert_array_equal(alone.codes[0], step.codes[1])
