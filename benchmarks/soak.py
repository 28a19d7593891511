"""Visitors for minutes, among them strangers who send what they should not: what the app keeps."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from benchmarks.crowd import Visitor, visitors
from benchmarks.hostile import ATTACKS, ended

QUESTIONS = 16  # of each visitor, again and again


def soak(
    url: str,
    folder: Path,
    process: psutil.Process,
    files: Path,
    minutes: float,
    number: int = 8,
    hostile: float = 0.1,
    timeout: float = 600.0,
) -> dict[str, Any]:
    """`files` is the app's folder of temporary files, `hostile` the share of requests that are.

    Growth is from the end of the first fifth, when all has been asked for once, to the last fifth:
    medians of what was measured every two seconds, in MB of resident memory.
    """
    ends: Counter[str] = Counter()
    until = time.monotonic() + 60 * minutes

    def work(visitor: Visitor) -> None:
        draw = random.Random(visitor.number)
        first: dict[int, str] = {}
        index = 0
        with httpx.Client(base_url=url, timeout=timeout) as http:
            while time.monotonic() < until:
                if draw.random() < hostile:
                    ends[ended(draw.choice(list(ATTACKS)), http)] += 1
                    continue
                try:
                    answer = visitor.answer(index, timeout)
                    equal = first.setdefault(index, answer) == answer
                    ends["answered" if equal else "answered otherwise than before"] += 1
                except Exception as error:
                    ends[f"lost: {visitor.kind(index)}: {error!r}"] += 1
                index = (index + 1) % QUESTIONS

    memory, counts, sizes = [], [], []
    with visitors(url, range(number), folder) as there:
        threads = [threading.Thread(target=work, args=(visitor,)) for visitor in there]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            memory.append(process.memory_info().rss / 1e6)
            found = _sizes(files)
            counts.append(len(found))
            sizes.append(sum(found) / 1e6)
            time.sleep(2.0)
        for thread in threads:
            thread.join()

    def growth(measured: list[float]) -> dict[str, float]:
        fifth = max(1, len(measured) // 5)
        warm, last = measured[fifth : 2 * fifth] or measured, measured[-fifth:]
        return {
            "warm": sorted(warm)[len(warm) // 2],
            "last": sorted(last)[len(last) // 2],
            "most": max(measured),
        }

    return {
        "minutes": minutes,
        "ended": dict(ends.most_common()),
        "resident_mb": growth(memory),
        "files": growth([float(count) for count in counts]),
        "files_mb": growth(sizes),
    }


def _sizes(folder: Path) -> list[int]:
    """Bytes of every file; the app deletes some while they are counted."""
    found = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                found.append(path.stat().st_size)
    return found
