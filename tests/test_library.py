"""The checkpoints that the app can have: on the shelf, pulled, on the Hub."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from demo import models
from demo.jobs import Refusal, StudioVerbs
from demo.models import Library, parsed, readable, refusal_of
from demo.models_html import facts_html, figures_html, line
from demo.shelf import Shelf
from demo.text import CATALOGUES, say
from tests.fake_studio import FakeStudio
from tests.hub_faults import CASES, REPO, tiny_files
from tests.hub_fixtures import no_token_seen, server
from tests.loopback_hub import LoopbackHub
from vq import hub
from vq.hub.errors import MESSAGES
from vq.hub.looking import Repo
from vq.hub.process import finish

__all__ = ["server"]  # a fixture


def loader(path: Path, name: str) -> Callable[[], StudioVerbs]:
    return lambda: FakeStudio(name=name, checkpoint=(path / ".pulled.json").read_text()[:12])


@pytest.fixture
def library(server: LoopbackHub, tmp_path: Path) -> Library:
    """With one checkpoint of its own."""
    (tmp_path / "own" / "fake" / "autoencoder").mkdir(parents=True)
    (tmp_path / "own" / "fake" / "README.md").write_text("---\nlicense: mit\n---\n# Fake")
    return Library(Shelf.of(FakeStudio()), loader, tmp_path / "own")


def done(job: Generator[Any, None, Any]) -> Any:
    return finish(job)


def test_a_repo_is_found_looked_into_pulled_used_and_removed(
    library: Library, server: LoopbackHub
) -> None:
    assert [one.name for one in library.listed()] == ["fake"]
    found = done(library.search("tiny", "codebrush"))
    assert [(one.name, one.place) for one in found] == [(REPO, "hub")]
    repo = done(library.look(REPO))
    assert repo.license == "mit" and not repo.is_pulled
    done(library.pull(REPO))
    assert list(library.shelf.names) == ["fake", REPO]
    assert library.shelf.get(REPO).describe().name == REPO
    assert done(library.look(REPO)).is_pulled
    assert [(one.name, one.place) for one in library.again(found)] == [
        ("fake", "app"),
        (REPO, "pulled"),
    ]
    library.remove(REPO)
    assert list(library.shelf.names) == ["fake"]
    assert [one.name for one in library.listed()] == ["fake"]
    assert hub.pulled() == []
    assert no_token_seen(server)


def test_what_was_pulled_is_there_when_the_app_starts_without_the_hub(
    library: Library, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done(library.pull(REPO))
    server.add(REPO, tiny_files(1), "trial")
    done(library.pull(f"{REPO}@trial"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.requests.clear()
    again = Library(Shelf.of(FakeStudio()), loader, tmp_path / "own")
    assert set(again.shelf.names) == {"fake", REPO, f"{REPO}@trial"}
    assert again.shelf.get(f"{REPO}@trial").describe().name == f"{REPO}@trial"
    assert done(again.look(REPO)).networks
    assert server.requests == []


def test_what_comes_with_the_app_is_described_and_stays(library: Library) -> None:
    repo = done(library.look("fake"))
    assert (repo.license, repo.card, repo.is_pulled) == ("mit", "# Fake", True)
    assert library.is_own("fake") and not library.is_own(REPO)
    with pytest.raises(Refusal) as refused:
        library.remove("fake")
    assert refused.value.key == "hub_bad_repo_id"
    assert list(library.shelf.names) == ["fake"]


def test_beyond_the_limit_what_was_pulled_longest_ago_goes(
    library: Library, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(map(len, tiny_files().values()))
    monkeypatch.setattr(models, "MAX_KEPT_BYTES", 2 * size + 10)
    for owner in "abc":
        server.add(f"{owner}/tiny", tiny_files())
        done(library.pull(f"{owner}/tiny"))
    assert [one.repo_id for one in hub.pulled()] == ["c/tiny", "b/tiny"]
    assert list(library.shelf.names) == ["fake", "b/tiny", "c/tiny"]
    monkeypatch.setattr(models, "MAX_KEPT_BYTES", 1)
    server.add("d/tiny", tiny_files())
    done(library.pull("d/tiny"))
    assert [one.repo_id for one in hub.pulled()] == ["d/tiny"]  # the one just asked for stays


def test_a_pull_that_fails_leaves_the_shelf_alone(library: Library, server: LoopbackHub) -> None:
    CASES["wrong bytes of the right size"].prepare(server)
    with pytest.raises(Refusal) as refused:
        done(library.pull(REPO))
    assert refused.value.key == "hub_corrupt"
    assert "masked/model.safetensors" in say("ko", refused.value.key, **refused.value.values)
    assert list(library.shelf.names) == ["fake"]


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("a/b", ("a/b", "main")),
        (" a/b@v1 ", ("a/b", "v1")),
        ("https://huggingface.co/a/b", ("a/b", "main")),
        ("https://huggingface.co/a/b/tree/refs/pr/1", ("a/b", "refs/pr/1")),
        ("hf.co/a/b/", ("a/b", "main")),
        ("words", ("words", "main")),
        ("", ("", "main")),
    ],
)
def test_what_a_visitor_types_or_pastes(typed: str, means: tuple[str, str]) -> None:
    assert parsed(typed) == means


@pytest.mark.parametrize("name", ["../../etc@main", "a/b@../..", "/etc/passwd", "a/b@-x", "fake@x"])
def test_no_name_leads_to_the_disk(library: Library, server: LoopbackHub, name: str) -> None:
    for job in (library.look(name), library.pull(name)):
        with pytest.raises(Refusal, match="hub_bad_"):
            done(job)
    assert server.requests == []


@pytest.mark.parametrize("reason", MESSAGES.keys() - {"no_token"})
def test_every_reason_has_its_words_in_every_language(reason: str) -> None:
    values = {
        "repo_id": "a/b",
        "revision": "main",
        "file": "f",
        "cause": "c",
        "status": 503,
        "size": 2_500_000,
        "limit": 1_000,
        "free": 0,
        "done": 12,
        "total": 99,
        "count": 3,
        "seconds": 60,
        "wait": 3600,
    }
    refused = refusal_of(hub.HubError(reason, **values))
    for language in CATALOGUES:
        assert "{" not in say(language, refused.key, **refused.values)


def test_odd_names_are_bounded_in_messages() -> None:
    refused = refusal_of(hub.HubError("bad_repo_id", repo_id="x" * 10_000))
    assert len(say("en", refused.key, **refused.values)) < 400
    refused = refusal_of(hub.HubError("bad_repo_id", repo_id=None))
    assert say("en", refused.key, **refused.values)


def test_sizes_are_readable() -> None:
    assert [readable(n) for n in (0, 27_400, 1_500_000, 292_000_000, 1_200_000_000)] == [
        *("0 kB", "27 kB", "1.5 MB", "292 MB", "1,200 MB"),
    ]


def test_what_strangers_wrote_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    figures = {evil: {"psnr_db": 25.0, "ssim": evil, "bits_per_code": {evil: 5.0}}}
    repo = Repo("a/b", license=evil, networks={"autoencoder": evil}, front={"figures": figures})
    html = facts_html(repo, "en")
    assert "<img" not in html and html.count("&lt;img") == 4
    assert "<td>25</td>" in html and "<td>5</td>" in html


@pytest.mark.parametrize(
    "figures",
    [None, [], "x", {"a": 1}, {"a": {"psnr_db": True}}, {"a": {"psnr_db": None}}, {1: {2: 3}}],
)
def test_figures_that_are_none_are_left_out(figures: Any) -> None:
    assert figures_html(figures, "en") == ""


def test_a_line_says_where_it_is(library: Library, server: LoopbackHub) -> None:
    server.repos[REPO].downloads, server.repos[REPO].gated = 1234, True
    (found,) = done(library.search("tiny", "codebrush"))
    assert line(found, "en") == f"{REPO} · 1,234 downloads · mit · gated"
    (own,) = library.listed()
    assert line(own, "ko").startswith("fake · 앱에 들어 있음 · ")
