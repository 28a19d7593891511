"""From `python app.py` to the page being served, and the memory it then holds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
PORT = 7941


def measure(runs: int = 3) -> dict[str, Any]:
    """Median seconds until the page answers, and resident megabytes right after."""
    seconds, megabytes = [], []
    for _ in range(runs):
        environment = os.environ | {"GRADIO_SERVER_PORT": str(PORT), "NO_PROXY": "127.0.0.1"}
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        try:
            while not _answers():
                if process.poll() is not None or time.perf_counter() - start > 120:
                    raise RuntimeError("the app did not start")
                time.sleep(0.05)
            seconds.append(time.perf_counter() - start)
            megabytes.append(psutil.Process(process.pid).memory_info().rss / 1e6)
        finally:
            process.terminate()
            process.wait()
    return {
        "startup_seconds": statistics.median(seconds),
        "resident_megabytes": statistics.median(megabytes),
        "runs": runs,
    }


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
