"""On ZeroGPU, and off it.

What holds there is in `tests/zerogpu/checks.py`, which is run in a process of its own, with a
stand-in for the package that such a Space brings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from demo import studio, zerogpu

ROOT = Path(__file__).resolve().parent.parent
THERE = {
    "SPACES_ZERO_GPU": "true",
    "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "zerogpu"), str(ROOT)]),
}


def test_elsewhere_nothing_changes() -> None:
    assert zerogpu.loader() is studio.loader
    assert zerogpu.run_on_gpu is zerogpu.run and not zerogpu.PLACED
    assert zerogpu.spaces is None


def test_the_app_on_zerogpu() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/zerogpu/checks.py"],
        cwd=ROOT,
        env=os.environ | THERE,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
