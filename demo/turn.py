"""Whose turn it is at the models."""

from __future__ import annotations

import threading
from collections import deque


class Turn:
    """A lock that is handed on in the order in which it was asked for.

    One of `threading` goes to whoever is awake: a job that gives it back between two steps has it
    again before those who wait for it know.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            own = threading.Lock()
            own.acquire()
            self._waiting.append(own)
        own.acquire()  # until the one before hands it on

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def locked(self) -> bool:
        return self._held
