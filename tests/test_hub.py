"""Pulls by the real client from a Hub on the loopback interface: what goes well, what cannot."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest

import vq
from tests.hub_faults import CASES, HEAD, REPO, WEIGHTS, Case, tiny_files
from tests.hub_fixtures import no_token_seen, server
from tests.loopback_hub import (
    GOOD_TOKEN,
    Fault,
    Handler,
    LoopbackHub,
    Reply,
    cut,
    drip,
    hang,
    hang_up,
    status,
)
from tests.test_diffusers_vq import saved
from tests.tiny_networks import files_of
from vq import hub
from vq.checkpoints import load
from vq.hub import HubError, cache, pulling
from vq.hub.errors import MESSAGES
from vq.layout import DIFFUSERS_WEIGHTS, MAX_BYTES, checkpoint_files

__all__ = ["server"]  # a fixture


@pytest.fixture(scope="module")
def pulled_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the repo's first commit is."""
    root = tmp_path_factory.mktemp("before") / "cache"
    with LoopbackHub() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setenv("CODEBRUSH_CACHE", str(root))
        server.add(REPO, tiny_files())
        hub.pull(REPO)
    return root


def checkpoint_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_of(folder).items() if name != cache.RECORD}


def entries(root: Path) -> list[str]:
    """What the cache holds, without the locks and the client's own folder."""
    return sorted(path.name for path in root.iterdir() if path.name not in (".locks", ".client"))


def test_a_pull_gives_exactly_the_repo_s_checkpoint(server: LoopbackHub, tmp_path: Path) -> None:
    server.add(REPO, tiny_files() | {"samples.jpg": b"large", "run.py": b"evil", "x/y.bin": b""})
    path = hub.pull(REPO)
    assert checkpoint_of(path) == tiny_files()
    assert path.is_relative_to(tmp_path / "cache")
    assert load(path).num_codes == 8
    assert no_token_seen(server)
    (pulled,) = hub.pulled()
    assert (pulled.repo_id, pulled.revision) == (REPO, "main")
    assert pulled.commit == server.repos[REPO].branches["main"]
    assert pulled.bytes == sum(map(len, tiny_files().values()))


def test_a_model_of_diffusers(server: LoopbackHub, tmp_path: Path) -> None:
    saved(tmp_path / "vqvae")
    pipeline = files_of(tmp_path) | {"unet/config.json": b"{}", "vqvae/pytorch_model.bin": b"evil"}
    server.add("others/vqgan", pipeline)
    assert vq.load("others/vqgan").num_codes == 256
    assert checkpoint_of(hub.pull("others/vqgan")).keys() == {
        "vqvae/config.json",
        "vqvae/diffusion_pytorch_model.safetensors",
    }


def test_another_model_of_diffusers_is_refused_before_its_weights_come(
    server: LoopbackHub, tmp_path: Path
) -> None:
    saved(tmp_path)
    files = files_of(tmp_path) | {"config.json": b'{"_class_name": "UNet2DModel"}'}
    server.add("others/unet", files)
    with pytest.raises(HubError, match="_class_name must be VQModel, not 'UNet2DModel'"):
        hub.pull("others/unet")
    assert not any("safetensors" in path for path in server.paths())


