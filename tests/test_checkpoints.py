"""Checkpoints: what is saved comes back, in every layout, and takes nothing else away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from tests.tiny_networks import (
    TinyPrior,
    TinyPriorConfig,
    files_of,
    tiny_checkpoint,
    tiny_map_vae,
)
from vq import weights
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint, CheckpointError, describe, load
from vq.priors.masked import MaskedPrior, MaskedPriorConfig

HALF = torch.float16


def states(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": tensor
        for name, module in checkpoint.modules().items()
        for key, tensor in module.state_dict().items()
    }


def assert_same(found: Checkpoint, saved: Checkpoint, dtype: torch.dtype) -> None:
    """Bit for bit what rounding every float once to the stored precision gives."""
    expected = states(saved)
    assert states(found).keys() == expected.keys()
    for key, tensor in states(found).items():
        if expected[key].is_floating_point():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, expected[key].to(dtype).float()), key
        else:
            assert torch.equal(tensor, expected[key]), key
    assert found.card == saved.card
    assert {n: m.config for n, m in found.modules().items()} == {
        n: m.config for n, m in saved.modules().items()
    }


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("shard_bytes", [weights.MAX_SHARD_BYTES, 100], ids=["whole", "sharded"])
def test_round_trip_is_bit_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, shard_bytes: int
) -> None:
    monkeypatch.setattr(weights, "MAX_SHARD_BYTES", shard_bytes)
    saved = tiny_checkpoint(widths=(3, 7, 5), scale=0.1, note='"é\n', wide=True)
    saved.save(tmp_path / "c", dtype=dtype)
    assert (tmp_path / "c/autoencoder/model.safetensors").exists() == (shard_bytes > 100)
    assert_same(load(tmp_path / "c"), saved, dtype)
    # What was rounded once is not rounded again.
    load(tmp_path / "c").save(tmp_path / "again", dtype=dtype)
    assert files_of(tmp_path / "again") == files_of(tmp_path / "c")


def test_the_networks_of_this_library_round_trip(tmp_path: Path) -> None:
    autoencoder = VQVAE(VQVAEConfig(hidden=8, residual_hidden=8, num_codes=16, code_dim=4))
    config = MaskedPriorConfig(
        num_codes=16, map_size=(4, 6), labels=("a", "b"), channels=8, width=16, depth=1, heads=2
    )
    saved = Checkpoint(autoencoder, {"masked": MaskedPrior(config)}, "# Card\n")
    saved.save(tmp_path / "c")
    found = load(tmp_path / "c")
    assert_same(found, saved, HALF)
    assert not any(module.training for module in found.modules().values())
    assert (found.num_codes, found.stride, found.labels) == (16, 4, ("a", "b"))
    # Buffers that are not saved are whole as well: the network computes as the rounded one.
    pictures = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    autoencoder.half().float()
    assert torch.equal(found.autoencoder.encode(pictures), autoencoder.eval().encode(pictures))


def test_other_tools_read_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors and the Hugging Face index format, read without any of our code."""
    monkeypatch.setattr(weights, "MAX_SHARD_BYTES", 100)
    saved = tiny_checkpoint()
    saved.save(tmp_path / "c", dtype=torch.float32)
    folder = tmp_path / "c" / "autoencoder"
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    expected = saved.autoencoder.state_dict()
    assert weight_map.keys() == expected.keys()
    for key, file in weight_map.items():
        assert torch.equal(safetensors.torch.load_file(folder / file)[key], expected[key])
    # and the other way: what the safetensors package writes, we load
    for file in folder.glob("model*"):
        file.unlink()
    safetensors.torch.save_file(expected, folder / "model.safetensors")
    assert_same(load(tmp_path / "c"), saved, torch.float32)


def test_shards_stay_under_the_limit_of_the_hub(tmp_path: Path) -> None:
    saved = tiny_checkpoint(widths=(2000, 1500, 1500, 1000))  # 6.75 M weights
    saved.save(tmp_path / "c")
    shards = list((tmp_path / "c" / "autoencoder").glob("model-*.safetensors"))
    assert len(shards) == 2
    assert all(file.stat().st_size < 10_000_000 for file in shards)
    assert_same(load(tmp_path / "c"), saved, HALF)


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    tiny_checkpoint().save(tmp_path / "c")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load(tmp_path / "c")
    assert torch.equal(torch.rand(3), expected)


