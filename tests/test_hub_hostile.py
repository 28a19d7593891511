"""Hostile checkpoints that stand on the Hub: refused as those in a folder are, and never kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hostile_checkpoints import CONFIG, HOSTILE, WEIGHTS, cost_of_refusing, hostile_folder
from tests.hub_faults import REPO
from tests.hub_fixtures import server
from tests.loopback_hub import LoopbackHub
from tests.test_diffusers_vq import HOSTILE as HOSTILE_DIFFUSERS
from tests.test_diffusers_vq import saved
from tests.tiny_networks import files_of
from vq import hub
from vq.hub import HubError, cache

__all__ = ["server"]  # a fixture

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
    hostile = [tmp_path / f"{number:03}" for number in range(len(HOSTILE_DIFFUSERS))]
    for folder, (changes, _) in zip(hostile, HOSTILE_DIFFUSERS.values(), strict=True):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config | changes))
        (folder / "diffusion_pytorch_model.safetensors").write_bytes(weights)
    refused, kilobytes = cost_of_refusing(tmp_path / "sound", hostile)
    assert refused == len(HOSTILE_DIFFUSERS)
    assert kilobytes < 100_000
