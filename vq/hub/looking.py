"""What there is on the Hub, and what a repo holds, before it is pulled."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vq.front_matter import front_matter, without_front_matter
from vq.hub import cache
from vq.hub.errors import HubError
from vq.hub.process import HubProcess, finish
from vq.hub.pulling import RESERVE, Files, choose, is_offline
from vq.layout import CARD, CONFIG, checkpoint_files, size_limit
from vq.strict_files import CheckpointError

LOOK_DEADLINE = 20.0  # seconds
Kind = Literal["codebrush", "diffusers"]  # tags on the Hub


@dataclass(frozen=True)
class Found:
    """A repo as a search lists it."""

    repo_id: str
    license: str = ""  # as its card names it
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    modified: str = ""  # ISO 8601
    gated: bool = False


@dataclass(frozen=True)
class Repo(Found):
    """A repo looked into: all that can be known without its weights."""

    revision: str = "main"
    commit: str = ""
    bytes: int = 0  # of what a pull brings
    networks: dict[str, str] = field(default_factory=dict)  # name to type
    num_codes: int = 0
    stride: int = 0
    card: str = ""  # Markdown, without its front matter
    front: dict[str, Any] = field(default_factory=dict)
    is_pulled: bool = False
    problem: CheckpointError | None = None  # why it cannot be pulled


def search(
    query: str, kind: Kind, *, limit: int = 20, deadline: float = LOOK_DEADLINE
) -> list[Found]:
    """Public repos with the tag `kind` whose ids hold `query`, those most used first.

    No token is sent. deadline: seconds. Raises HubError.
    """
    return finish(search_steps(query, kind, limit=limit, deadline=deadline))


def search_steps(
    query: str, kind: Kind, *, limit: int = 20, deadline: float = LOOK_DEADLINE
) -> Generator[int, None, list[Found]]:
    """`search`, which yields several times a second; closing it ends it at once."""
    if is_offline():
        raise HubError("offline")
    asked = {"query": query[:100], "tags": [kind], "limit": limit}
    with HubProcess(deadline, cache.client_home()) as hub:
        found = yield from hub.ask("search", asked)
    return [_found(one) for one in found if cache.REPO_ID.fullmatch(one["repo_id"])]


def look(repo_id: str, revision: str = "main", *, deadline: float = LOOK_DEADLINE) -> Repo:
    """What a repo holds: from the cache where it was pulled, else from the Hub.

    Of its files only the card and the configurations are fetched. No token is sent.
    deadline: seconds. Raises HubError.
    """
    return finish(look_steps(repo_id, revision, deadline=deadline))


def look_steps(
    repo_id: str, revision: str = "main", *, deadline: float = LOOK_DEADLINE
) -> Generator[int, None, Repo]:
    """`look`, which yields several times a second; closing it ends it at once."""
    pulled = cache.find(repo_id, revision)
    if pulled is not None:
        folder, record = pulled
        known = {"revision": revision, "commit": record.commit, "bytes": record.bytes}
        return look_into(folder, Found(repo_id), is_pulled=True, **known)
    if is_offline():
        raise HubError("offline")
    names = {"repo_id": repo_id, "revision": revision}
    with (
        HubProcess(deadline, cache.client_home(), **names) as hub,
        tempfile.TemporaryDirectory(prefix="codebrush-") as folder_name,
    ):
        listed = yield from hub.ask("info", names)
        problem: CheckpointError | None = None
        try:
            files = choose(listed["files"], repo_id, _free())
        except HubError as error:
            problem, files = error, _described_by(listed["files"])
        if listed["gated"]:
            problem = problem or HubError("gated", repo_id=repo_id)
            small: Files = {}
        else:
            small = {
                name: file
                for name, file in files.items()
                if name.endswith((CARD, CONFIG)) and file[0] <= size_limit(name)
            }
        if small:
            wanted = {"files": small, "folder": folder_name}
            yield from hub.ask("get", {"repo_id": repo_id, "commit": listed["commit"], **wanted})
        return look_into(
            Path(folder_name),
            _found({"repo_id": repo_id, **listed}),
            revision=revision,
            commit=listed["commit"],
            bytes=sum(size for size, _, _ in files.values()),
            problem=problem,
        )


def look_into(folder: Path, found: Found, **known: Any) -> Repo:
    """A repo of which the card and the configurations are in `folder`. known: fields of `Repo`."""
    from vq.checkpoints import read_configs

    text = ""
    if (folder / CARD).is_file():
        text = (folder / CARD).read_text("utf-8", "replace")
    try:
        front = front_matter(text)
    except CheckpointError:
        front = {}  # the text below can be read all the same
    values = {one.name: getattr(found, one.name) for one in fields(Found)}
    values["license"] = found.license or str(front.get("license") or "")[:100]
    try:
        configs = read_configs(folder)
        config = configs["autoencoder"][1]
        values |= {"num_codes": config.num_codes, "stride": config.stride}
        values["networks"] = {name: type_.__name__ for name, (type_, _) in configs.items()}
    except CheckpointError as error:
        known["problem"] = known.get("problem") or error
    return Repo(**values, card=without_front_matter(text), front=front, **known)


def _found(one: dict[str, Any]) -> Found:
    known = {field.name: one[field.name] for field in fields(Found)}
    return Found(**{**known, "tags": tuple(one["tags"])})


def _described_by(listed: dict[str, Any]) -> Files:
    """The files of what cannot be pulled, as far as it is a checkpoint."""
    sizes = {name: size for name, (size, _, _) in listed.items() if isinstance(size, int)}
    names = checkpoint_files(sizes) or [name for name in (CARD,) if name in sizes]
    return {name: listed[name] for name in names}


def _free() -> int:
    root = cache.root()
    while not root.exists():
        root = root.parent
    return shutil.disk_usage(root).free - RESERVE
