"""A process that saves checkpoints and is killed while it does: started by test_atomic.py.

Reads one order a line on standard input and carries each out in a forked child, for a fork is
a hundred times faster than importing torch again.

    save FIRST FOLDER the child saves checkpoints numbered from FIRST, for ever; prints its process
                      id, and "killed" once it was
    die N FOLDER      the child saves number 1 once, and kills itself just before its N-th change
                      of the file system; prints "killed" or, where there is no N-th, "saved"

With the argument "renames", folders are replaced as on systems that cannot exchange two.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import torch

from tests.tiny_networks import tiny_checkpoint
from vq import atomic
from vq.checkpoints import Checkpoint

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def numbered(number: int) -> Checkpoint:
    """A checkpoint every part of which says its number."""
    checkpoint = tiny_checkpoint(card=str(number))
    for module in checkpoint.modules().values():
        for tensor in module.state_dict().values():
            tensor.fill_(number % 2048)  # whole numbers that float16 holds exactly
    return checkpoint


def number_of(checkpoint: Checkpoint) -> int:
    """The number that every part agrees on. Raises AssertionError where they do not."""
    number = int(checkpoint.card)
    for module in checkpoint.modules().values():
        for tensor in module.state_dict().values():
            assert (tensor == number % 2048).all()
    return number


def save_for_ever(first: int, folder: Path) -> None:
    for number in count(first):
        numbered(number).save(folder)


def die_before(operation: int, folder: Path) -> None:
    checkpoint, seen = numbered(1), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            seen += 1
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    checkpoint.save(folder)
    os._exit(0)


def main() -> None:
    torch.set_num_threads(1)
    if sys.argv[1:] == ["renames"]:
        atomic._exchange = lambda a, b: False
    with tempfile.TemporaryDirectory() as folder:
        numbered(0).save(folder)  # what a first save imports, no child has to
    for order in map(str.strip, sys.stdin):
        verb, number, folder = order.split(maxsplit=2)
        child = os.fork()
        if child == 0:
            if verb == "save":
                save_for_ever(int(number), Path(folder))
            die_before(int(number), Path(folder))
        if verb == "save":
            print(child, flush=True)
            os.waitpid(child, 0)
            print("killed", flush=True)
        else:
            _, status = os.waitpid(child, 0)
            print({0: "saved", signal.SIGKILL: "killed"}.get(status, "failed"), flush=True)


if __name__ == "__main__":
    main()
