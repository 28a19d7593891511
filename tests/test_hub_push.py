"""Pushing a checkpoint's folder, pulling it again, and both from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub_faults import REPO, tiny_files
from tests.hub_fixtures import no_token_seen, server
from tests.loopback_hub import Files, LoopbackHub, status
from tests.tiny_networks import files_of
from vq import hub
from vq.checkpoints import CheckpointError
from vq.cli import main
from vq.hub import HubError

__all__ = ["server"]  # a fixture

MINE = "me/mine"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint with a picture of its card and some hidden files."""
    files = tiny_files(5) | {
        "samples.jpg": b"a picture",
        ".git/config": b"x",
        ".pulled.json": b"{}",
    }
    for name, data in files.items():
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_bytes(data)
    return tmp_path / "c"


def shown(folder: Path) -> Files:
    return {name: data for name, data in files_of(folder).items() if not name.startswith(".")}


def on_hub(server: LoopbackHub, branch: str = "main") -> Files:
    repo = server.repos[MINE]
    return repo.commits[repo.branches[branch]]


def test_a_pushed_folder_stands_there_as_it_is_and_comes_back(
    server: LoopbackHub, folder: Path
) -> None:
    assert hub.push(folder, MINE) == f"{server.url}/{MINE}"
    assert on_hub(server) == shown(folder)
    assert not server.repos[MINE].private
    pulled = files_of(hub.pull(MINE))
    assert {name: pulled[name] for name in tiny_files(5)} == tiny_files(5)
    # Once more: the repo is there, and gets another commit.
    (folder / "README.md").write_text("# Changed")
    hub.push(folder, MINE)
    assert on_hub(server)["README.md"] == b"# Changed"
    assert len(server.repos[MINE].commits) == 3


def test_private_and_branches(server: LoopbackHub, folder: Path) -> None:
    hub.push(folder, MINE, "trial", private=True)
    assert server.repos[MINE].private
    assert on_hub(server) == {} and on_hub(server, "trial") == shown(folder)
    assert hub.pull(MINE, "trial", token=True).name == "me--mine@trial"


def test_an_unsound_folder_is_not_pushed(server: LoopbackHub, folder: Path) -> None:
    (folder / "masked" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"masked/config\.json: the type"):
        hub.push(folder, MINE)
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        hub.push(folder / "nothing", MINE)
    with pytest.raises(HubError, match="not the id of a repo"):
        hub.push(folder, "mine")
    assert server.requests == []


def test_without_a_token_nothing_is_sent(
    server: LoopbackHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(HubError, match="`hf auth login`, or set HF_TOKEN"):
        hub.push(folder, MINE)
    assert server.requests == []


def test_what_the_hub_refuses_is_a_message(server: LoopbackHub, folder: Path) -> None:
    with pytest.raises(HubError, match="does not allow this for me/mine"):
        hub.push(folder, MINE, token="hf_wrong")
    server.plant("POST", status(503))
    with pytest.raises(HubError, match="HTTP status 503"):
        hub.push(folder, MINE)


def test_from_the_command_line(
    server: LoopbackHub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(folder), MINE, "--private"]) == 0
    assert capsys.readouterr().out == f"{server.url}/{MINE}\n"
    assert server.repos[MINE].private
    assert main(["pull", MINE]) == 2
    assert "does not exist on the Hub, or is private" in capsys.readouterr().err
    assert main(["pull", MINE, "--token"]) == 0
    pulled = Path(capsys.readouterr().out.strip())
    assert files_of(pulled)["masked/model.safetensors"] == tiny_files(5)["masked/model.safetensors"]
    server.requests.clear()
    assert main(["pull", REPO, "--revision", "main"]) == 0
    assert no_token_seen(server)
    server.add(REPO, tiny_files(1))
    assert main(["pull", REPO, "--refresh"]) == 0
    capsys.readouterr()
    assert main(["info", REPO, "--json"]) == 0
    assert '"library_name": "codebrush"' in capsys.readouterr().out
    assert main(["info", "nobody/nothing"]) == 2
    assert capsys.readouterr().err.startswith("vq info: nobody/nothing does not exist on the Hub")
