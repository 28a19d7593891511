"""How the app stands a crowd: its answers, throughput, light requests, cancelled jobs, a flood."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.crowd import Visitor, all_at_once, compared, one_by_one, visitors
from benchmarks.soak import soak

ROOT = Path(__file__).resolve().parent.parent
PORT = 7942
TIMEOUT = 600.0
PARTS = ("crowd", "light", "cancel", "flood", "soak")


# The app as `app.py` starts it, but that its files are swept while one looks on.
PROGRAM = """
import app
demo = app.page.build(app.Shelf.of_folder(app.zerogpu.loader()))
demo.sweeping = {"oldest": 60, "youngest": 30, "every": 5}
demo.launch(**app.page.LAUNCH)
"""


@contextmanager
def app() -> Iterator[tuple[str, psutil.Process, Path]]:
    """The app in a process of its own: its address, the process, the folder of its files."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"GRADIO_SERVER_PORT": str(PORT), "GRADIO_TEMP_DIR": folder, "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-c", PROGRAM]
        with open(os.devnull, "w") as nowhere:
            process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, stdout=nowhere)
        url = f"http://127.0.0.1:{PORT}/"
        try:
            until = time.monotonic() + 120
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the app did not start")
                time.sleep(0.1)
            yield url, psutil.Process(process.pid), Path(folder)
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def crowd(url: str, number: int, requests: int, folder: Path) -> dict[str, Any]:
    """All visitors one by one, and then at once: what differs, and how much faster they are served.

    `throughput_ratio` is requests a second of all at once against one at a time.
    """
    with visitors(url, range(number), folder) as there:
        lone = one_by_one(there, requests, TIMEOUT)
        together = all_at_once(there, requests, TIMEOUT)
    return {
        "visitors": number,
        "requests_each": requests,
        **compared(lone, together),
        "alone_seconds": lone.seconds,
        "together_seconds": together.seconds,
        "throughput_ratio": lone.seconds / together.seconds,
    }


def light(
    url: str,
    folder: Path,
    process: psutil.Process | None = None,
    busy: int = 4,
    requests: int = 200,
) -> dict[str, Any]:
    """Milliseconds until the page and its configuration come: at rest, and while models work.

    What else the machine does counts in them, but not in the processor's time for a request, which
    is the app's own, at rest. `load_average` is that of the minute before.
    """
    load_average = os.getloadavg()[0]

    def milliseconds() -> list[float]:
        taken = []
        with httpx.Client(base_url=url, timeout=60) as http:
            for index in range(requests):
                start = time.perf_counter()
                http.get("/config" if index % 2 else "/").raise_for_status()
                taken.append(1000 * (time.perf_counter() - start))
                time.sleep(0.02)
        return taken

    used = sum(process.cpu_times()[:2]) if process else float("nan")
    taken = {"at_rest": milliseconds()}
    used = sum(process.cpu_times()[:2]) - used if process else used
    done = threading.Event()

    def work(visitor: Visitor) -> None:
        index = 0
        while not done.is_set():
            if visitor.kind(index) != "page":
                visitor.answer(index, TIMEOUT)
            index = (index + 1) % 64

    with visitors(url, range(busy), folder) as there:
        threads = [threading.Thread(target=work, args=(visitor,)) for visitor in there]
        for thread in threads:
            thread.start()
        taken["while_busy"] = milliseconds()
        done.set()
        for thread in threads:
            thread.join()
    shares = {
        f"p{share}_ms": {when: float(np.percentile(ms, share)) for when, ms in taken.items()}
        for share in (50, 99)
    }
    cpu = 1000 * used / requests
    return {
        "load_average": load_average,
        "requests": requests,
        "busy": busy,
        "cpu_ms_a_request": cpu,
    } | shares


def cancel_storm(
    url: str, folder: Path, process: psutil.Process | None = None, number: int = 8, rounds: int = 6
) -> dict[str, Any]:
    """Long jobs, each cancelled at a moment of its own; then how soon the app is itself again."""
    rng = np.random.default_rng(0)
    with visitors(url, range(number), folder) as there:
        before = there[0].answer(1, TIMEOUT)
        for _ in range(rounds):
            jobs = [
                visitor.client.submit(n=16, seed=i, steps=256, api_name="/generate")
                for i, visitor in enumerate(there)
            ]
            for job in (jobs[i] for i in rng.permutation(number)):
                time.sleep(float(rng.uniform(0, 0.2)))
                while job.communicator is not None and job.communicator.event_id is None:
                    if job.done():  # told that the app is busy
                        break
                    time.sleep(0.01)  # the client cannot cancel what it does not know of yet
                job.cancel()
        start = time.perf_counter()
        idle = _until_idle(process) if process else None
        after = there[0].answer(1, TIMEOUT)
        seconds = time.perf_counter() - start
    return {
        "cancelled": number * rounds,
        "idle_after_seconds": idle,
        "answer_after_seconds": seconds,
        "answer_equal": before == after,
    }


def _until_idle(process: psutil.Process, patience: float = 60.0) -> float:
    """Seconds until the process has used less than a fifth of a core for a second."""
    start = time.perf_counter()
    while time.perf_counter() - start < patience:
        used = sum(process.cpu_times()[:2])
        time.sleep(1.0)
        if sum(process.cpu_times()[:2]) - used < 0.2:
            return time.perf_counter() - start - 1.0
    return float("inf")


def flood(url: str, number: int = 200) -> dict[str, Any]:
    """So many callers in the same moment: each gets its answer, or is told that the app is busy."""
    gate = threading.Barrier(number)
    limits = httpx.Limits(max_connections=None)

    def call(caller: int) -> str:
        asked = {"codes": [[caller % 7, caller % 5], [caller % 3, 1]]}
        with httpx.Client(base_url=url, timeout=TIMEOUT, limits=limits) as http:
            gate.wait()
            path = "/gradio_api/call/score"
            joined = http.post(
                path, json={"data": [asked, None, None], "session_hash": f"f{caller}"}
            )
            if joined.status_code == 503:
                return "busy" if joined.json()["detail"] else "refused without a word"
            joined.raise_for_status()
            text = http.get(f"{path}/{joined.json()['event_id']}").text
            return "answered" if "event: complete" in text else text[:200]

    def outcome(caller: int) -> str:
        try:
            return call(caller)
        except Exception as error:
            return f"lost: {type(error).__name__}: {error}"

    start = time.perf_counter()
    with ThreadPoolExecutor(number) as pool:
        ended = Counter(pool.map(outcome, range(number)))
    return {"callers": number, **ended, "seconds": time.perf_counter() - start}


def measure(
    parts: Sequence[str], number: int, requests: int, callers: int, minutes: float
) -> dict[str, Any]:
    """The parts that are asked for, of `PARTS`, each on an app that was started for it."""
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")

    def run(part: str, url: str, process: psutil.Process, files: Path, own: Path) -> dict[str, Any]:
        if part == "crowd":
            return crowd(url, number, requests, own)
        if part == "light":
            return light(url, own, process)
        if part == "cancel":
            return cancel_storm(url, own, process)
        if part == "flood":
            return flood(url, callers)
        return soak(url, own, process, files, minutes)

    figures = {}
    for part in parts:
        with app() as (url, process, files), tempfile.TemporaryDirectory() as own:
            before = process.memory_info().rss / 1e6
            figures[part] = run(part, url, process, files, Path(own))
            after = process.memory_info().rss / 1e6
            figures[part]["app_mb"] = {"before": before, "after": after}
    return figures
