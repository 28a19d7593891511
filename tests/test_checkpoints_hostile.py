"""Folders that strangers made: each refused with its reason, none of them costly."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.hostile_checkpoints import CONFIG, HOSTILE, WEIGHTS, cost_of_refusing, hostile_folder
from tests.tiny_networks import tiny_checkpoint
from vq import checkpoints, weights
from vq.checkpoints import Checkpoint, CheckpointError, load


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    tamper, reason = HOSTILE[name]
    root = hostile_folder(tmp_path / "c", tamper)
    with pytest.raises(CheckpointError, match=reason) as refusal:
        load(root)
    assert len(str(refusal.value)) < 400  # fit to be shown, whatever the file says
    assert str(tmp_path) not in str(refusal.value)
    assert not (root / "pickle-ran").exists()


def test_refused_within_little_memory(tmp_path: Path) -> None:
    """All of them in one child: the most memory it ever held grows by a few megabytes."""
    hostile = [
        hostile_folder(tmp_path / f"{number:03}" / "c", tamper)
        for number, (tamper, _) in enumerate(HOSTILE.values())
    ]
    tiny_checkpoint().save(tmp_path / "sound")
    refused, kilobytes = cost_of_refusing(tmp_path / "sound", hostile)
    assert refused == len(HOSTILE)
    # A header of 1 MB that is nothing but brackets costs the JSON parser some.
    assert kilobytes < 32_000


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint folder .*nowhere"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"there is no checkpoint folder .*file"):
        load(tmp_path / "file")


def test_total_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_checkpoint().save(tmp_path / "c")
    stored = sum(
        tensor.length
        for name in ("autoencoder", "masked")
        for tensor in weights.find_weights(tmp_path / "c", name).values()
    )
    monkeypatch.setattr(checkpoints, "MAX_BYTES", stored)
    load(tmp_path / "c")
    monkeypatch.setattr(checkpoints, "MAX_BYTES", stored - 1)
    with pytest.raises(CheckpointError, match=f"{stored} bytes of weights; at most {stored - 1}"):
        load(tmp_path / "c")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_million_empty_parts_are_stopped(tmp_path: Path) -> None:
    """Tensors without numbers cost nothing to claim, and something to make."""
    tiny_checkpoint().save(tmp_path / "c")
    values = {"type": "TinyAutoencoder", "num_codes": 8, "scale": 1, "note": "", "wide": False}
    (tmp_path / "c/autoencoder/config.json").write_text(
        json.dumps(values | {"widths": [0] * 20_000})
    )
    with pytest.raises(CheckpointError, match="asks for a larger network than"):
        load(tmp_path / "c")


def test_unrelated_files_are_left_alone(tmp_path: Path) -> None:
    root = hostile_folder(tmp_path / "c", lambda r: (r / ".git").mkdir())
    (root / "samples").mkdir()
    (root / "samples" / "config.txt").write_text("{")
    (root / ".git" / "config.json").write_text("{")
    (root / "masked" / "training.log").write_text("...")
    assert list(load(root).priors) == ["masked"]


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_random_damage_is_refused_or_harmless(tmp_path: Path, name: str) -> None:
    """Whatever a few wrong bytes do, `load` either refuses or gives finite networks."""
    tiny_checkpoint().save(tmp_path / "c")
    sound = (tmp_path / "c" / name).read_bytes()
    draw = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(sound)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(damaged))
            match draw.randrange(3):
                case 0:
                    damaged[at] = draw.randrange(256)
                case 1:
                    del damaged[at : at + draw.randint(1, 8)]
                case _:
                    damaged[at:at] = draw.choice([b"[", b"{", b'"', b"9", b"-", b",", b"\0"])
        (tmp_path / "c" / name).write_bytes(damaged)
        try:
            found: Checkpoint = load(tmp_path / "c")
        except CheckpointError:
            refused += 1
        else:
            for module in found.modules().values():
                assert all(t.isfinite().all() for t in module.state_dict().values())
    assert refused > 0
