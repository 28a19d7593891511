"""What experiments say of β, K, searched codes and the like: their logs, as they ship.

Small training runs differ from one another in one thing each (`python -m vq reproduce ablations`);
codes are searched for with the weights that ship (`python -m vq reproduce code-search`).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vq

LOGS = Path(vq.__file__).parent / "experiments" / "logs"


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
def _log(name: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads((LOGS / f"{name}.json").read_text("utf-8"))
    return log


def steps() -> int:
    """Training steps of each run."""
    return int(next(iter(_log("ablations")["runs"].values()))["spent"]["steps"])


def training_runs(axis: str) -> list[TrainingRun]:
    """The runs along one axis ("beta", "codes", "code book", ...), in their order."""
    found = []
    for setting, name in _log("ablations")["axes"][axis].items():
        figures, curve = (_log("ablations")["runs"][name][part] for part in ("figures", "curve"))
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


def searched(checkpoint: str) -> dict[str, dict[int, float]]:
    """PSNR in dB by passes of `vq.code_search`, for each split that a checkpoint was measured on.

    None are known of a checkpoint that did not come with the app.
    """
    splits = _log("code-search")["checkpoints"].get(checkpoint, {})
    return {
        split: {figures["passes"]: figures["psnr_db"] for figures in steps}
        for split, steps in splits.items()
    }