def test_saving_replaces_the_networks_and_keeps_the_rest(tmp_path: Path) -> None:
    target = tmp_path / "c"
    tiny_checkpoint().save(target)
    (target / "samples").mkdir()
    (target / "samples" / "README.md").write_text("about the pictures")
    (target / "metrics.json").write_text("{}")
    (target / "autoencoder" / "stale.txt").write_text("of the old network")
    Checkpoint(tiny_checkpoint(seed=1).autoencoder, {}, "new").save(target)
    assert files_of(target).keys() == {
        "README.md",
        "autoencoder/config.json",
        "autoencoder/model.safetensors",
        "metrics.json",
        "samples/README.md",
    }
    assert_same(load(target), Checkpoint(tiny_checkpoint(seed=1).autoencoder, {}, "new"), HALF)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_saving_never_replaces_another_kind_of_folder(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("more")
    for name in ("home", "file"):
        with pytest.raises(CheckpointError, match="neither a checkpoint nor an empty folder"):
            tiny_checkpoint().save(tmp_path / name)
    assert files_of(tmp_path) == {"home/thesis.tex": b"years of work", "file": b"more"}


def test_saving_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    tiny_checkpoint().save(tmp_path / "run-3")
    (tmp_path / "latest").symlink_to("run-3")
    tiny_checkpoint(card="new").save(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert load(tmp_path / "run-3").card == "new"


def test_saving_into_an_empty_or_a_deep_new_folder(tmp_path: Path) -> None:
    tiny_checkpoint().save(tmp_path)
    assert load(tmp_path).card == "# Tiny\n"
    tiny_checkpoint().save(tmp_path / "a" / "b")
    assert load(tmp_path / "a" / "b").card == "# Tiny\n"


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(float("nan"), torch.float32), (float("inf"), torch.float32), (70_000.0, torch.float16)],
)
def test_unsound_weights_are_not_saved(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    tiny_checkpoint().save(tmp_path / "c")
    before = files_of(tmp_path)
    broken = tiny_checkpoint(seed=1)
    broken.autoencoder.state_dict()["codebook"][0, 0] = value
    with pytest.raises(CheckpointError, match="autoencoder: tensor 'codebook' is not finite"):
        broken.save(tmp_path / "c", dtype=dtype)
    assert files_of(tmp_path) == before


def test_what_cannot_be_stored_is_refused_at_save(tmp_path: Path) -> None:
    good = tiny_checkpoint()
    good.priors["masked"].register_buffer("flags", torch.zeros(2, dtype=torch.bool))
    with pytest.raises(CheckpointError, match=r"masked: tensor 'flags' is torch\.bool"):
        good.save(tmp_path / "c")
    unknown = nn.Linear(1, 1)
    unknown.config = TinyPriorConfig()  # type: ignore[assignment]
    with pytest.raises(CheckpointError, match="other: Linear is not a registered type"):
        Checkpoint(tiny_checkpoint().autoencoder, {"other": unknown}).save(tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"float16, bfloat16 or float32, not torch\.float64"):
        tiny_checkpoint().save(tmp_path / "c", dtype=torch.float64)
    with pytest.raises(CheckpointError, match="scale must be a finite number"):
        tiny_checkpoint(scale=float("nan")).save(tmp_path / "c")
    assert not any(tmp_path.iterdir())


def test_priors_must_fit_the_autoencoder() -> None:
    autoencoder = tiny_checkpoint().autoencoder
    with pytest.raises(
        CheckpointError, match="masked: this prior knows 9 codes, the autoencoder 8"
    ):
        Checkpoint(autoencoder, {"masked": TinyPrior(TinyPriorConfig(num_codes=9))})
    for name in ("autoencoder", "map_vae", "../up", "", "Masked", "a" * 33):
        with pytest.raises(CheckpointError, match="a prior's name"):
            Checkpoint(autoencoder, {name: TinyPrior(TinyPriorConfig())})


def test_a_second_stage_comes_back_and_is_described(tmp_path: Path) -> None:
    saved = replace(tiny_checkpoint(), map_vae=tiny_map_vae())
    saved.save(tmp_path / "c")
    found = load(tmp_path / "c")
    assert_same(found, saved, HALF)
    assert list(found.modules()) == ["autoencoder", "masked", "map_vae"]
    assert list(found.priors) == ["masked"]
    described = describe(tmp_path / "c")["modules"]["map_vae"]
    assert described["type"] == "MapVAE" and described["config"]["latents"] == 3
    # Without it the folder loses it.
    tiny_checkpoint().save(tmp_path / "c")
    assert load(tmp_path / "c").map_vae is None
    assert not (tmp_path / "c" / "map_vae").exists()


def test_a_second_stage_must_fit_the_autoencoder() -> None:
    for fields, reason in (
        ({"num_codes": 9}, "map_vae: this second stage knows 9 codes, the autoencoder 8"),
        ({"gaussian": True}, "map_vae: its latents are Gaussian; a checkpoint's are codes"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            replace(tiny_checkpoint(), map_vae=tiny_map_vae(**fields))


def test_labels_are_those_of_all_priors_in_order() -> None:
    priors: dict[str, nn.Module] = {
        "one": TinyPrior(TinyPriorConfig(labels=("b", "a"))),
        "two": TinyPrior(TinyPriorConfig(labels=("c", "a"))),
    }
    assert Checkpoint(tiny_checkpoint().autoencoder, priors).labels == ("b", "a", "c")


CARD = """---
license: apache-2.0
date: 2026-11-22
model-index:
- name: tiny
  results:
  - metrics:
    - {type: psnr, value: 24.5}
---
# Tiny
"""


def test_describe(tmp_path: Path) -> None:
    saved = tiny_checkpoint(card=CARD)
    saved.save(tmp_path / "c")
    found = describe(tmp_path / "c")
    assert json.loads(json.dumps(found, allow_nan=False)).keys() == found.keys()
    assert (found["num_codes"], found["stride"], found["labels"]) == (8, 4, ["cat", "개"])
    prior = found["modules"]["masked"]
    assert (prior["type"], prior["parameters"]) == ("TinyPrior", 8 * 4)
    files = files_of(tmp_path / "c" / "masked")
    assert prior["bytes"] == sum(map(len, files.values()))
    assert prior["config"]["map_size"] == (2, 3)
    autoencoder = found["modules"]["autoencoder"]
    assert autoencoder["parameters"] == (3 * 5 + 5) + 8 * 5 + 8
    assert found["card"]["date"] == "2026-11-22"
    assert found["card"]["model-index"][0]["results"][0]["metrics"][0]["value"] == 24.5


@pytest.mark.parametrize(
    "card", ["", "# no front matter", "---\nnever closed", "a\n---\nb: 1\n---\n"]
)
def test_a_card_without_front_matter_describes_nothing(tmp_path: Path, card: str) -> None:
    tiny_checkpoint(card=card).save(tmp_path / "c")
    assert describe(tmp_path / "c")["card"] == {}


@pytest.mark.parametrize(
    "matter",
    ["a: &x [1]\nb: *x", "a: [", "- 1", "a: .nan", "a: !!python/object:os.system {}", "[" * 5000],
)
def test_hostile_front_matter_is_refused(tmp_path: Path, matter: str) -> None:
    tiny_checkpoint(card=f"---\n{matter}\n---\n").save(tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"README\.md: its front matter"):
        describe(tmp_path / "c")
    assert load(tmp_path / "c").num_codes == 8  # the networks are sound


def test_a_checkpoint_needs_no_card(tmp_path: Path) -> None:
    tiny_checkpoint().save(tmp_path / "c")
    (tmp_path / "c" / "README.md").unlink()
    assert load(tmp_path / "c").card == ""


def test_types(tmp_path: Path) -> None:
    """A network is built by the class that config.json names, found by name alone."""
    tiny_checkpoint().save(tmp_path / "c")
    config: dict[str, Any] = json.loads((tmp_path / "c/masked/config.json").read_text("utf-8"))
    assert config == {
        "type": "TinyPrior",
        "num_codes": 8,
        "map_size": [2, 3],
        "labels": ["cat", "개"],
    }
    assert isinstance(load(str(tmp_path / "c")).priors["masked"], TinyPrior)
