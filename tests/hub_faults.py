"""Every way in which a Hub can fail a pull, and how each must end.

python -m tests.hub_faults         the table of them, with seconds and messages
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import loopback_hub
from tests.loopback_hub import Files, LoopbackHub, Reply, status
from tests.tiny_networks import files_of, tiny_checkpoint
from vq import hub
from vq.hub import pulling

REPO = "somebody/tiny"
WEIGHTS = f"GET /{REPO}/resolve/.*/masked/model.safetensors"
CONFIG = f"GET /{REPO}/resolve/.*/masked/config.json"
HEAD = f"HEAD /{REPO}/resolve/.*/masked/model.safetensors"
LISTING = f"GET /api/models/{REPO}"
CARD = "---\nlicense: mit\nlibrary_name: codebrush\ntags: [codebrush]\n---\n# Tiny\n"


def tiny_files(seed: int = 0) -> Files:
    """The files of a checkpoint that is different for every seed."""
    with tempfile.TemporaryDirectory() as folder:
        tiny_checkpoint(card=CARD, seed=seed).save(folder)
        return files_of(Path(folder))


@dataclass(frozen=True)
class Case:
    """A Hub on which `REPO` stands, made to fail: how the pull ends, and within what deadline."""

    reason: str
    message: str
    prepare: Callable[[LoopbackHub], object]
    deadline: float = 30.0


def planted(where: str, fault: loopback_hub.Fault, times: int = 10**6) -> Callable[..., object]:
    return lambda server: server.plant(where, fault, times)


def holding(**changes: bytes | None) -> Callable[[LoopbackHub], object]:
    """The repo's new commit has other files; `__` stands for a slash and `_dot_` for a dot."""

    def prepare(server: LoopbackHub) -> None:
        files = tiny_files(1)
        for name, data in changes.items():
            name = name.replace("__", "/").replace("_dot_", ".")
            files.pop(name, None)
            if data is not None:
                files[name] = data
        server.add(REPO, files)

    return prepare


def set_field(name: str) -> Callable[[LoopbackHub], object]:
    return lambda server: setattr(server.repos[REPO], name, True)


def nobody_there(server: LoopbackHub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{free.getsockname()[1]}"


def offline(server: LoopbackHub) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"


def little_room(server: LoopbackHub) -> None:
    pulling.RESERVE = 2**60


CASES: dict[str, Case] = {
    "missing": Case(
        "private", "does not exist on the Hub, or is private", lambda s: s.repos.clear()
    ),
    "missing, and the Hub says so": Case(
        "missing",
        "no repo somebody/tiny",
        planted(LISTING, lambda h, r: h.send(loopback_hub.error(404, "RepoNotFound"))),
    ),
    "private": Case("private", "or is private", set_field("private")),
    "gated": Case("gated", "is gated", set_field("gated")),
    "wrong revision": Case(
        "no_revision", "no revision main", lambda s: s.repos[REPO].branches.clear()
    ),
    "missing file": Case(
        "no_file", "not there: masked/model", planted(HEAD, loopback_hub.missing_file)
    ),
    "forbidden": Case("denied", "does not allow", planted(LISTING, status(403))),
    "429 with an hour to wait": Case(
        "rate_limited", "after 3600 s", planted(LISTING, status(429, Retry_After="3600"))
    ),
    "429 amid the files": Case(
        "rate_limited", "after 3600 s", planted(WEIGHTS, status(429, Retry_After="3600"))
    ),
    "429 without end": Case(
        "rate_limited", "after 0 s", planted(HEAD, status(429, Retry_After="0"))
    ),
    "503": Case("server_error", "HTTP status 503", planted(LISTING, status(503))),
    "500 amid the files": Case("server_error", "HTTP status 500", planted(WEIGHTS, status(500))),
    "502 without end": Case("server_error", "HTTP status 502", planted(HEAD, status(502))),
    "hang": Case("hang", "stopped answering", planted(LISTING, loopback_hub.hang), 3),
    "hang amid the files": Case(
        "hang", "stopped answering", planted(WEIGHTS, loopback_hub.hang), 3
    ),
    "slow drip": Case("slow", "too slow: only", planted(WEIGHTS, loopback_hub.drip), 6),
    "truncation": Case(
        "truncated", "only a part of masked/model", planted(WEIGHTS, loopback_hub.cut)
    ),
    "truncated listing": Case(
        "truncated", "only a part of its answer", planted(LISTING, loopback_hub.cut)
    ),
    "shorter than listed": Case(
        "truncated", "only a part of masked/model", planted(WEIGHTS, loopback_hub.shorter)
    ),
    "longer than listed": Case(
        "corrupt", "as masked/model.* is not", planted(WEIGHTS, loopback_hub.endless)
    ),
    "endless listing": Case("too_large", "at most 8,000", planted(LISTING, loopback_hub.endless)),
    "wrong bytes of the right size": Case(
        "corrupt", "as masked/model.* is not", planted(WEIGHTS, loopback_hub.altered)
    ),
    "wrong bytes, not in LFS": Case(
        "corrupt", "as masked/config.json is not", planted(CONFIG, loopback_hub.altered)
    ),
    "redirect loop": Case("redirects", "back again", planted(LISTING, loopback_hub.in_circles)),
    "redirect loop amid the files": Case(
        "redirects", "back again", planted(WEIGHTS, loopback_hub.in_circles)
    ),
    "a page that is no Hub's": Case(
        "failed",
        "could not be asked: JSONDecodeError",
        planted(LISTING, lambda h, r: h.send(Reply(200, b"<html>"))),
    ),
    "no Hub at all": Case("unreachable", "cannot be reached", nobody_there),
    "offline": Case("offline", "HF_HUB_OFFLINE is set", offline),
    "not a checkpoint": Case(
        "not_a_checkpoint", "no checkpoint: neither", holding(autoencoder__config_dot_json=None)
    ),
    "another type of network": Case(
        "unsound",
        "masked/config.json: the type of a prior",
        holding(masked__config_dot_json=b'{"type": "os.system"}'),
    ),
    "unsound weights": Case(
        "unsound",
        "masked/model.safetensors: not a whole safetensors",
        holding(masked__model_dot_safetensors=b"x"),
    ),
    "a file too large": Case(
        "too_large", "at most 65,536", holding(masked__config_dot_json=b" " * 65_537)
    ),
    "too many files": Case(
        "too_many_files",
        "files of a checkpoint; at most 256",
        holding(**{f"m{n}__config_dot_json": b"{}" for n in range(300)}),
    ),
    "no room on the disk": Case("no_space", "0 are free", little_room),
}


def main() -> None:
    """Meet each fault with the deadline that users have, and say how it ended."""
    files = tiny_files()
    print("| fault | seconds | ends with |\n| --- | ---: | --- |")
    for name, case in CASES.items():
        with (
            tempfile.TemporaryDirectory() as cache,
            pytest.MonkeyPatch.context() as patch,
            LoopbackHub() as server,
        ):
            patch.setenv("CODEBRUSH_CACHE", cache)
            patch.setenv("HF_ENDPOINT", server.url)
            patch.setenv("HF_HUB_OFFLINE", "0")
            patch.setattr(pulling, "RESERVE", pulling.RESERVE)
            server.add(REPO, files)
            case.prepare(server)
            began = time.monotonic()
            try:
                ended = str(hub.pull(REPO))
            except hub.HubError as error:
                ended = str(error)
            print(f"| {name} | {time.monotonic() - began:.1f} | {ended} |", flush=True)


if __name__ == "__main__":
    main()
