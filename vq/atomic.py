"""Writing files and folders so that a kill, or a power cut, at any moment costs nothing.

A file or folder is first written whole under another name in the same place and flushed to the
disk, then takes the place of the old one by a rename, which the file system does in one step.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a killed save leaves behind is swept by a later one, once it is certain that nobody is
# still writing it.
LEFTOVER_AGE = 3600  # seconds


def write_file(path: Path, data: bytes) -> None:
    """Replace a file by `data`: afterwards, and after a kill, it holds the old or the new bytes."""
    temporary = sibling(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """`write_file` of JSON laid out for people. Raises ValueError at NaN or infinity."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, (text + "\n").encode())


@contextmanager
def replacing_folder(path: Path, leftover_age: float = LEFTOVER_AGE) -> Iterator[Path]:
    """An empty folder that takes the place of `path` when the block ends; till then the old stays.

    The folders are exchanged in one step on Linux. Elsewhere the old one is first renamed to the
    name that `whole_folder` knows: between the two renames `path` does not exist. If the block
    raises, the old folder stays. Files in the new folder must be written with `write_file`, or be
    flushed with `flush_files`.

    leftover_age: seconds after which what a killed save left is swept; 0 where a lock tells that
    nobody is still writing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path, leftover_age)
    temporary = sibling(path)
    temporary.mkdir()
    try:
        yield temporary
        _flush_folder(temporary)
        backup = _backup(path)
        if not path.exists():
            temporary.rename(path)
        elif not _exchange(temporary, path):
            shutil.rmtree(backup, ignore_errors=True)
            path.rename(backup)
            temporary.rename(path)
        _flush_folder(path.parent)
        shutil.rmtree(backup, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # the old folder, if they were exchanged


def whole_folder(path: Path) -> Path:
    """Where the folder last saved at `path` is, even if a save was killed between two renames."""
    backup = _backup(path)
    return backup if backup.is_dir() and not path.exists() else path


def sibling(path: Path) -> Path:
    """A new name beside `path`, which `replacing_folder` sweeps if it is left there."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.saving")


def flush_files(folder: Path) -> None:
    """Make all that another program wrote into a folder last through a power cut."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            _flush_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _backup(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _sweep(path: Path, age: float) -> None:
    """Delete folders that killed saves left beside `path` so many seconds ago or earlier."""
    leftover = re.compile(rf"\.{re.escape(path.name)}\.\d+-[0-9a-f]+\.saving")
    for entry in path.parent.iterdir():
        if leftover.fullmatch(entry.name):
            try:
                if not age or time.time() - entry.stat().st_mtime > age:
                    shutil.rmtree(entry, ignore_errors=True)
            except FileNotFoundError:
                continue  # another process swept it


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    at_fdcwd, rename_exchange = -100, 2  # from <fcntl.h> and <linux/fs.h>
    return renameat2 is not None and not renameat2(
        at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange
    )


def _flush_folder(path: Path) -> None:
    """Make the names in a folder last through a power cut, where the system offers it."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
