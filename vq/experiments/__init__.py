"""The paper's experiments, each made again by one command: `python -m vq reproduce NAME`.

An experiment is a module here with two functions, and its text, `name.md` beside it:

    run(task: Task) -> dict[str, Any]       trains and measures; returns all figures, fit for JSON
    tables(result: dict[str, Any]) -> str   the same as Markdown, for people

A result's key "figures" lists the pictures that `run` has written into the task's folder.
RESULTS.md is made of the results that are recorded in `logs/`, and of nothing else.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from vq.atomic import write_file
from vq.training import Run

HERE = Path(__file__).parent
LOGS = HERE / "logs"
ROOT = HERE.parent.parent  # of the repository
PAGE = ROOT / "RESULTS.md"
FIGURES = ROOT / "docs" / "results"


@dataclass(frozen=True)
class Task:
    """What the command was asked for."""

    data: Path  # folder of the data sets
    out: Path  # for all that is written; what was stopped goes on from here
    minutes: float | None = None  # of training, in all; None: the experiment's own budget
    device: str | None = None  # "cpu" or "cuda"; None: cuda where there is one
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"--minutes must be more than 0, not {self.minutes}")


def experiment_names() -> list[str]:
    """Names of all experiments: of the modules that have a text."""
    names = (m.name for m in pkgutil.iter_modules(__path__))
    return sorted(n.replace("_", "-") for n in names if (HERE / f"{n}.md").exists())


def get_experiment(name: str) -> ModuleType:
    """The module of an experiment. Raises ValueError, listing the names, if there is none."""
    if name not in experiment_names():
        raise ValueError(f"no experiment {name!r}; there are: {', '.join(experiment_names())}")
    return importlib.import_module(f"vq.experiments.{name.replace('-', '_')}")


def reproduce(name: str, task: Task) -> dict[str, Any]:
    """Run an experiment; writes result.json and result.md into the task's folder."""
    experiment = get_experiment(name)
    task.out.mkdir(parents=True, exist_ok=True)
    command = f"python -m vq reproduce {name} --data DATA --out OUT"
    if task.minutes is not None:
        command += f" --minutes {task.minutes:g}"
    result = {"command": command, **experiment.run(task)}
    write_file(task.out / "result.json", to_text(result).encode())
    write_file(task.out / "result.md", section(name, result).encode())
    return result


def record(name: str, out: Path) -> None:
    """Make the result in the folder `out` this repository's own: its log, figures, RESULTS.md."""
    result = json.loads((out / "result.json").read_text("utf-8"))
    for folder in (LOGS, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
    for figure in result.get("figures", ()):
        write_file(FIGURES / figure, (out / figure).read_bytes())
    write_file(LOGS / f"{name}.json", to_text(result).encode())
    write_file(PAGE, results_page().encode())


def results_page() -> str:
    """RESULTS.md, from the recorded results."""
    logs = {name: LOGS / f"{name}.json" for name in experiment_names()}
    sections = [
        section(name, json.loads(log.read_text("utf-8")))
        for name, log in logs.items()
        if log.exists()
    ]
    return "\n".join([(HERE / "results.md").read_text("utf-8"), *sections])


def section(name: str, result: dict[str, Any]) -> str:
    """An experiment's text, with its command and tables put in."""
    text = (HERE / f"{name.replace('-', '_')}.md").read_text("utf-8")
    tables = get_experiment(name).tables(result)
    return text.replace("{command}", result["command"]).replace("{tables}", tables)


def spent(run: Run) -> dict[str, Any]:
    """What a training run has cost: its budget as it was used."""
    device = run.accelerator.device.type
    return {
        "steps": run.step,
        "pictures": run.step * run.config.batch,
        "minutes": float(f"{run.elapsed / 60:.3g}"),
        "device": device if device == "cuda" else f"{device}, {torch.get_num_threads()} thread(s)",
        "torch": torch.__version__.partition("+")[0],
    }


def markdown_table(rows: list[list[str]]) -> str:
    """The first row is the head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def to_text(result: Any) -> str:
    """JSON for people: indented, but a list of numbers on one line. ValueError at NaN."""
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[[^][{}]*\]", lambda m: re.sub(r"\s*\n\s*", " ", m[0]), text) + "\n"