def test_without_diffusers_nothing_of_it_is_pulled(
    server: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("others/vqgan", {"config.json": b"{}", f"{DIFFUSERS_WEIGHTS[0]}": b""})
    monkeypatch.setattr(pulling, "find_spec", lambda name: None)
    with pytest.raises(HubError, match="pip install diffusers"):
        hub.pull("others/vqgan")
    assert server.paths("HEAD") == []


def test_of_two_precisions_the_fuller_that_is_allowed_is_taken() -> None:
    full, half = DIFFUSERS_WEIGHTS
    for size, taken in ((MAX_BYTES, full), (MAX_BYTES + 1, half)):
        sizes = {"config.json": 9, full: size, half: size // 2, "model_index.json": 1}
        assert checkpoint_files(sizes) == ["config.json", taken]


def test_what_was_pulled_needs_no_hub(server: LoopbackHub) -> None:
    path = hub.pull(REPO)
    asked = len(server.requests)
    server.plant(".*", hang)
    assert hub.pull(REPO) == path
    os.environ["HF_HUB_OFFLINE"] = "1"
    assert hub.pull(REPO) == path
    assert len(server.requests) == asked


def test_a_newer_commit_comes_when_asked_for(server: LoopbackHub) -> None:
    first = hub.pull(REPO)
    server.add(REPO, tiny_files(1))
    assert checkpoint_of(hub.pull(REPO)) == tiny_files()
    assert hub.pull(REPO, refresh=True) == first
    assert checkpoint_of(first) == tiny_files(1)
    # Nothing new: the listing is all that is asked for.
    asked = len(server.requests)
    hub.pull(REPO, refresh=True)
    assert len(server.requests) == asked + 1


def test_branches_tags_and_commits(server: LoopbackHub) -> None:
    first = server.repos[REPO].branches["main"]
    server.add(REPO, tiny_files(1))
    server.add(REPO, tiny_files(2), "refs/pr/1")
    for revision, seed in (("main", 1), (first, 0), ("refs/pr/1", 2)):
        assert checkpoint_of(hub.pull(REPO, revision)) == tiny_files(seed)
    assert len(hub.pulled()) == 3
    assert entries(cache.root()) == sorted(
        f"somebody--tiny@{name}" for name in ("main", first, "refs%2Fpr%2F1")
    )


@pytest.mark.parametrize("name", CASES)
def test_a_fault_ends_with_its_own_words(
    server: LoopbackHub, pulled_before: Path, name: str
) -> None:
    """Also: what was pulled before stays, nothing is left beside it, no token was sent."""
    case: Case = CASES[name]
    shutil.copytree(pulled_before, cache.root())
    path = hub.pull(REPO)
    server.add(REPO, tiny_files(1))
    case.prepare(server)
    with pytest.raises(HubError, match=case.message) as error:
        hub.pull(REPO, deadline=case.deadline, refresh=True)
    assert error.value.reason == case.reason
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)
    assert no_token_seen(server)
    assert hub.pull(REPO) == path
    assert checkpoint_of(path) == tiny_files()
    assert entries(cache.root()) == [path.name]


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        (HEAD, status(503)),
        (WEIGHTS, cut),
        (HEAD, hang_up),
        (HEAD, status(429, Retry_After="0")),
    ],
    ids=["503", "cut", "closed", "429"],
)
def test_a_passing_fault_passes(server: LoopbackHub, where: str, fault: Fault) -> None:
    server.plant(where, fault, times=1)
    assert checkpoint_of(hub.pull(REPO)) == tiny_files()


@pytest.mark.parametrize(
    "repo_id",
    [
        "",
        "tiny",
        "a/b/c",
        "../tiny",
        "somebody/..",
        "/etc/passwd",
        "./checkpoints",
        "somebody/tiny\n",
        "somebody/tiny@main",
        "somebody\\tiny",
        "some--body/tiny",
        "somebody/ti..ny",
        "-x/tiny",
        "somebody/tiny.",
        "http://somebody/tiny",
        "모델/tiny",
        "somebody/" + "a" * 97,
        "a/" + "b/" * 100_000,
        None,
        7,
    ],
)
def test_odd_ids_are_refused_before_anything_is_asked(server: LoopbackHub, repo_id: str) -> None:
    with pytest.raises(HubError) as error:
        hub.pull(repo_id)
    assert error.value.reason == "bad_repo_id"
    assert len(str(error.value)) < 200
    assert server.requests == []


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "..",
        "../../x",
        "a/../b",
        "/abs",
        "a//b",
        "main\n",
        "a b",
        "-x",
        "a/" * 9,
        "x" * 200,
        None,
    ],
)
def test_odd_revisions_are_refused_before_anything_is_asked(
    server: LoopbackHub, revision: str
) -> None:
    with pytest.raises(HubError) as error:
        hub.pull(REPO, revision)
    assert error.value.reason == "bad_revision"
    assert server.requests == []


