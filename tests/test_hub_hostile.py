"""Hostile checkpoints that stand on the Hub: refused as those in a folder are, and never kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile_checkpoints import CONFIG, HOSTILE, WEIGHTS, hostile_folder
from tests.hub_faults import REPO
from tests.hub_fixtures import server
from tests.loopback_hub import LoopbackHub
from tests.test_diffusers_vq import HOSTILE as HOSTILE_DIFFUSERS
from tests.test_diffusers_vq import saved
from tests.tiny_networks import files_of
from vq import hub
from vq.hub import HubError, cache

__all__ = ["server"]  # a fixture

ROOT = Path(__file__).resolve().parent.parent
# One of every kind that a repo can be: links and pipes are none of its files.
PULLED = (
    *("no weights", "pickle", "key twice", "40 GB network", "header too large", "tensor unknown"),
    *("weight NaN", "index escapes", "tensor in two shards", "many networks", "card not text"),
)


@pytest.mark.parametrize("name", PULLED)
def test_a_pulled_one_meets_the_same_checks(server: LoopbackHub, tmp_path: Path, name: str) -> None:
    tamper, reason = HOSTILE[name]
    server.add(REPO, files_of(hostile_folder(tmp_path / "c", tamper)))
    with pytest.raises(HubError, match=reason) as error:
        hub.pull(REPO)
    assert error.value.reason == "unsound"
    assert str(cache.root()) not in str(error.value)
    assert hub.pulled() == [] and cache.find(REPO, "main") is None


def test_a_bad_configuration_is_refused_before_weights_are_asked_for(
    server: LoopbackHub, tmp_path: Path
) -> None:
    tamper, reason = HOSTILE["key twice"]
    server.add(REPO, files_of(hostile_folder(tmp_path / "c", tamper)))
    with pytest.raises(HubError, match=reason):
        hub.pull(REPO)
    assert any(path.endswith(CONFIG) for path in server.paths())
    assert not any(path.endswith(WEIGHTS) for path in server.paths())


def test_odd_names_in_a_listing_are_passed_over(server: LoopbackHub, tmp_path: Path) -> None:
    sound = files_of(hostile_folder(tmp_path / "c", lambda root: None))
    odd = ["../up.safetensors", "masked/../../x", "/abs/config.json", "masked/model-1.safetensors"]
    odd += ["MASKED/config.json", "a/b/config.json", ".git/config.json", "masked/config.json\n"]
    server.add(REPO, sound | dict.fromkeys(odd, b"{}"))
    found = files_of(hub.pull(REPO))
    assert found.keys() - {cache.RECORD} == sound.keys()


def test_hostile_models_of_diffusers_cost_little_memory(tmp_path: Path) -> None:
    """In one child that has diffusers loaded: the most memory it ever held grows by little."""
    saved(tmp_path / "sound")
    config = json.loads((tmp_path / "sound" / "config.json").read_text())
    weights = (tmp_path / "sound" / "diffusion_pytorch_model.safetensors").read_bytes()
    for number, (changes, _) in enumerate(HOSTILE_DIFFUSERS.values()):
        folder = tmp_path / f"{number:03}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config | changes))
        (folder / "diffusion_pytorch_model.safetensors").write_bytes(weights)
    program = """
import resource, sys
from pathlib import Path
from vq.checkpoints import CheckpointError, load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
root = Path(sys.argv[1])
load(root / "sound")
before = peak()
refused = 0
for folder in sorted(root.glob("0*")):
    try:
        load(folder)
    except CheckpointError:
        refused += 1
print(refused, peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=ROOT,
    )
    refused, kilobytes = map(int, done.stdout.split())
    assert refused == len(HOSTILE_DIFFUSERS)
    assert kilobytes < 100_000
