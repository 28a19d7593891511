"""What small training runs say of β, K and the like: the log of the ablations, as it ships.

The runs differ from one another in one thing each; `python -m vq reproduce ablations` makes them
again (`vq/experiments/ablations.py`).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vq

LOG = Path(vq.__file__).parent / "experiments" / "logs" / "ablations.json"


@dataclass(frozen=True)
class TrainingRun:
    """One run: its setting on an axis, and its figures on pictures that it was not trained on."""

    setting: str
    psnr: float  # dB
    perplexity: float  # over the whole data set
    used: int  # codes that some picture has
    bits: float  # a code, by the frequencies of the codes
    distance: float  # root mean square of |z - e| at the end of training


@functools.cache
def _log() -> dict[str, Any]:
    log: dict[str, Any] = json.loads(LOG.read_text("utf-8"))
    return log


def steps() -> int:
    """Training steps of each run."""
    return int(next(iter(_log()["runs"].values()))["spent"]["steps"])


def training_runs(axis: str) -> list[TrainingRun]:
    """The runs along one axis ("beta", "codes", "code book", ...), in their order."""
    found = []
    for setting, name in _log()["axes"][axis].items():
        figures, curve = (_log()["runs"][name][part] for part in ("figures", "curve"))
        found.append(
            TrainingRun(
                setting,
                figures["psnr_db"],
                figures["perplexity"],
                int(figures["codes_used"]),
                figures["unigram_bits"],
                curve["distance"][-1],
            )
        )
    return found
