"""What was pulled: one folder for each repo and revision, whole and verified, usable offline.

~/.cache/codebrush/hub/             or $CODEBRUSH_CACHE
    OWNER--NAME@REVISION/           the checkpoint's files, as in the repo
        .pulled.json                where they come from
    .locks/                         one pull at a time of the same
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from vq.atomic import sibling, whole_folder, write_json
from vq.hub.errors import HubError

RECORD = ".pulled.json"
# Parts of a name start and end with a letter, digit or underscore: so none is a path, or an option.
_PART = r"(?!.*(?:--|\.\.))\w(?:[\w.-]{0,94}\w)?"
REPO_ID = re.compile(rf"{_PART}/{_PART}", re.ASCII)
REVISION = re.compile(rf"{_PART}(?:/{_PART}){{0,4}}", re.ASCII)


@dataclass(frozen=True)
class Pulled:
    """A checkpoint that was pulled."""

    repo_id: str
    revision: str
    commit: str
    bytes: int
    seconds: float  # since the epoch: when


def check_names(repo_id: str, revision: str) -> None:
    """Raises HubError unless the two can only be the names of a repo and of a revision."""
    if not isinstance(repo_id, str) or not REPO_ID.fullmatch(repo_id):
        raise HubError("bad_repo_id", repo_id=repo_id)
    if not isinstance(revision, str) or not REVISION.fullmatch(revision):
        raise HubError("bad_revision", repo_id=repo_id, revision=revision)


def root() -> Path:
    """The folder of all that was pulled."""
    if chosen := os.environ.get("CODEBRUSH_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "codebrush" / "hub"


def client_home() -> Path:
    """A folder for what huggingface_hub itself may want to keep; it is given no other."""
    return root() / ".client"


def place(repo_id: str, revision: str) -> Path:
    """Where a repo at a revision is put. Raises HubError for what is no such name."""
    check_names(repo_id, revision)
    return root() / f"{repo_id.replace('/', '--')}@{quote(revision, safe='')}"


def find(repo_id: str, revision: str) -> tuple[Path, Pulled] | None:
    """The folder of a repo at a revision, and its record, if it was pulled."""
    folder = whole_folder(place(repo_id, revision))
    record = _record(folder)
    if record is None or (record.repo_id, record.revision) != (repo_id, revision):
        return None  # nothing, or on some disks the one of Owner/Name
    return folder, record


def pulled() -> list[Pulled]:
    """All that was pulled, the latest first."""
    try:
        folders = [path for path in root().iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
    found = [record for folder in folders if (record := _record(folder))]
    return sorted(found, key=lambda record: -record.seconds)


def write_record(folder: Path, repo_id: str, revision: str, commit: str, size: int) -> None:
    """Say in a folder that is about to take its place what it is."""
    write_json(folder / RECORD, asdict(Pulled(repo_id, revision, commit, size, time.time())))


def remove(repo_id: str, revision: str = "main") -> bool:
    """Remove what was pulled; False if there is nothing. Raises HubError while it is pulled."""
    folder = place(repo_id, revision)
    with locked(repo_id, revision):
        found = find(repo_id, revision)
        if found is None:
            return False
        # By another name first, one that a later pull sweeps: never half of it is found.
        doomed = sibling(folder)
        found[0].rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    return True


@contextmanager
def locked(repo_id: str, revision: str) -> Iterator[None]:
    """Hold the turn to pull. Raises HubError if another process or thread has it."""
    folder = place(repo_id, revision)
    try:
        (folder.parent / ".locks").mkdir(parents=True, exist_ok=True)
        # Not bound to a thread: a generator may be closed by another one than began it.
        lock = FileLock(folder.parent / ".locks" / folder.name, thread_local=False)
        lock.acquire(timeout=0)
    except Timeout:
        raise HubError("busy", repo_id=repo_id) from None
    except OSError as error:
        raise HubError("failed", cause=f"{folder.parent}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _record(folder: Path) -> Pulled | None:
    try:
        return Pulled(**json.loads((folder / RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
