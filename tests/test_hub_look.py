"""Searching the Hub and looking into repos, before anything is pulled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub_faults import REPO, nobody_there, tiny_files
from tests.hub_fixtures import no_token_seen, server
from tests.loopback_hub import LoopbackHub, hang, status
from tests.tiny_networks import files_of
from vq import hub
from vq.hub import HubError
from vq.hub.looking import look_steps

__all__ = ["server"]  # a fixture


def test_a_search_finds_by_tag_and_name_those_most_used_first(server: LoopbackHub) -> None:
    card = b"---\ntags: [codebrush]\nlicense: mit\n---\n"
    server.add("a/tiny-one", {"README.md": card}, downloads=5)
    server.add("b/tiny-two", {"README.md": card}, downloads=50, gated=True)
    server.add("c/other", {"README.md": card})
    server.add("d/tiny-unet", {"README.md": b"---\ntags: [diffusers]\n---\n"})
    server.add("e/tiny-secret", {"README.md": card}, private=True)
    found = hub.search("tiny", "codebrush")
    assert [one.repo_id for one in found] == ["b/tiny-two", "a/tiny-one", REPO]
    assert (found[0].license, found[0].downloads, found[0].gated) == ("mit", 50, True)
    assert "codebrush" in found[0].tags
    assert [one.repo_id for one in hub.search("tiny", "diffusers")] == ["d/tiny-unet"]
    assert len(hub.search("", "codebrush", limit=2)) == 2
    assert no_token_seen(server)


def test_a_look_tells_all_but_the_weights(server: LoopbackHub) -> None:
    repo = hub.look(REPO)
    assert (repo.repo_id, repo.license, repo.revision) == (REPO, "mit", "main")
    assert repo.commit == server.repos[REPO].branches["main"]
    assert (repo.num_codes, repo.is_pulled, repo.problem) == (8, False, None)
    assert repo.networks == {"autoencoder": "TinyAutoencoder", "masked": "TinyPrior"}
    assert repo.card.startswith("# Tiny") and repo.front["library_name"] == "codebrush"
    assert repo.bytes == sum(map(len, tiny_files().values()))
    assert not any("safetensors" in path for path in server.paths())
    assert no_token_seen(server)


def test_what_was_pulled_is_looked_into_without_the_hub(server: LoopbackHub) -> None:
    before = hub.look(REPO)
    hub.pull(REPO)
    server.requests.clear()
    after = hub.look(REPO)
    assert after.is_pulled and server.requests == []
    for name in ("commit", "bytes", "license", "networks", "card", "front"):
        assert getattr(after, name) == getattr(before, name)


def test_what_cannot_be_pulled_is_described_as_far_as_it_goes(server: LoopbackHub) -> None:
    server.add("x/unet", {"README.md": b"# A model", "config.json": b"{}", "model.bin": b"x"})
    repo = hub.look("x/unet")
    assert isinstance(repo.problem, HubError) and repo.problem.reason == "not_a_checkpoint"
    assert repo.card == "# A model" and repo.networks == {}
    server.add("x/odd", tiny_files() | {"masked/config.json": b'{"type": "other"}'})
    assert "masked/config.json: the type" in str(hub.look("x/odd").problem)
    server.repos[REPO].gated = True
    problem = hub.look(REPO).problem
    assert isinstance(problem, HubError) and problem.reason == "gated"
    server.add("x/card", tiny_files() | {"README.md": b"---\na: [\n---\ntext"})
    assert (hub.look("x/card").front, hub.look("x/card").card) == ({}, "text")


@pytest.mark.parametrize("what", ["search", "look"])
def test_faults_end_with_their_words(
    server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def ask(deadline: float = 30) -> object:
        if what == "search":
            return hub.search("tiny", "codebrush", deadline=deadline)
        return hub.look(REPO, deadline=deadline)

    for fault, reason, deadline in (
        (status(429, Retry_After="3600"), "rate_limited", 30),
        (status(503), "server_error", 30),
        (hang, "hang", 3),
    ):
        server.plant("GET /api", fault)
        with pytest.raises(HubError) as error:
            ask(deadline)
        assert error.value.reason == reason
        server.faults.clear()
    nobody_there(server)
    with pytest.raises(HubError, match="cannot be reached"):
        ask()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="as HF_HUB_OFFLINE is set"):
        ask()


def test_a_look_leaves_nothing_behind(
    server: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    steps = look_steps(REPO)
    next(steps)
    steps.close()
    hub.look(REPO)
    assert files_of(tmp_path / "tmp") == {} and hub.pulled() == []
