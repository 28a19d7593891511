"""A process that pulls checkpoints and is killed while it does: started by test_hub_killed.py.

Reads the id of a repo a line on standard input, and pulls its newest commit in a forked child, for
a fork is a hundred times faster than importing torch again. Prints the child's process id, and when
it has ended, "pulled" or "killed".
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile

from tests.killed_saves import numbered
from vq import hub
from vq.checkpoints import load


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbered(0).save(folder)
        load(folder)  # what this imports, no child has to
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            hub.pull(line.strip(), refresh=True)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print({0: "pulled", signal.SIGKILL: "killed"}.get(status, "failed"), flush=True)


if __name__ == "__main__":
    main()
