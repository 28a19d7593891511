"""The queue is fair to every visitor, and a job ends when nobody waits for it any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.client import Job

from demo.line import MOST_OF_ONE
from tests.fake_studio import FakeStudio
from tests.running_app import running_app, until

GENERATE = [1, None, 0, None, 1.0, None, 1.0, 1.0, 2, None]


@pytest.fixture
def studio() -> Iterator[FakeStudio]:
    studio = FakeStudio()
    yield studio
    studio.hold_at_step = None


def join(http: httpx.Client, visitor: str, seed: int) -> httpx.Response:
    data = [*GENERATE[:2], seed, *GENERATE[3:]]
    return http.post("/gradio_api/call/generate", json={"data": data, "session_hash": visitor})


def answer(http: httpx.Client, event: str) -> str:
    return http.get(f"/gradio_api/call/generate/{event}").text


def test_everyones_first_job_comes_before_anyones_second(
    studio: FakeStudio, tmp_path: Path
) -> None:
    studio.hold_at_step = 1
    order: list[int] = []
    begin = studio.generate

    def noting(count: int, settings: Any) -> Any:
        order.append(settings.seed)
        return begin(count, settings)

    studio.generate = noting  # type: ignore[method-assign]
    with running_app(studio, tmp_path) as url, httpx.Client(base_url=url, timeout=60) as http:
        events = [join(http, "a", 0).json()["event_id"]]
        until(lambda: order == [0])
        # The first of `a` runs; then it asks for three more, and others for one or two.
        for visitor, seed in [("a", 1), ("a", 2), ("a", 3), ("b", 10), ("c", 20), ("b", 11)]:
            events.append(join(http, f"{visitor}", seed).json()["event_id"])
        studio.hold_at_step = None
        until(lambda: len(order) == 7)
        assert order == [0, 10, 20, 1, 11, 2, 3]


def test_the_place_that_is_told_is_the_place_in_that_order(
    studio: FakeStudio, tmp_path: Path
) -> None:
    studio.hold_at_step = 1
    with running_app(studio, tmp_path) as url:
        many, few = (Client(url, verbose=False, analytics_enabled=False) for _ in range(2))

        def ask(client: Client) -> Job:
            return client.submit(n=1, steps=2, api_name="/generate")

        def places(*jobs: Job) -> list[int | None]:
            return [job.status().rank for job in jobs]

        running = ask(many)
        until(lambda: studio.settings is not None)
        second = ask(many)
        until(lambda: places(second) == [0])
        third = ask(many)
        until(lambda: places(second, third) == [0, 1])
        first = ask(few)
        until(lambda: places(first, second, third) == [0, 1, 2])
        last = ask(few)
        until(lambda: places(first, second, last, third) == [0, 1, 2, 3])
        studio.hold_at_step = None
        for job in (running, first, second, last, third):
            assert len(job.result(60)[0]) == 1
        many.close(), few.close()


def test_one_visitor_cannot_fill_the_queue(studio: FakeStudio, tmp_path: Path) -> None:
    studio.hold_at_step = 1
    with running_app(studio, tmp_path) as url, httpx.Client(base_url=url, timeout=60) as http:
        first = join(http, "a", 0)
        assert first.status_code == 200
        until(lambda: studio.settings is not None)
        told = [join(http, "a", seed) for seed in range(1, MOST_OF_ONE + 2)]
        assert [one.status_code for one in told] == [200] * MOST_OF_ONE + [503]
        assert "your jobs wait already" in told[-1].json()["detail"]
        assert join(http, "b", 1).status_code == 200
        studio.hold_at_step = None


def test_a_job_ends_when_its_caller_has_left(studio: FakeStudio, tmp_path: Path) -> None:
    studio.hold_at_step = 1
    with running_app(studio, tmp_path) as url, httpx.Client(base_url=url, timeout=60) as http:
        event = join(http, "a", 0).json()["event_id"]
        with http.stream("GET", f"/gradio_api/call/generate/{event}") as stream:
            until(lambda: studio.settings is not None)
            assert stream.status_code == 200
        until(lambda: studio.closed_at_step == 1)
        studio.hold_at_step = None
        text = answer(http, join(http, "b", 1).json()["event_id"])
        assert "event: complete" in text
        assert json.loads(text.rpartition("data: ")[2])[1][0]["seed"] == 1
