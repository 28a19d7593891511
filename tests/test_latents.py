"""The second stage at work: the codes of a map, and maps drawn from codes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq import inpainting
from vq.checkpoints import Checkpoint, load
from vq.cli import main
from vq.latents import LANCZOS, decoding_steps, encode, fitted
from vq.map_vae import MapVAE, MapVAEConfig
from vq.pictures import picture_grid

SIZE = (4, 5)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    config = MapVAEConfig(
        num_codes=16, map_size=SIZE, latent_codes=8, latent_dim=4, channels=8, layers=2
    )
    model = MapVAE(config).eval()
    with torch.no_grad():  # as built, the latents are hardly heard
        for parameter in model.spread.parameters():
            parameter.mul_(3)
    return replace(tiny_checkpoint(), map_vae=model)


def maps(n: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 16, (n, *SIZE))


def test_encode_is_the_encoders_nearest_code(checkpoint: Checkpoint) -> None:
    model = checkpoint.map_vae
    assert model is not None
    for codes in maps(5):
        with torch.no_grad():
            z = model._encoded(torch.from_numpy(codes)[None]).numpy().reshape(3, 4)
        books = model.quantizer.codebook.detach().numpy()  # (3, 8, 4)
        nearest = ((books - z[:, None]) ** 2).sum(2).argmin(1)
        assert encode(checkpoint, codes) == tuple(nearest)


def test_decoding_goes_row_by_row_and_a_map_depends_on_its_seed(checkpoint: Checkpoint) -> None:
    steps = list(decoding_steps(checkpoint, (1, 5, 7), [3, 9, 11]))
    assert [step["step"] for step in steps] == [1, 2, 3, 4]
    last = steps[-1]
    assert last["codes"].shape == (3, *SIZE) and not last["remaining"].any()
    for before, after in itertools.pairwise(steps):
        settled = ~before["remaining"]
        assert np.array_equal(before["codes"][settled], after["codes"][settled])
    for i, seed in enumerate([3, 9, 11]):
        *_, alone = decoding_steps(checkpoint, [1, 5, 7], [seed])
        assert np.array_equal(alone["codes"][0], last["codes"][i])
    model = checkpoint.map_vae
    assert model is not None
    z = model.vectors(torch.tensor([[1, 5, 7]]))
    assert np.array_equal(model.sample(z, [9])[0], last["codes"][1])


def test_what_the_latents_say_is_heard(checkpoint: Checkpoint) -> None:
    *_, one = decoding_steps(checkpoint, (1, 5, 7), range(8), temperature=0.0)
    *_, other = decoding_steps(checkpoint, (2, 0, 3), range(8), temperature=0.0)
    assert (one["codes"] == one["codes"][0]).all()  # without chance the seed says nothing
    assert (one["codes"] != other["codes"]).any()


def test_a_closed_job_stops(checkpoint: Checkpoint) -> None:
    steps = decoding_steps(checkpoint, (1, 5, 7), [0])
    assert next(steps)["step"] == 1


@pytest.mark.parametrize(
    "latents", [(1, 2), (1, 2, 3, 4), (0, 0, 8), (0, -1, 0), (0, 1.0, 2), (True, 0, 0), ("1", 0, 0)]
)
def test_latents_out_of_range_are_refused_at_once(checkpoint: Checkpoint, latents: tuple) -> None:
    with pytest.raises(ValueError, match="latents must be 3 whole numbers from 0 to 7"):
        decoding_steps(checkpoint, latents, [0])


def test_maps_that_cannot_be_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ValueError, match="the map must be 4x5 codes, not 5x4"):
        encode(checkpoint, maps(1)[0].T)
    with pytest.raises(ValueError, match="codes must be from 0 to 15"):
        encode(checkpoint, maps(1)[0] + 1)
    for action in (
        lambda c: encode(c, maps(1)[0]),
        lambda c: decoding_steps(c, (0, 0, 0), [0]),
    ):
        with pytest.raises(ValueError, match="no second stage"):
            action(tiny_checkpoint())


def test_a_picture_is_fitted_and_named_and_drawn_on_the_command_line(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path / "c")
    photo = photograph(60, 32)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    from_folder = ["--checkpoint", str(tmp_path / "c")]
    assert main(["latents", str(tmp_path / "photo.png"), *from_folder]) == 0
    printed = capsys.readouterr().out.strip()
    saved = load(tmp_path / "c")
    frame = fitted(saved, Image.fromarray(photo))
    # 4 x 5 codes of 4 x 4 pixels: the middle 40 x 32 of 60 x 32 pixels, halved.
    middle = Image.fromarray(photo).resize((20, 16), LANCZOS, box=(10, 0, 50, 32))
    assert np.array_equal(frame, np.asarray(middle))
    codes = encode(saved, inpainting.encode(saved.autoencoder, frame))
    assert printed == ",".join(map(str, codes))

    out = str(tmp_path / "drawn.png")
    command = ["sample", "-n", "2", "--seed", "3", "--temperature", "1", "-o", out, *from_folder]
    assert main([*command, "--latents", printed]) == 0
    *_, last = decoding_steps(saved, codes, [3, 4])
    expected = picture_grid(inpainting.decode(saved.autoencoder, last["codes"]))
    with Image.open(out) as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(expected))
    for wrong in ("1,2", "a,b,c", "1,2,8"):
        assert main([*command, "--latents", wrong]) == 2
