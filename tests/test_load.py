"""A short crowd, and the harness itself: it must see every fault that a crowd can bring about.

`python -m benchmarks load` is the long one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from benchmarks import crowd, load
from benchmarks.hostile import ATTACKS, ended
from demo.jobs import CodeStep, Description, Settings, StudioVerbs
from demo.studio import Studio
from tests.fake_studio import LEVELS, FakeStudio
from tests.running_app import running_app
from tests.tiny_checkpoint import tiny_checkpoint

VISITORS, REQUESTS, PATIENCE = 3, 8, 120.0  # of every kind one each


def compared(studio: StudioVerbs, folder: Path) -> dict[str, Any]:
    """What a crowd of visitors gets, against each alone."""
    with (
        running_app(studio, folder / "app") as url,
        crowd.visitors(url, range(VISITORS), folder) as there,
    ):
        lone = crowd.one_by_one(there, REQUESTS, PATIENCE)
        assert not lone.lost
        return crowd.compared(lone, crowd.all_at_once(there, REQUESTS, PATIENCE))


def test_everyone_in_a_crowd_gets_what_a_lone_visitor_gets(tmp_path: Path) -> None:
    result = compared(Studio(tiny_checkpoint(), "tiny", "cpu"), tmp_path)
    assert result["equal"] == result["answers"] == VISITORS * REQUESTS
    assert result["lost"] == result["crossed"] == result["different"] == 0
    # No two answers are alike, or a crossed one would look like one's own. A page is a page.
    assert result["distinct"] == VISITORS * (REQUESTS - 1) + 1


class Faulty(FakeStudio):
    """With `crowded` set, its jobs wait for each other where it hurts."""

    crowded = False

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def meet(self) -> None:
        if self.crowded:
            self.both.wait(PATIENCE)


class GlobalSeed(Faulty):
    """Every job draws from one random state, which it seeds: fine as long as one is alone."""

    visitors = 2, 4  # one begins with /resample, the other with /generate

    def _fill(self, codes: Any, cells: Any, seeds: Any, *rest: Any) -> Any:
        np.random.seed(seeds[0])
        self.meet()
        for step in super()._fill(codes, cells, seeds, *rest):
            drawn = np.random.randint(0, LEVELS**3, step.codes.shape)
            yield replace(step, codes=np.where(cells, drawn, codes))


class SharedBuffer(Faulty):
    """Pictures are decoded into the same memory, and handed out from there."""

    visitors = 1, 4  # /decode, and /generate, which decodes what it has made
    buffer: np.ndarray

    def __init__(self) -> None:
        super().__init__()
        self.about = super().describe()

    def describe(self) -> Description:
        return self.about

    def decode(self, codes: np.ndarray) -> np.ndarray:
        self.buffer = super().decode(codes)
        self.meet()
        return self.buffer


@pytest.mark.parametrize("faulty", [GlobalSeed, SharedBuffer])
def test_a_crowd_shows_what_is_shared(faulty: type[Any], tmp_path: Path) -> None:
    studio = faulty()
    with (
        running_app(studio, tmp_path / "app") as url,
        crowd.visitors(url, studio.visitors, tmp_path) as there,
    ):
        lone = crowd.one_by_one(there, 1, PATIENCE)
        assert crowd.compared(lone, crowd.one_by_one(there, 1, PATIENCE))["equal"] == 2
        studio.crowded = True
        result = crowd.compared(lone, crowd.all_at_once(there, 1, PATIENCE))
    assert result["crossed"] + result["different"] >= 1 and result["lost"] == 0


def test_an_answer_that_is_dropped_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio.queueing import ProcessCompletedMessage, Queue

    send, sent = Queue.send_message, threading.Event()

    def dropping(self: Any, event: Any, message: Any) -> None:
        completed = isinstance(message, ProcessCompletedMessage)
        if not (completed and event.fn.api_name == "decode" and sent.is_set()):
            send(self, event, message)

    monkeypatch.setattr(Queue, "send_message", dropping)
    with (
        running_app(FakeStudio(), tmp_path / "app") as url,
        crowd.visitors(url, range(2), tmp_path) as there,
    ):
        lone = crowd.one_by_one(there, REQUESTS, PATIENCE)
        sent.set()
        result = crowd.compared(lone, crowd.all_at_once(there, REQUESTS, timeout=3.0))
    assert result["lost"] == 2 and "nothing within 3 s" in result["faults"]


def test_an_answer_of_another_is_crossed() -> None:
    lone = crowd.Answers(found={(0, 0): "a", (0, 1): "b", (1, 0): "c", (1, 1): "page"})
    mixed = crowd.Answers(found={(0, 0): "c", (0, 1): "b", (1, 0): "x"}, lost={(1, 1): "busy"})
    result = crowd.compared(lone, mixed)
    for outcome in ("equal", "crossed", "different", "lost"):
        assert result[outcome] == 1


class Counting(FakeStudio):
    """Takes its time, and counts the jobs that run."""

    def __init__(self) -> None:
        super().__init__()
        self.running = self.most = self.begun = 0
        self.counting = threading.Lock()

    def generate(self, count: int, settings: Settings) -> Generator[CodeStep, None, None]:
        return self._counted(super().generate(count, settings))

    def _counted(self, job: Any) -> Generator[CodeStep, None, None]:
        with self.counting:
            self.running += 1
            self.begun += 1
            self.most = max(self.most, self.running)
        try:
            for step in job:
                time.sleep(0.02)
                yield step
        finally:
            job.close()
            with self.counting:
                self.running -= 1


def test_a_storm_of_cancelled_jobs_never_runs_more_than_one(tmp_path: Path) -> None:
    studio = Counting()
    with running_app(studio, tmp_path / "app") as url:
        result = load.cancel_storm(url, tmp_path, number=4, rounds=3)
    assert result["cancelled"] == 12 and result["answer_equal"]
    assert studio.begun >= 3 and studio.most == 1 and studio.running == 0


def test_a_flood_is_answered_or_told_that_the_app_is_busy(tmp_path: Path) -> None:
    with running_app(FakeStudio(), tmp_path / "app") as url:
        result = load.flood(url, 60)
    assert result["answered"] + result["busy"] == 60
    assert result["answered"] >= 32 and result["busy"] > 0


def test_the_page_is_timed_at_rest_and_while_models_work(tmp_path: Path) -> None:
    worked = threading.Event()

    class Working(FakeStudio):
        def encode(self, picture: np.ndarray) -> np.ndarray:  # what the first visitor begins with
            worked.set()
            return super().encode(picture)

    with running_app(Working(), tmp_path / "app") as url:
        figures = load.light(url, tmp_path, psutil.Process(), busy=2, requests=6)
    assert worked.is_set() and figures["cpu_ms_a_request"] >= 0
    for when in ("at_rest", "while_busy"):
        assert 0 < figures["p50_ms"][when] <= figures["p99_ms"][when]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("hostile")
    with running_app(FakeStudio(), folder) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_stranger_sends_is_refused_in_words(http: httpx.Client, attack: str) -> None:
    assert ended(attack, http) == "refused"