def test_a_folder_of_that_name_is_never_looked_at(
    server: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a visitor types means the Hub; what a programmer loads means a folder, if it exists."""
    monkeypatch.chdir(tmp_path)
    for name, data in tiny_files(3).items():
        (tmp_path / REPO / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / REPO / name).write_bytes(data)
    assert checkpoint_of(hub.pull(REPO)) == tiny_files(0)
    asked = len(server.requests)
    assert hub.resolve(REPO) == Path(REPO)
    assert vq.load(REPO).card == load(REPO).card
    assert len(server.requests) == asked
    shutil.rmtree(tmp_path / "somebody")
    assert hub.resolve(REPO) == hub.pull(REPO)
    assert vq.load(REPO, revision="main").num_codes == 8


def test_a_token_goes_only_where_it_was_given(server: LoopbackHub) -> None:
    server.repos[REPO].private = server.repos[REPO].gated = True
    with pytest.raises(HubError) as error:
        hub.pull(REPO)
    assert error.value.reason == "private"
    assert no_token_seen(server)
    assert checkpoint_of(hub.pull(REPO, token=GOOD_TOKEN)) == tiny_files()
    hub.remove(REPO)
    assert checkpoint_of(hub.pull(REPO, token=True)) == tiny_files()


def test_a_pull_that_is_closed_ends_at_once(server: LoopbackHub) -> None:
    server.plant(WEIGHTS, drip)
    steps = hub.pull_steps(REPO)
    stages = []
    for progress in steps:
        stages.append(progress.stage)
        if progress.stage == "download" and progress.done > len(tiny_files()["README.md"]):
            break
    steps.close()
    assert list(dict.fromkeys(stages)) == ["list", "download"]
    assert entries(cache.root()) == []
    server.faults.clear()
    assert checkpoint_of(hub.pull(REPO)) == tiny_files()  # the turn was given back


def test_progress_tells_bytes_and_ends_at_all_of_them(server: LoopbackHub) -> None:
    steps = list(hub.pull_steps(REPO))
    total = sum(map(len, tiny_files().values()))
    assert {p.total for p in steps if p.stage != "list"} == {total}
    done = [p.done for p in steps]
    assert done == sorted(done) and done[-1] == total
    assert [p.stage for p in steps][-1] == "check"


def test_two_at_once_pull_once(server: LoopbackHub) -> None:
    """The second waits for the first, and finds its work done."""
    first, second = hub.pull_steps(REPO), hub.pull_steps(REPO)
    assert next(first).stage == "list"
    assert next(second).stage == "wait"
    for _ in first:
        pass
    assert next(second, None) is None
    assert server.paths("GET").count(f"/api/models/{REPO}/revision/main") == 1


def test_waiting_for_another_pull_ends_at_the_deadline(server: LoopbackHub) -> None:
    first = hub.pull_steps(REPO)
    next(first)
    with pytest.raises(HubError) as error:
        hub.pull(REPO, deadline=0.3)
    assert error.value.reason == "busy"
    first.close()
    hub.pull(REPO)


def test_removing(server: LoopbackHub) -> None:
    hub.pull(REPO)
    assert hub.remove(REPO)
    assert not hub.remove(REPO)
    assert hub.pulled() == [] and entries(cache.root()) == []
    steps = hub.pull_steps(REPO)
    next(steps)
    with pytest.raises(HubError, match="just being pulled"):
        hub.remove(REPO)


def test_a_cache_that_cannot_be_written_is_a_message(
    server: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CODEBRUSH_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match=r"Not a directory|File exists"):
        hub.pull(REPO)
    assert hub.pulled() == []


def test_foreign_things_in_the_cache_are_no_checkpoints(server: LoopbackHub) -> None:
    path = hub.pull(REPO)
    (cache.root() / "notes.txt").write_text("x")
    (cache.root() / "other--thing@main").mkdir()
    shutil.copytree(path, cache.root() / "somebody--else@main")  # its record names another
    assert hub.remove("somebody/else") is False
    (path / cache.RECORD).write_text("{")
    assert cache.find(REPO, "main") is None
    assert checkpoint_of(hub.pull(REPO)) == tiny_files()


def test_a_hub_that_goes_away_amid_a_pull(server: LoopbackHub) -> None:
    """A connection that fails makes huggingface_hub start anew, with another HTTP client."""

    def leave(handler: Handler, reply: Reply) -> None:
        server.server.shutdown()
        server.server.server_close()
        handler.close_connection = True

    server.plant(HEAD, leave)
    with pytest.raises(HubError, match=r"cannot be reached|stopped answering|only a part"):
        hub.pull(REPO, deadline=30)
    assert entries(cache.root()) == []


@pytest.mark.parametrize("reason", MESSAGES)
def test_every_reason_that_the_client_may_give_can_be_told(reason: str, tmp_path: Path) -> None:
    own: dict[str, object] = {
        "status": 503,
        "wait": 9,
        "cause": "x",
        "count": 9,
        "limit": 9,
        "done": 1,
    }
    own |= {"size": 1, "free": 0, "total": 1}
    error = HubError(reason, repo_id="a/b", revision="main", seconds=3, **own)
    assert "{" not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_hanging_amid_the_files_is_noticed_before_the_deadline(
    server: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    server.plant(WEIGHTS, hang)
    with pytest.raises(HubError, match=r"stopped answering; given up after [0-9]+ seconds"):
        hub.pull(REPO, deadline=60)
    assert sum("masked/model" in path for path in server.paths("GET")) == 3
