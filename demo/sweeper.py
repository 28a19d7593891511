"""Takes away the files that visitors left behind: too old, or more than the disk can spare.

Gradio forgets some of its files (uploads that were broken off, pictures that an endpoint gave), and
has no limit to all of them together. The sweeper goes by the folder alone, so it finds every one.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

MINUTE = 60.0
MOST = 10_000_000_000


@dataclass(frozen=True)
class Found:
    """A file: when it was last written, as `time.time`, and its bytes."""

    path: Path
    time: float
    size: int


class Sweeper:
    """Sweeps what is in `folder`, in a thread of its own.

    A file goes when it is `oldest` seconds old. While all together are above `most` bytes, the
    oldest go first, but none younger than `youngest`: whoever uploaded it may be about to ask for
    it. What is open in this process, or among `in_use()`, stays. Unless it is told, `most` is half
    of the disk's free space, up to 10 GB.
    """

    def __init__(
        self,
        folder: Path,
        in_use: Callable[[], Set[Path]] = frozenset,
        oldest: float = 120 * MINUTE,
        youngest: float = 10 * MINUTE,
        most: int | None = None,
        every: float = MINUTE,
    ) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.in_use = in_use
        self.oldest = oldest
        self.youngest = youngest
        self.every = every
        free = shutil.disk_usage(self.folder).free
        self.most = min(MOST, free // 2) if most is None else most
        self._bytes = 0  # in the folder, as far as is known
        self._coming = 0  # let in, and still to arrive
        self._lock = threading.Lock()
        self._end = threading.Event()

    def start(self) -> None:
        """Sweep `every` so many seconds, until `stop`."""

        def work() -> None:
            while not self._end.wait(self.every):
                try:
                    self.sweep()
                except Exception:
                    log.exception("sweeping failed")

        self._end.clear()
        threading.Thread(target=work, name="sweeper", daemon=True).start()

    def stop(self) -> None:
        self._end.set()

    def let_in(self, size: int) -> bool:
        """Whether there is room for a file of so many bytes; if so, it is kept until `arrived`."""
        with self._lock:
            if self._bytes + self._coming + size > self.most:
                self._sweep(time.time())
            has_room = self._bytes + self._coming + size <= self.most
            self._coming += size if has_room else 0
            return has_room

    def arrived(self, size: int) -> None:
        """What was let in as of that size is there, or will not come."""
        with self._lock:
            self._coming -= size
            self._bytes += size  # until the next sweep looks

    def sweep(self, now: float | None = None) -> int:
        """Once, as if it were `now`. Returns the bytes that are left."""
        with self._lock:
            self._sweep(time.time() if now is None else now)
            return self._bytes

    def _sweep(self, now: float) -> None:
        files: list[Found] = []
        for place, folders, names in os.walk(self.folder, topdown=False):
            files += [file for name in names if (file := _found(Path(place, name)))]
            if not folders and not names and Path(place) != self.folder:
                self._remove_folder(Path(place), now)
        files.sort(key=lambda file: file.time)
        self._bytes = sum(file.size for file in files)
        used: Set[Path] | None = None  # looked up only where something is to go
        for file in files:
            age = now - file.time
            if age < self.youngest or (age < self.oldest and self._bytes <= self.most):
                break  # so it is with all that follow
            used = self.in_use() | _open_files() if used is None else used
            if file.path in used:
                continue
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:  # open elsewhere, on Windows
                log.warning("%s stays: %s", file.path, error.strerror)
            else:
                self._bytes -= file.size

    def _remove_folder(self, place: Path, now: float) -> None:
        """Unless it is new: Gradio makes a folder first, and then moves the file there."""
        try:
            if now - place.stat().st_mtime >= self.youngest:
                place.rmdir()
        except OSError:  # no longer empty
            pass


def _found(path: Path) -> Found | None:
    try:
        about = path.lstat()
    except OSError:  # gone by now
        return None
    # A file that was moved keeps the time that it was written at, and the move counts.
    return Found(path, max(about.st_mtime, about.st_ctime), about.st_size)


def _open_files() -> set[Path]:
    """What this process has open, where the system tells (Linux)."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            found.add(descriptor.readlink())
        except OSError:  # closed by now
            continue
    return found
