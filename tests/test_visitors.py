"""Visitors who have left are forgotten, and how much all of them may hold is limited."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gradio as gr
import httpx
import numpy as np
import pytest

from demo.session import Session, Snapshot
from demo.visitors import Visitors
from tests.fake_studio import FakeStudio
from tests.running_app import running_app

if TYPE_CHECKING:
    from demo.blocks import Blocks

NOW = datetime(2026, 1, 1, 12)
SIDE = 64


def holder(**minutes_idle: float) -> Any:
    """As Gradio's `StateHolder`: visitors by name, each last seen so long ago, who hold nothing."""
    return SimpleNamespace(
        session_data=OrderedDict((name, SimpleNamespace(state_data={})) for name in minutes_idle),
        time_last_used={n: NOW - timedelta(minutes=idle) for n, idle in minutes_idle.items()},
        lock=threading.Lock(),
    )


def session() -> Session:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    return Session.of(picture, Snapshot.untouched(picture, np.zeros((16, 16), int), "fake"))


# A picture of the session, its codes (int32) and what was edited; the upload is on disk.
MEMORY = SIDE * SIDE * 3 + 16 * 16 * 4 + SIDE * SIDE
DISK = SIDE * SIDE * 3


def test_who_holds_nothing_goes_after_a_minute_unless_the_page_is_open() -> None:
    everyone = holder(just=0.9, left=1.1, open=500, twice=500)
    visitors = Visitors()
    visitors.enter("open")
    visitors.enter("twice")
    visitors.enter("twice")
    visitors.leave("twice")
    assert visitors.forget(everyone, NOW) == {"left"}
    assert list(everyone.session_data) == ["just", "open", "twice"] == list(everyone.time_last_used)
    visitors.leave("twice")
    visitors.leave("open")
    assert visitors.forget(everyone, NOW) == {"open", "twice"}


def test_who_holds_something_may_come_back_for_an_hour() -> None:
    everyone = holder(early=59, late=61)
    for state in everyone.session_data.values():
        state.state_data = {1: None, 2: session()}
    assert Visitors().forget(everyone, NOW) == {"late"}


@pytest.mark.parametrize("limit", ["memory", "disk"])
def test_too_much_goes_from_who_came_least_lately_and_has_left(limit: str) -> None:
    everyone = holder(a=50, b=40, c=30, d=20, e=10)
    for state in everyone.session_data.values():
        state.state_data = {1: session()}
    room = {"most_memory": 10**9, "most_disk": 10**9}
    one = {"memory": MEMORY, "disk": DISK}[limit]

    def forgotten(most: int) -> set[str]:
        visitors = Visitors(**{**room, f"most_{limit}": most})
        visitors.enter("a")
        visitors.enter("d")
        return visitors.forget(everyone, NOW)

    assert forgotten(5 * one) == set()
    assert forgotten(5 * one - 1) == {"b"}
    assert forgotten(2 * one) == {"c", "e"}
    assert forgotten(one) == {"a"}  # nobody else is left
    assert list(everyone.session_data) == ["d"]


def test_what_is_shared_counts_once() -> None:
    everyone = holder(a=1)
    held = session()
    everyone.session_data["a"].state_data = {1: held, 2: [held.history[0], {"again": held}]}
    assert Visitors(most_memory=MEMORY).forget(everyone, NOW) == set()
    assert Visitors(most_memory=MEMORY - 1).forget(everyone, NOW) == {"a"}


def test_an_app_forgets_programs_and_remembers_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo import page

    built: list[Blocks] = []
    build = page.build

    def keeping(*args: Any) -> Blocks:
        built.append(build(*args))
        return built[-1]

    monkeypatch.setattr(page, "build", keeping)
    with running_app(FakeStudio(), tmp_path) as url, httpx.Client(base_url=url) as http:
        demo = built[0]
        for _ in range(3):
            data = {"data": [{"codes": [[0]]}]}
            event = http.post("/gradio_api/call/decode", json=data).json()["event_id"]
            assert "complete" in http.get(f"/gradio_api/call/decode/{event}").text
        left = set(demo.state_holder.session_data)
        assert len(left) == 3
        with http.stream("GET", "/gradio_api/heartbeat/open") as connection:
            lines = connection.iter_lines()
            next(lines)
            demo.state_holder["open"]
            demo.forget()
            assert set(demo.state_holder.session_data) == left | {"open"}
            demo.forget(datetime.now() + timedelta(minutes=2))
            assert set(demo.state_holder.session_data) == {"open"}
            assert not demo._queue.pending_event_ids_session
        for _ in range(600):
            demo.forget(datetime.now() + timedelta(minutes=2))
            if not demo.state_holder.session_data:
                break
            threading.Event().wait(0.1)
        assert not demo.state_holder.session_data


def test_a_visitor_costs_next_to_nothing_and_parts_are_still_their_own() -> None:
    from gradio.state_holder import SessionState, StateHolder

    from demo import page
    from demo.shelf import Shelf

    blocks = page.build(Shelf.of(FakeStudio()))
    holder = StateHolder()
    holder.set_blocks(blocks)
    kept = SessionState(blocks)
    assert len(pickle.dumps(list(kept.components))) > 100_000  # or there is nothing to save

    one, other = holder["one"], holder["other"]
    assert holder["one"] is one is not other and blocks.state_holder is holder
    button = next(part for part in blocks.blocks.values() if part.elem_id == "generate")
    state = next(part for part in blocks.blocks.values() if part.get_block_name() == "state")
    one[button._id] = gr.Button("mine", render=False)
    one._update_config(button._id)
    one._update_value_in_config(button._id, "mine")
    one[state._id] = "my own"
    assert one[button._id].value == "mine" and other[button._id] is button
    assert one[state._id] == "my own" and other[state._id] is None
    assert not list(one.components) and not list(other.components)
