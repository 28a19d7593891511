"""Forgets visitors who have left. Gradio would keep ten thousand of them, 460 kB each at the least.

Every caller is a visitor to Gradio, also a program that asks once. What a visitor holds in
`gr.State` has a time to live of its own; this is for the rest, and for when all of it together is
more than the machine can spare.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
from gradio.state_holder import SessionState, StateHolder

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MOST_MEMORY = 2_000_000_000
MOST_DISK = 20_000_000_000


class LightSessions(StateHolder):
    """Gradio's, but that a visitor costs next to nothing: 15 kB where it were 460, and no time.

    Gradio makes each a copy of every component's configuration, for deep links. The guard closes
    those.
    """

    @classmethod
    def take_over(cls, holder: StateHolder) -> StateHolder:
        """Change a holder that Gradio has made."""
        holder.__class__ = cls
        return holder

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = _light_session(self.blocks)
        state: SessionState = super().__getitem__(session_id)
        return state


def _light_session(blocks: Any) -> SessionState:
    none_to_copy = SimpleNamespace(default_config=blocks.default_config, blocks={})
    session = SessionState(none_to_copy)
    session.blocks_config.config_for_block = lambda *_: {}
    return session


class Visitors:
    """Who has the page open: `enter` and `leave` are called as its connection begins and ends.

    `most_memory` and `most_disk` are bytes of what all may hold; unless it is told, `most_disk` is
    half of what is free, up to 20 GB.
    """

    def __init__(self, most_memory: int = MOST_MEMORY, most_disk: int | None = None) -> None:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        self.most_memory = most_memory
        self.most_disk = min(MOST_DISK, free // 2) if most_disk is None else most_disk
        self._present: Counter[str] = Counter()

    def enter(self, visitor: str) -> None:
        self._present[visitor] += 1

    def leave(self, visitor: str) -> None:
        self._present[visitor] -= 1
        if self._present[visitor] <= 0:
            del self._present[visitor]

    def forget(self, holder: Any, now: datetime | None = None) -> set[str]:
        """Take visitors out of Gradio's `StateHolder` as if it were `now`; returns which.

        Whoever has left and holds nothing goes after a minute, with something after an hour. While
        all hold more than they may, those go who came by least lately; first those who have left.
        """
        now = now or datetime.now()
        used = dict(holder.time_last_used)
        held = {visitor: _held(state) for visitor, state in list(holder.session_data.items())}
        memory, disk = (
            (sum(sizes) for sizes in zip(*held.values(), strict=True)) if held else (0, 0)
        )
        oldest_first = sorted(held, key=lambda visitor: used.get(visitor, now))
        forgotten = set()
        for have_left in (True, False):
            for visitor in oldest_first:
                if visitor not in held or have_left is (visitor in self._present):
                    continue
                own_memory, own_disk = held[visitor]
                idle = now - used.get(visitor, now)
                due = have_left and idle >= (HOUR if own_memory or own_disk else MINUTE)
                too_much = (memory > self.most_memory and own_memory) or (
                    disk > self.most_disk and own_disk
                )
                if due or too_much:
                    memory, disk = memory - own_memory, disk - own_disk
                    del held[visitor]
                    forgotten.add(visitor)
        with holder.lock:
            for visitor in forgotten:
                holder.session_data.pop(visitor, None)
                holder.time_last_used.pop(visitor, None)
        return forgotten


def _held(state: Any) -> tuple[int, int]:
    """Bytes in memory and on disk of the arrays that a visitor holds; each counts once."""
    memory = disk = 0
    for array in _arrays(list(state.state_data.values())):
        if isinstance(array, np.memmap):
            disk += array.nbytes
        else:
            memory += array.nbytes
    return memory, disk


def _arrays(value: Any) -> Iterator[np.ndarray]:
    seen: set[int] = set()
    rest = [value]
    while rest:
        one = rest.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            yield one
        elif dataclasses.is_dataclass(one):
            rest += [getattr(one, field.name) for field in dataclasses.fields(one)]
        elif isinstance(one, dict):
            rest += one.values()
        elif isinstance(one, list | tuple):
            rest += one
