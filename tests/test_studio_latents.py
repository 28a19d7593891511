"""The studio of a checkpoint with a second stage, on small real networks with random weights."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from demo.jobs import Refusal, SecondStage, Settings
from demo.studio import Studio
from tests.tiny_checkpoint import tiny_checkpoint
from vq import latents
from vq.checkpoints import Checkpoint
from vq.map_vae import MapVAE, MapVAEConfig

SIZE = (4, 5)
CARD = "---\nfigures:\n  mazes/test: {psnr_db: 28.0}\n---\n# Mazes\n"


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    config = MapVAEConfig(
        num_codes=16, map_size=SIZE, latent_codes=8, latent_dim=4, channels=8, layers=2
    )
    return replace(tiny_checkpoint(), map_vae=MapVAE(config).eval(), card=CARD)


@pytest.fixture(scope="module")
def studio(checkpoint: Checkpoint) -> Studio:
    return Studio(checkpoint, "small", "cpu")


def test_it_says_what_it_has(studio: Studio) -> None:
    about = studio.describe()
    assert about.second == SecondStage(3, 8, SIZE) and about.second.bits == 9
    assert about.mazes
    plain = Studio(tiny_checkpoint(), "plain", "cpu").describe()
    assert plain.second is None and not plain.mazes


def test_its_latents_are_those_of_the_library(studio: Studio, checkpoint: Checkpoint) -> None:
    codes = np.random.default_rng(0).integers(0, 16, SIZE)
    found = studio.encode_latents(codes)
    assert found == latents.encode(checkpoint, codes)
    settings = Settings(variations=3, seed=7, temperature=0.8, top_k=5)
    steps = list(studio.decode_latents(found, settings))
    assert [step.step for step in steps] == [1, 2, 3, 4] and steps[-1].steps == 4
    assert steps[1].remaining[:, 2:].all() and not steps[1].remaining[:, :2].any()
    *_, last = latents.decoding_steps(checkpoint, found, [7, 8, 9], temperature=0.8, top_k=5)
    assert np.array_equal(steps[-1].codes, last["codes"])
    *_, alone = studio.decode_latents(found, Settings(seed=9, temperature=0.8, top_k=5))
    assert np.array_equal(alone.codes[0], steps[-1].codes[2])


def test_what_cannot_be_is_refused_before_anything_is_drawn(studio: Studio) -> None:
    for asked in ((1, 2), (1, 2, 8), (1, 2, -1)):
        with pytest.raises(Refusal, match="latents must be 3 whole numbers from 0 to 7"):
            studio.decode_latents(asked, Settings())
    with pytest.raises(Refusal, match="the map must be 4x5 codes, not 5x4"):
        studio.encode_latents(np.zeros((5, 4), int))
    plain = Studio(tiny_checkpoint(), "plain", "cpu")
    for action in (
        lambda: plain.decode_latents((1, 2, 3), Settings()),
        lambda: plain.encode_latents(np.zeros(SIZE, int)),
    ):
        with pytest.raises(Refusal) as refused:
            action()
        assert refused.value.key == "error_no_latents" and refused.value.values["model"] == "plain"


def test_frames_are_of_mazes_that_were_not_trained_on(studio: Studio) -> None:
    pytest.importorskip("labmaze")
    from vq.mazes import SPLITS, frames

    found = studio.frames(3)
    assert found.shape == (4, 84, 84, 3) and found.dtype == np.uint8
    for i, frame in enumerate(found):
        seed = 1_000_003 + i
        assert seed in SPLITS["test"] and seed not in SPLITS["train"]
        assert np.array_equal(frame, frames(seed, 1)[0])


def test_without_labmaze_frames_are_refused(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "labmaze", None)
    with pytest.raises(Refusal) as refused:
        studio.frames(0)
    assert refused.value.key == "error_no_labmaze"
