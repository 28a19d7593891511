"""The checkpoints that can be had: those that come with the app, those pulled, and the Hub's.

Names are those of the shelf: "scenes-128" for what comes with the app, "owner/name" or
"owner/name@revision" for a repo. What a visitor types only ever means the Hub (`vq.hub`).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from demo.jobs import Refusal
from demo.shelf import Loader, Shelf
from vq import hub
from vq.hub.looking import Found, Kind, Repo, look_into, look_steps, search_steps
from vq.layout import DEFAULT_CHECKPOINT
from vq.strict_files import CheckpointError

# Of all that is kept on the disk: beyond it, what was pulled longest ago goes.
MAX_KEPT_BYTES = int(os.environ.get("CODEBRUSH_CACHE_BYTES") or 4_000_000_000)


@dataclass(frozen=True)
class Listed:
    """A line of the list: where a checkpoint is, and what is known of it at once."""

    name: str
    place: Literal["app", "pulled", "hub"]
    bytes: int = 0  # on the disk
    found: Found | None = None  # on the Hub


class Library:
    """Safe to use from many threads."""

    def __init__(
        self, shelf: Shelf, loader: Loader, folder: Path = DEFAULT_CHECKPOINT.parent
    ) -> None:
        """loader: how a folder is loaded under a name. folder: that of what comes with the app."""
        self.shelf, self._loader, self._folder = shelf, loader, folder
        self._own = shelf.names
        for one in hub.pulled():
            if found := hub.find(one.repo_id, one.revision):
                shelf.offer(_name(one), loader(found[0], _name(one)))

    def again(self, before: list[Listed]) -> list[Listed]:
        """What was listed before, after something was pulled or removed."""
        now = self.listed()
        names = {one.name for one in now}
        gone = [one for one in before if one.place == "hub" and one.name not in names]
        return now + gone

    def listed(self, words: str = "") -> list[Listed]:
        """What is at hand, and holds the words in its name; what comes with the app first."""
        own = [Listed(name, "app", _size(self._folder / name)) for name in self._own]
        pulled = [Listed(_name(one), "pulled", one.bytes) for one in hub.pulled()]
        return [one for one in own + pulled if words.lower() in one.name.lower()]

    def search(self, words: str, kind: Kind) -> Generator[int, None, list[Listed]]:
        """The same, and then what the Hub has. Raises `Refusal` where it cannot be asked."""
        at_hand = self.listed(words)
        names = {one.name for one in at_hand}
        with refusing():
            found = yield from search_steps(words, kind)
        return at_hand + [
            Listed(one.repo_id, "hub", found=one) for one in found if one.repo_id not in names
        ]

    def look(self, name: str) -> Generator[int, None, Repo]:
        """What a checkpoint is. Raises `Refusal`."""
        if name in self._own:
            folder = self._folder / name
            return look_into(folder, Found(name), bytes=_size(folder), is_pulled=True)
        with refusing():
            return (yield from look_steps(*parsed(name)))

    def pull(self, name: str) -> Generator[hub.Progress, None, None]:
        """Bring a repo and put it on the shelf. Raises `Refusal`; closing it ends it at once."""
        with refusing():
            repo_id, revision = parsed(name)
            path = yield from hub.pull_steps(repo_id, revision)
        self.shelf.add(name, self._loader(path, name))
        kept = 0
        for one in hub.pulled():  # the latest first
            kept += one.bytes
            if kept > MAX_KEPT_BYTES and _name(one) != name:
                self.remove(_name(one))

    def remove(self, name: str) -> None:
        """Take a repo from the shelf and from the disk. Raises `Refusal` while it is pulled."""
        with refusing():
            repo_id, revision = parsed(name)
            hub.remove(repo_id, revision)
        self.shelf.remove(name)

    def choices(self, chosen: str | None = None) -> Any:
        """An update of where a checkpoint is chosen: all on the shelf, and this one chosen."""
        names = list(self.shelf.names)
        value = {} if chosen is None else {"value": chosen}
        return gr.update(choices=names, visible=len(names) > 1, **value)

    def is_own(self, name: str) -> bool:
        """Whether it comes with the app, and so can be neither pulled nor removed."""
        return name in self._own


def parsed(name: str) -> tuple[str, str]:
    """The repo's id and the revision that a name stands for; an address of the Hub is one too."""
    name = name.strip()
    for start in ("https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"):
        if name.startswith(start):
            owner, _, rest = name.removeprefix(start).partition("/")
            title, _, tree = rest.partition("/tree/")
            name = f"{owner}/{title.strip('/')}" + (f"@{tree.strip('/')}" if tree else "")
    repo_id, _, revision = name.partition("@")
    return repo_id, revision or "main"


@contextmanager
def refusing() -> Iterator[None]:
    """Within it, what the library refuses is a `Refusal`."""
    try:
        yield
    except CheckpointError as error:
        raise refusal_of(error) from None


def refusal_of(error: CheckpointError) -> Refusal:
    """Its message under a key of ours, sizes and names fit to be read."""
    if not isinstance(error, hub.HubError):
        return Refusal("error_refused", reason=error)
    values = dict(error.values)
    for key in ("size", "limit", "free", "done"):
        if isinstance(values.get(key), int) and error.reason != "too_many_files":
            values[key] = readable(values[key])
    shown = {"repo_id": "", "revision": "", "file": "config.json"} | values
    shown["repo_id"] = shown["repo_id"] if isinstance(shown["repo_id"], str) else ""
    return Refusal(f"hub_{error.reason}", **{k: str(v)[:200] for k, v in shown.items()})


def readable(size: int) -> str:
    """A size in bytes, as people say it."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"


def _name(pulled: hub.Pulled) -> str:
    at = "" if pulled.revision == "main" else f"@{pulled.revision}"
    return pulled.repo_id + at


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
