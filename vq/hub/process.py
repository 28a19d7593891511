"""Asking the Hub within a deadline: the client runs in a process of its own, which is killed."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from vq.hub.errors import HubError

ROOT = Path(__file__).resolve().parents[2]  # what has `vq` in it
TICK = 0.2  # seconds between two looks at the clock
LIVELY = 5.0  # seconds: a Hub of which a byte came so lately is slow, not hanging

# The client gets its token, if any, on standard input. It must not find one by itself, nor write
# anywhere but into the folder it is given; and hf_xet would download past its counters.
FORGET = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_XET_CACHE"}
SETTINGS = {
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "PYTHONIOENCODING": "utf-8",
}


Answer = TypeVar("Answer")


class HubProcess:
    """A client of the Hub that lives until `deadline` seconds have passed, and not longer.

    token: sent with every request; None: none ever is. home: a folder for the client's own files.
    values: named in the messages of the errors, as `repo_id`.
    """

    def __init__(
        self, deadline: float, home: Path, token: str | None = None, **values: Any
    ) -> None:
        self._began, self._deadline, self._values = time.monotonic(), deadline, values
        kept = {key: value for key, value in os.environ.items() if key not in FORGET}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vq.hub.client"],
            cwd=ROOT,
            env={**kept, **SETTINGS, "HF_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # "" is the end
        threading.Thread(target=self._listen, daemon=True).start()
        self._write(token or "")

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was not yet written, it will not read
                pipe.close()

    def ask(
        self, verb: str, arguments: dict[str, Any], total: int = 0
    ) -> Generator[int, None, Any]:
        """Yields several times a second how many bytes came so far, and returns the answer.

        total: how many are to come, if that is known. Raises HubError.
        """
        self._write(json.dumps({"verb": verb, **arguments}))
        done, lively = 0, float("-inf")
        while True:
            seconds = time.monotonic() - self._began
            if seconds > self._deadline:
                patience = min(LIVELY, self._deadline / 2)
                raise self._error("slow" if seconds - lively < patience else "hang", done, total)
            try:
                line = self._lines.get(timeout=TICK)
            except queue.Empty:
                yield done
                continue
            message: dict[str, Any] = json.loads(line) if line else _ENDED
            if "error" in message:
                raise self._error(message["error"], done, total, **message["values"])
            if "answer" in message:
                return message["answer"]
            done, lively = message["bytes"], time.monotonic() - self._began
            yield done

    def _error(self, reason: str, done: int, total: int, **values: Any) -> HubError:
        done = min(done, total or done)
        known = {"done": done, "total": total, "size": total, "free": 0}
        known["seconds"] = round(time.monotonic() - self._began)
        return HubError(reason, **{**known, **self._values, **values})

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it may have ended: there will be no answer
            print(line, file=self._process.stdin, flush=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):  # closed, as nobody listens any more
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put("")


def finish(steps: Generator[Any, None, Answer]) -> Answer:
    """What steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: Answer = end.value
            return answer


_ENDED = {"error": "failed", "values": {"cause": "its client ended"}}
