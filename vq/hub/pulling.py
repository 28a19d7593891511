"""A repo on the Hub -> a verified folder on the disk.

A pull lists the repo first and takes only files that a checkpoint may have, within limits. It runs
in a process that is killed at the deadline (`vq.hub.process`) and compares each file with the
digest listed. Configurations come first, and are read before any weights are asked for. What has
arrived is loaded once, to see that it is sound, and only then takes its place in the cache
(`vq.hub.cache`) in one step. What was pulled is found again without the Hub.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vq.atomic import flush_files, replacing_folder
from vq.hub import cache
from vq.hub.errors import HubError
from vq.hub.process import TICK, HubProcess, finish
from vq.layout import MAX_BYTES, MAX_FILES, checkpoint_files, diffusers_folder, size_limit
from vq.strict_files import CheckpointError

if TYPE_CHECKING:
    import torch

    from vq.checkpoints import Checkpoint

DEADLINE = 60.0  # seconds for all that a pull asks of the Hub
RESERVE = 50_000_000  # bytes of the disk that a pull leaves free

Files = dict[str, tuple[int, str, str]]  # path to size in bytes, kind of digest, digest


@dataclass(frozen=True)
class Progress:
    """How far a pull is. wait: for another pull of the same; list: for the Hub's listing."""

    stage: Literal["wait", "list", "download", "check"]
    done: int = 0  # bytes
    total: int = 0


def load(
    name: str | os.PathLike[str],
    device: str | torch.device = "cpu",
    *,
    revision: str = "main",
    token: str | bool = False,
    refresh: bool = False,
) -> Checkpoint:
    """Load a checkpoint's folder or, where there is no such path, the repo of that id.

    The arguments by name are those of `pull`. For programmers: what strangers type belongs to
    `pull` alone. Raises CheckpointError; HubError, which is one, where it is the Hub's matter.
    """
    from vq import checkpoints

    return checkpoints.load(resolve(name, revision, token=token, refresh=refresh), device)


def resolve(
    name: str | os.PathLike[str],
    revision: str = "main",
    *,
    token: str | bool = False,
    refresh: bool = False,
) -> Path:
    """The path of that name or, where there is none, the folder of the repo of that id, pulled."""
    if not isinstance(name, str) or Path(name).exists() or not cache.REPO_ID.fullmatch(name):
        return Path(name)
    return pull(name, revision, token=token, refresh=refresh)


def pull(
    repo_id: str,
    revision: str = "main",
    *,
    token: str | bool = False,
    deadline: float = DEADLINE,
    refresh: bool = False,
) -> Path:
    """The folder of a repo's checkpoint, from the cache or else from the Hub.

    revision: a branch, tag or commit. token: sent with every request; True: the one that
    huggingface_hub finds; False: none. deadline: seconds. refresh: ask the Hub for a newer commit
    of what was pulled already. Raises HubError, what was pulled before untouched.
    """
    return finish(pull_steps(repo_id, revision, token=token, deadline=deadline, refresh=refresh))


def pull_steps(
    repo_id: str,
    revision: str = "main",
    *,
    token: str | bool = False,
    deadline: float = DEADLINE,
    refresh: bool = False,
) -> Generator[Progress, None, Path]:
    """`pull`, which says several times a second how far it is; closing it ends it at once."""
    cache.check_names(repo_id, revision)
    found = cache.find(repo_id, revision)
    if found and not refresh:
        return found[0]
    if is_offline():
        raise HubError("offline")
    ends = time.monotonic() + deadline
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(cache.locked(repo_id, revision))
                break
            except HubError as error:
                if error.reason != "busy" or time.monotonic() > ends:
                    raise
            yield Progress("wait")
            time.sleep(TICK)
        found = cache.find(repo_id, revision)
        if found and not refresh:
            return found[0]  # somebody else has just pulled it
        names = {"repo_id": repo_id, "revision": revision}
        hub = HubProcess(ends - time.monotonic(), cache.client_home(), find_token(token), **names)
        stack.enter_context(hub)
        listed = yield from _as_progress(hub.ask("info", names), "list", 0, 0)
        commit = listed["commit"]
        if found and found[1].commit == commit:
            return found[0]
        with replacing_folder(cache.place(repo_id, revision), leftover_age=0) as staging:
            files = choose(listed["files"], repo_id, shutil.disk_usage(staging).free - RESERVE)
            size = sum(size for size, _, _ in files.values())
            yield from _bring(hub, files, repo_id, commit, staging)
            yield Progress("check", size, size)
            _check(staging, repo_id)
            cache.write_record(staging, repo_id, revision, commit, size)
            flush_files(staging)
    return cache.place(repo_id, revision)


def choose(listed: dict[str, Any], repo_id: str, free: int) -> Files:
    """The files of a repo's checkpoint, small ones first. Raises HubError if it has none, if they
    are above a limit, or if so many bytes are not enough for them."""
    sizes = {name: size for name, (size, _, _) in listed.items() if isinstance(size, int)}
    names = checkpoint_files(sizes)
    if not names:
        raise HubError("not_a_checkpoint", repo_id=repo_id)
    if diffusers_folder(names) is not None and find_spec("diffusers") is None:
        raise HubError("no_diffusers", repo_id=repo_id)
    if len(names) > MAX_FILES:
        raise HubError("too_many_files", repo_id=repo_id, count=len(names), limit=MAX_FILES)
    for name in names:
        if sizes[name] > size_limit(name):
            what = f"{repo_id}: {name}"
            raise HubError("too_large", repo_id=what, size=sizes[name], limit=size_limit(name))
    total = sum(sizes[name] for name in names)
    if total > MAX_BYTES:
        raise HubError("too_large", repo_id=repo_id, size=total, limit=MAX_BYTES)
    if total > free:
        raise HubError("no_space", repo_id=repo_id, size=total, free=max(0, free))
    return {name: listed[name] for name in names}


def find_token(token: str | bool) -> str | None:
    """The token to send; True: the one that huggingface_hub finds. Raises HubError if none."""
    if token is True:
        from huggingface_hub import get_token

        token = get_token() or ""
        if not token:
            raise HubError("no_token")
    return token or None


def is_offline() -> bool:
    """Whether the user has told huggingface_hub to ask nobody."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _bring(
    hub: HubProcess, files: Files, repo_id: str, commit: str, folder: Path
) -> Generator[Progress, None, None]:
    from vq.checkpoints import read_configs

    total = sum(size for size, _, _ in files.values())
    weights = {name for name in files if name.endswith(".safetensors")}
    done = 0
    for group in (files.keys() - weights, weights):
        part = {name: files[name] for name in files if name in group}
        size = sum(size for size, _, _ in part.values())
        wanted = {"repo_id": repo_id, "commit": commit, "files": part, "folder": str(folder)}
        asked = hub.ask("get", wanted, size)
        yield from _as_progress(asked, "download", done, total)
        done += size
        if group is not weights:
            try:
                read_configs(folder)
            except CheckpointError as error:
                raise HubError("unsound", repo_id=repo_id, cause=error) from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # huggingface_hub's notes


def _as_progress(
    asked: Generator[int, None, Any], stage: Literal["list", "download"], done: int, total: int
) -> Generator[Progress, None, Any]:
    yield Progress(stage, done, total)
    while True:
        try:
            received = next(asked)
        except StopIteration as end:
            return end.value
        yield Progress(stage, min(done + received, total), total)


def _check(folder: Path, repo_id: str) -> None:
    from vq import checkpoints

    try:
        checkpoints.load(folder)
    except CheckpointError as error:
        raise HubError("unsound", repo_id=repo_id, cause=error) from None
