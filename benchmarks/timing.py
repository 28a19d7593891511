"""Medians of warm runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_seconds(function: Callable[[], object], runs: int = 5, warm: int = 2) -> float:
    """The median wall time of `runs` calls after `warm` calls that do not count."""
    times = []
    for i in range(warm + runs):
        start = time.perf_counter()
        function()
        if i >= warm:
            times.append(time.perf_counter() - start)
    return statistics.median(times)
