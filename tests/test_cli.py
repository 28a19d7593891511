"""The command line, from training a checkpoint to repainting a picture with it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.checkpoints import DEFAULT_CHECKPOINT, load
from vq.cli import main
from vq.recipes import get_recipe, recipe_names
from vq.weights import fingerprint


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small pictures laid out as the recipe's two data sets are."""
    root = tmp_path_factory.mktemp("data")
    for i in range(10):
        name = "scenes128/train/sea" if i % 2 else "imagenette128/train/n01440764"
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(photograph(48, 40), 7 * i, (0, 1))).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_checkpoint().save(path)
    return str(path)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(photograph(50, 38)).save(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    pixels = np.zeros((38, 50), np.uint8)
    pixels[10:20, 10:30] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_train_makes_a_checkpoint_with_logs_and_grids(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, runs = tmp_path / "out", tmp_path / "runs"
    settings = [
        "autoencoder.model.hidden=8",
        "autoencoder.model.residual_hidden=4",
        "autoencoder.model.num_codes=16",
        "autoencoder.crop=16",
        "autoencoder.training.batch=4",
        "autoencoder.training.log_every=1",
        "masked.model.channels=8",
        "masked.model.width=16",
        "masked.model.heads=1",
        "masked.model.depth=1",
        "masked.training.batch=4",
        "masked.training.log_every=1",
        "pixelcnn.model.layers=2",
        "pixelcnn.model.channels=8",
        "pixelcnn.model.head=8",
        "pixelcnn.training.batch=4",
        "pixelcnn.training.log_every=1",
        "size=32",
    ]
    command = ["train", "scenes-128", "--data", str(data), "--out", str(out), "--quiet"]
    command += ["--runs", str(runs), "--steps", "3"]
    command += [word for s in settings for word in ("--set", s)]
    assert main(command) == 0, capsys.readouterr().err
    made = load(out)
    assert made.num_codes == 16
    assert made.labels == ("sea", "tench")
    grids = {"autoencoder": "reconstructions", "masked": "samples", "pixelcnn": "samples"}
    for prior in ("masked", "pixelcnn"):
        assert made.priors[prior].config.map_size == (8, 8)
        assert made.priors[prior].config.labels == ("sea", "tench")
    for stage, grid in grids.items():
        assert len((runs / stage / "log.jsonl").read_text().splitlines()) == 3
        assert Image.open(runs / stage / f"{grid}.png").width > 32
    # Another can start from it: with a learning rate of 0, it stays there.
    still = [f"{stage}.training.learning_rate=0" for stage in grids]
    further = [*command, *(word for s in still for word in ("--set", s)), "--start", str(out)]
    further[further.index(str(out))] = str(out) + "2"
    further[further.index(str(runs))] = str(runs) + "2"
    assert main(further) == 0, capsys.readouterr().err
    for name, network in load(str(out) + "2").modules().items():
        for weight, value in network.named_parameters():
            assert torch.equal(value, made.modules()[name].get_parameter(weight)), (name, weight)
    # With a larger book, priors know each code as one of the old.
    second = (str(out) + "2", str(runs) + "2")
    finer = [f"{word[:-1]}3" if word in second else word for word in further]
    finer[finer.index("autoencoder.model.num_codes=16")] = "autoencoder.model.num_codes=24"
    assert main(finer) == 0, capsys.readouterr().err
    more = load(str(out) + "3")
    assert more.num_codes == 24
    for name, embedding in (("pixelcnn", "embedding"), ("masked", "code_embedding")):
        rows = more.priors[name].get_parameter(f"{embedding}.weight")[:24]
        known = made.priors[name].get_parameter(f"{embedding}.weight")[:16]
        assert (rows[:, None] == known).all(2).any(1).all()
    # A prior trained alone joins what is there.
    assert main([*command, "--stage", "masked"]) == 0, capsys.readouterr().err
    assert set(load(out).priors) == {"masked", "pixelcnn"}
    # A new autoencoder would make its old priors nonsense: they go.
    command[command.index("3")] = "4"
    assert main([*command, "--stage", "autoencoder"]) == 0
    assert load(out).priors == {}


def test_evaluate_prints_the_figures_as_json(
    checkpoint: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", checkpoint, "--data", str(data / "scenes128"), "--split", "train"]
    assert main([*command, "--size", "32", "--limit", "3", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {
        "psnr_db",
        "ssim",
        "mse",
        "perplexity",
        "codes_used",
        "unigram_bits",
        "bits_per_code",
        "pictures_per_second",
    } <= figures.keys()
    assert figures["pictures"] == 3
    assert 0 < figures["bits_per_code"]["masked"] < 6
    assert main(command) == 0
    assert "psnr_db" in capsys.readouterr().out


def test_reconstruct_keeps_the_size(checkpoint: str, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert main(["reconstruct", str(picture), "-o", str(out), "--checkpoint", checkpoint]) == 0
    assert Image.open(out).size == (50, 38)


def test_inpaint_writes_each_variation(
    checkpoint: str, picture: Path, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.png"
    command = ["inpaint", str(picture), str(mask), "-o", str(out), "--checkpoint", checkpoint]
    command += ["--prior", "masked", "--seed", "3", "--label", "sea", "--steps", "2"]
    assert main([*command, "--variations", "2"]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(p).name for p in printed] == ["new-3.png", "new-4.png"]
    before = np.asarray(Image.open(picture))
    painted = np.asarray(Image.open(mask)) > 0
    for path in printed:
        after = np.asarray(Image.open(path))
        assert np.array_equal(before[~painted], after[~painted])
    assert main(command) == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(printed[0])))


def test_sample_draws_a_grid(checkpoint: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    assert main(["sample", "-n", "4", "-o", str(out), "--checkpoint", checkpoint]) == 0
    assert Image.open(out).size == (66, 66)


def test_info_describes_every_network(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", checkpoint, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["modules"]["autoencoder"]["type"] == "VQVAE"
    assert described["modules"]["masked"]["config"]["labels"] == ["sea", "hill"]
    assert main(["info", checkpoint]) == 0
    assert "MaskedPrior" in capsys.readouterr().out


def test_mistakes_are_one_line_and_status_2(
    checkpoint: str, picture: Path, mask: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.png")
    wrong_mask = tmp_path / "wrong.png"
    Image.new("L", (9, 9)).save(wrong_mask)
    base = ["inpaint", str(picture), str(mask), "-o", out, "--checkpoint", checkpoint]
    cases = [
        (["train", "nothing"], "no recipe 'nothing'"),
        (["train", "scenes-128", "--set", "masked.holes"], "FIELD=VALUE"),
        (["train", "scenes-128", "--set", "masked.hollow=1"], "no field 'masked.hollow'"),
        (["train", "scenes-128", "--set", "size=big"], "size must be a number"),
        (["train", "scenes-128", "--data", str(tmp_path)], "no data set"),
        (["evaluate", checkpoint, "--data", checkpoint], "no pictures"),
        (["info", str(tmp_path / "missing")], "no checkpoint folder"),
        ([*base, "--label", "desert"], "unknown class 'desert'"),
        ([*base, "--temperature", "nan"], "temperature"),
        ([*base, "--seed", "-1"], "seeds"),
        (["inpaint", str(picture), str(wrong_mask), *base[3:]], "9"),
        (["reconstruct", str(tmp_path / "no.png"), *base[3:]], "reconstruct:"),
        (["sample", "-n", "0", *base[3:]], "-n must be"),
    ]
    for command, message in cases:
        assert main(command) == 2, command
        printed = capsys.readouterr()
        assert message in printed.err, command
        assert printed.err.count("\n") == 1, printed.err
        assert not printed.out


def test_training_without_its_extra_package_says_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    command = ["train", "scenes-128", "--data", str(data), "--runs", str(tmp_path), "--quiet"]
    assert main(command) == 2
    assert "pip install -e '.[train]'" in capsys.readouterr().err


def test_every_recipe_can_be_read_and_changed() -> None:
    for name in recipe_names():
        recipe = get_recipe(name)
        assert recipe.name == name
        changed = recipe.override({"autoencoder.training.batch": "7"})
        assert changed.autoencoder.training.batch == 7
        assert changed.masked == recipe.masked
        assert recipe.override({"autoencoder.model.ema": "false"}).autoencoder.model.ema is False
        # Fields that are valid only together, in either order.
        pair = {"masked.model.width": "16", "masked.model.heads": "1"}
        for settings in (pair, dict(reversed(pair.items()))):
            assert recipe.override(settings).masked.model.width == 16


def test_the_priors_of_a_recipe_fit_its_maps() -> None:
    """What its stages make of the size of its pictures; a config refuses what cannot be."""
    for name in recipe_names():
        recipe = get_recipe(name)
        side, rest = divmod(recipe.size, recipe.autoencoder.model.stride)
        assert rest == 0, name
        for prior in (recipe.masked.model, recipe.pixelcnn.model):
            assert dataclasses.replace(prior, map_size=(side, side)).map_size == (side, side)


def test_a_recipe_trains_by_default_what_its_published_checkpoint_holds() -> None:
    recipe = get_recipe(DEFAULT_CHECKPOINT.name)
    assert set(recipe.stages) == {"autoencoder", *load(DEFAULT_CHECKPOINT).priors}


def test_help_is_there_for_every_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "vq", "--help"], capture_output=True, text=True, check=True
    )
    for command in (
        "train",
        "evaluate",
        "reconstruct",
        "inpaint",
        "sample",
        "pull",
        "push",
        "info",
    ):
        assert command in result.stdout


def test_encode_and_decode_are_reconstruct_in_two_steps(
    checkpoint: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, codes, out = (tmp_path / name for name in ("whole.png", "a.codes", "out.png"))
    last = ["--checkpoint", checkpoint]
    assert main(["reconstruct", str(picture), "-o", str(whole), *last]) == 0
    assert main(["encode", str(picture), "-o", str(codes), *last]) == 0
    assert "13x10 codes" in capsys.readouterr().out
    assert main(["decode", str(codes), "-o", str(out), *last]) == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(whole)))
    assert Image.open(out).size == (50, 38)

    assert main(["encode", str(picture), "-o", str(codes), "--longest", "32", *last]) == 0
    assert main(["decode", str(codes), "-o", str(out), *last]) == 0
    assert Image.open(out).size == (32, 24)


def test_searched_codes_give_a_picture_back_better(
    checkpoint: str, picture: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, errors = np.asarray(Image.open(picture).convert("RGB")).astype(float), []
    for more in ([], ["--search", "1"], ["--search"]):
        codes, decoded, whole = (tmp_path / name for name in ("a.codes", "b.png", "c.png"))
        last = ["--checkpoint", checkpoint]
        assert main(["encode", str(picture), "-o", str(codes), *last, *more]) == 0
        assert main(["decode", str(codes), "-o", str(decoded), *last]) == 0
        assert main(["reconstruct", str(picture), "-o", str(whole), *last, *more]) == 0
        pixels = np.asarray(Image.open(decoded))
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(whole)))
        errors.append(float(np.square(pixels - original).mean()))
    assert errors[0] > errors[1] > errors[2]

    capsys.readouterr()
    command = ["evaluate", checkpoint, "--data", str(data / "scenes128"), "--split", "train"]
    figures = []
    for more in ([], ["--search", "4"]):
        assert main([*command, "--size", "32", "--limit", "4", "--json", *more]) == 0
        figures.append(json.loads(capsys.readouterr().out)["mse"])
    assert figures[0] > figures[1]
    assert main([*command, "--search", "65"]) == 2
    assert "passes must be a whole number from 0 to 64, not 65" in capsys.readouterr().err


def test_decode_refuses_what_is_damaged_or_of_another_checkpoint(
    checkpoint: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes, out, other = (tmp_path / name for name in ("a.codes", "out.png", "other"))
    assert main(["encode", str(picture), "-o", str(codes), "--checkpoint", checkpoint]) == 0
    changed = tiny_checkpoint()
    changed.autoencoder.quantizer.codebook.data += 1
    changed.save(other)
    ids = [fingerprint(load(path).autoencoder) for path in (checkpoint, other)]
    capsys.readouterr()
    assert main(["decode", str(codes), "-o", str(out), "--checkpoint", str(other)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vq decode: ") and error.count("\n") == 1
    assert ids[0] != ids[1] and all(one in error for one in ids)
    codes.write_bytes(codes.read_bytes()[:-1])
    assert main(["decode", str(codes), "-o", str(out), "--checkpoint", checkpoint]) == 2
    assert capsys.readouterr().err == "vq decode: The code file ends too early.\n"
    assert not out.exists()
