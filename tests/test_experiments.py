"""The paper's experiments: run at toy size, recorded, and shown as they were recorded."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vq.experiments as experiments
from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.card import SECOND_STAGE, write_card
from vq.checkpoints import Checkpoint, describe, load
from vq.cli import main
from vq.evaluation import evaluate
from vq.experiments import ablations, experiment_names, get_experiment, results_page, to_text
from vq.map_vae import MapVAEConfig
from vq.recipes import AutoencoderStage, get_recipe
from vq.stages import load_split
from vq.training import TrainingConfig
from vq.weights import fingerprint


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few small pictures laid out as the data sets are."""
    root = tmp_path_factory.mktemp("data")
    for i in range(12):
        for name in (
            "scenes128/train",
            "scenes128/test",
            "imagenette128/train",
            "imagenette128/val",
        ):
            folder = root / name / "sea"
            folder.mkdir(parents=True, exist_ok=True)
            picture = np.roll(photograph(32, 32), 5 * i + len(name), (0, 1))
            Image.fromarray(picture).save(folder / f"{i}.png")
    return root


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Five runs of six steps of tiny networks, recorded elsewhere."""
    common = dataclasses.replace(ablations.COMMON, hidden=8, residual_hidden=4, code_dim=4)
    training = TrainingConfig(steps=6, batch=2, log_every=2, bf16=False)
    stage = AutoencoderStage(common, training, crop=16)
    recipe = dataclasses.replace(ablations.RECIPE, autoencoder=stage, size=32)
    axes: Any = {
        "codes": {str(k): {"num_codes": k} for k in (8, 512)},
        "code book": {"EMA": {}, "loss": {"ema": False}},
        "quantizer": {
            "rotation trick": {"rotation": True},
            "FSQ": {"levels": (8, 8, 8), "code_dim": 3},
        },
    }
    for name, value in (("COMMON", common), ("RECIPE", recipe), ("AXES", axes), ("KEPT", (8, 512))):
        monkeypatch.setattr(ablations, name, value)
    for name in ("LOGS", "FIGURES"):
        monkeypatch.setattr(experiments, name, tmp_path / name)
    monkeypatch.setattr(experiments, "PAGE", tmp_path / "RESULTS.md")


def test_ablations_train_measure_and_record(
    toy: None, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["reproduce", "ablations", "--data", str(data), "--out", str(out), "--quiet"]
    assert main([*command, "--record", "--device", "cpu"]) == 0
    result = json.loads((out / "result.json").read_text())
    assert set(result["runs"]) == {
        "common", "num_codes=8", "ema=False", "rotation=True", "code_dim=3,levels=8,8,8"
    }  # fmt: skip
    for name, run in result["runs"].items():
        assert run["spent"]["steps"] == 6 and run["spent"]["pictures"] == 12
        curve = run["curve"]
        assert curve["step"] == [2, 4, 6] and all(len(c) == 3 for c in curve.values())
        log = (out / "runs" / name / "log.jsonl").read_text().splitlines()
        assert curve["mse"] == pytest.approx([json.loads(line)["mse"] for line in log], rel=1e-3)
        k = run["config"]["num_codes"]
        assert curve["dead"][0] == k - json.loads(log[0])["codes_used"]
    assert result["axes"]["code book"] == {"EMA": "common", "loss": "ema=False"}
    # Only without EMA is there a code-book loss; FSQ has neither.
    losses = {name: run["curve"]["codebook"][-1] for name, run in result["runs"].items()}
    assert [name for name, loss in losses.items() if loss] == ["ema=False"]

    # Recorded: the log, and the page that is made of it.
    assert json.loads((tmp_path / "LOGS" / "ablations.json").read_text()) == result
    page = (tmp_path / "RESULTS.md").read_text()
    assert (
        page == results_page() and f"{result['runs']['common']['figures']['psnr_db']:.2f}" in page
    )
    with Image.open(out / "reconstructions.png") as sheet:  # the pictures, K = 8, K = 512
        assert sheet.width > 2 * sheet.height
    assert "5 runs of 6 steps of 2 crops" in capsys.readouterr().out

    # The kept models are checkpoints with a card, and are what was measured.
    kept = out / "checkpoints" / "scenes-128-k8"
    assert load(kept).num_codes == 8
    figures = describe(kept)["card"]["figures"]["scenes128/test"]
    assert figures["psnr_db"] == pytest.approx(
        result["runs"]["num_codes=8"]["figures"]["psnr_db"], abs=1e-3
    )
    card = load(kept).card
    assert "12 crops in 6 steps" in card and not re.search(r"\{\w+\}", card)

    # The same command again trains nothing anew.
    before = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/*")}
    assert main(command) == 0
    assert {p: p.stat().st_mtime_ns for p in out.glob("runs/*/*")} == before


def test_maze_84_trains_on_frames_that_it_draws(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("labmaze")
    from vq import mazes
    from vq.experiments import maze_84

    monkeypatch.setattr(mazes, "SPLITS", {"train": range(2), "test": range(9, 11)})
    small = {
        "size": "24", "autoencoder.crop": "24", "autoencoder.model.hidden": "8",
        "autoencoder.model.residual_hidden": "4", "masked.model.channels": "8",
        "masked.model.width": "16", "masked.model.heads": "1", "masked.model.depth": "1",
        "pixelcnn.model.layers": "2", "pixelcnn.model.channels": "8",
    }  # fmt: skip
    monkeypatch.setattr(maze_84, "RECIPE", maze_84.RECIPE.override(small))
    out = tmp_path / "out"
    command = ["reproduce", "maze-84", "--out", str(out), "--quiet", "--minutes", "0.01"]
    assert main(command) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["figures_on"]["mazes/test"]["pictures"] == 16
    assert result["bits"] == 36 * 9 and result["pixel_bits"] == 24 * 24 * 24
    assert set(load(out / "checkpoint").priors) == {"masked", "pixelcnn"}
    assert all((out / name).exists() for name in result["figures"])
    shown = capsys.readouterr().out
    assert f"{result['figures_on']['mazes/test']['psnr_db']:.2f}" in shown


def test_scenes_128_measures_a_checkpoint_that_lies_there_as_it_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vq.experiments import scenes_128

    small = {
        "size": "32", "masked.model.channels": "8", "masked.model.width": "16",
        "masked.model.heads": "1", "masked.model.depth": "1", "masked.training.steps": "3",
        "masked.training.minutes": "0", "pixelcnn.model.layers": "2",
        "pixelcnn.model.channels": "8", "pixelcnn.training.steps": "2",
    }  # fmt: skip
    monkeypatch.setattr(scenes_128, "RECIPE", scenes_128.RECIPE.override(small))
    out = tmp_path / "out"
    Checkpoint(tiny_checkpoint().autoencoder).save(out / "checkpoint")
    before = fingerprint(load(out / "checkpoint").autoencoder)
    command = ["reproduce", "scenes-128", "--data", str(data), "--out", str(out), "--quiet"]
    assert main(command) == 0
    # What lay there is still what it was; only the priors, which did not, were trained.
    assert fingerprint(load(out / "checkpoint").autoencoder) == before
    assert sorted(path.name for path in (out / "runs").iterdir()) == ["masked", "pixelcnn"]
    result = json.loads((out / "result.json").read_text())
    spent = {stage: s and s["steps"] for stage, s in result["spent"].items()}
    assert spent == {"autoencoder": None, "masked": 3, "pixelcnn": 2}
    shown = capsys.readouterr().out
    for split, figures in result["figures_on"].items():
        assert split in shown and f"{figures['psnr_db']:.2f}" in shown
    assert "| autoencoder | – | – |" in shown and "measured as it is; its card" in shown


def test_code_search_measures_the_checkpoints_that_are_shipped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vq.experiments import code_search

    monkeypatch.setattr(code_search, "SHOWN", (0, 2, 8))
    monkeypatch.setattr(code_search, "PICTURES", 3)
    monkeypatch.setattr(code_search, "CHECKPOINTS", {"tiny": "scenes-128"})
    monkeypatch.setattr(code_search, "ROOT", tmp_path)
    recipe = get_recipe("scenes-128").override({"size": "32"})
    monkeypatch.setattr(code_search, "get_recipe", lambda name: recipe)
    tiny_checkpoint().save(tmp_path / "checkpoints" / "tiny")
    saved = load(tmp_path / "checkpoints" / "tiny")
    out = tmp_path / "out"
    command = ["reproduce", "code-search", "--data", str(data), "--out", str(out), "--quiet"]
    assert main([*command, "--device", "cpu"]) == 0
    found = json.loads((out / "result.json").read_text())["checkpoints"]["tiny"]
    assert list(found) == list(recipe.held_out)
    shown = capsys.readouterr().out
    for split, steps in found.items():
        pictures = load_split(recipe, split, data, 3)
        for passes, figures in zip((0, 2, 8), steps, strict=True):
            assert figures["passes"] == passes and f"{figures['psnr_db']:.2f}" in shown
            expected = evaluate(saved, pictures, search=passes)
            for name in ("psnr_db", "ssim", "perplexity"):
                assert figures[name] == pytest.approx(expected[name], rel=1e-4)
            if passes != 2:
                bits = expected["bits_per_code"]["masked"]
                assert figures["bits_per_code"]["masked"] == pytest.approx(bits, rel=1e-4)
        assert steps[0]["changed"] == 0 < steps[1]["changed"] <= 1
        assert steps[0]["psnr_db"] < steps[1]["psnr_db"] < steps[2]["psnr_db"]


def test_maze_27_bits_trains_on_the_maps_of_the_first_stage(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("labmaze")
    from vq import mazes
    from vq.experiments import maze_27_bits

    monkeypatch.setattr(mazes, "SPLITS", {"train": range(2), "test": range(9, 11)})
    tiny_checkpoint().save(tmp_path / "first")
    (tmp_path / "first" / "samples.jpg").write_bytes(b"a sheet of samples")
    monkeypatch.setattr(maze_27_bits, "FIRST_STAGE", tmp_path / "first")
    small = MapVAEConfig(latent_codes=8, latent_dim=4, channels=8, layers=2)
    monkeypatch.setattr(maze_27_bits, "CONFIG", small)
    monkeypatch.setattr(maze_27_bits, "CANDIDATES", 4)
    out = tmp_path / "out"
    assert main(["reproduce", "maze-27-bits", "--out", str(out), "--minutes", "0.01"]) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["config"]["num_codes"] == 16 and result["config"]["map_size"] == [21, 21]
    vq, gaussian = (model["figures"] for model in result["models"].values())
    assert vq["rate"] == 9 and gaussian["rate"] >= 0 and "used" not in gaussian
    assert all(f["information"] <= f["information_limit"] == 2 for f in (vq, gaussian))
    assert 1 <= vq["used"]["combinations"] <= 16
    assert (out / maze_27_bits.FIGURE).exists()
    # What is published: the first stage, the second in it, and a card that says what it reaches.
    published, first = load(out / "checkpoint"), load(tmp_path / "first")
    assert published.map_vae is not None and published.map_vae.config.num_codes == 16
    assert published.card.startswith(first.card.rstrip())
    assert f"{vq['bits']:.1f}" in published.card and not re.search(r"\{\w+\}", published.card)
    assert "3 latents of\nK = 8 stand" in published.card
    assert (out / "checkpoint" / "samples.jpg").exists()
    # Its example works on a frame.
    (example,) = re.findall(r"```python\n(.*?)```", published.card, re.DOTALL)
    names: dict[str, Any] = {"checkpoint": published, "frame": mazes.frames(9, 1)[0]}
    exec(compile(example, "README.md", "exec"), names)
    assert names["frames"].shape == (4, 84, 84, 3)
    # Published again, from what was published, it says so once.
    maze_27_bits.publish(published, result, out / "checkpoint")
    assert load(out / "checkpoint").card == published.card
    # A first stage that is measured anew leaves it there.
    write_card(get_recipe("maze-84"), out / "checkpoint", data, limit=2)
    measured = load(out / "checkpoint").card
    assert measured.startswith("---") and measured.count(SECOND_STAGE) == 1
    assert measured.endswith(published.card.partition(SECOND_STAGE)[2])


def test_information_is_that_of_a_channel_that_is_known() -> None:
    """A decoder that names each of 4 latents' maps has log2 4 bits; one that ignores them has 0."""
    from vq.experiments.maze_27_bits import information

    class Decoder:
        def __init__(self, heard: float) -> None:
            self.heard = heard

        def bits(self, maps: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
            return self.heard * (maps.flatten(1)[:, 0] != latents[:, 0]).float()

    maps = torch.arange(4).view(4, 1, 1)
    latents = maps.view(4, 1)
    for heard in (0.0, 1.0, 3.0, 60.0):
        decoder: Any = Decoder(heard)
        # The mean over j of p is (1 + 3 x 2^-heard) / 4 of the right one's p.
        expected = -np.log2((1 + 3 * 2**-heard) / 4)
        assert information(decoder, maps, latents, batch=3) == pytest.approx(expected, abs=1e-6)


def test_a_derangement_leaves_nothing_in_its_place() -> None:
    from vq.experiments.maze_27_bits import derangement

    for n in (2, 3, 50):
        order = derangement(n, np.random.default_rng(0))
        assert sorted(order) == list(range(n)) and (order != np.arange(n)).all()


def test_minutes_are_shared_by_the_runs(toy: None, data: Path, tmp_path: Path) -> None:
    command = ["reproduce", "ablations", "--data", str(data), "--out", str(tmp_path / "out")]
    assert main([*command, "--quiet", "--minutes", "0.0005"]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["training"]["minutes"] == pytest.approx(0.0001)
    assert all(run["spent"]["steps"] < 6 for run in result["runs"].values())
    assert result["command"].endswith("--minutes 0.0005")


def test_the_page_is_what_the_recorded_results_say() -> None:
    assert (experiments.ROOT / "RESULTS.md").read_text("utf-8") == results_page()


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_has_its_two_functions_and_its_text(name: str) -> None:
    module = get_experiment(name)
    assert callable(module.run) and callable(module.tables)
    text = (experiments.HERE / f"{name.replace('-', '_')}.md").read_text("utf-8")
    assert text.startswith(f"## {name}") and "{command}" in text and "{tables}" in text


def test_recorded_figures_are_there_and_logs_are_small() -> None:
    for log in experiments.LOGS.glob("*.json"):
        assert log.stat().st_size < 300_000
        for figure in json.loads(log.read_text("utf-8")).get("figures", ()):
            assert (experiments.FIGURES / figure).exists()


def test_json_for_people_reads_back() -> None:
    value = {"a": [1, 2.5, [3]], "b": {"c": ["x", "y"]}, "d": []}
    text = to_text(value)
    assert json.loads(text) == value and '"c": [ "x", "y" ]' in text
    assert len(to_text({"a": list(range(100))}).splitlines()) == 3
    with pytest.raises(ValueError, match="JSON"):
        to_text([float("nan")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nothing"],
            "there are: ablations, cifar10-bits, code-search, maze-27-bits, maze-84, scenes-128",
        ),
        (["ablations", "--minutes", "0"], "more than 0"),
        (["ablations", "--minutes", "nan"], "more than 0"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
