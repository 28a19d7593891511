"""Pulls that are killed: the old or the new checkpoint, always whole, and no orphans."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.killed_saves import number_of, numbered
from tests.loopback_hub import Files, Handler, LoopbackHub, Reply
from tests.tiny_networks import files_of
from vq import hub
from vq.checkpoints import load
from vq.hub import cache

ROOT = Path(__file__).resolve().parent.parent
REPO = "somebody/numbered"


class Puller:
    """The process of tests/killed_pulls.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed_pulls"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        assert self.process.stdin
        print(REPO, file=self.process.stdin, flush=True)
        return int(self.answer())

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def kill(self, child: int) -> str:
        """Returns how the child had ended, once its client has as well."""
        try:
            clients = psutil.Process(child).children(recursive=True)
            os.kill(child, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError):
            clients = []
        _, alive = psutil.wait_procs(clients, timeout=30)
        assert [client for client in alive if client.status() != psutil.STATUS_ZOMBIE] == []
        return self.answer()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LoopbackHub, Puller]]:
    with LoopbackHub() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setenv("CODEBRUSH_CACHE", str(tmp_path_factory.mktemp("hub") / "cache"))
        puller = Puller()
        yield server, puller
        puller.process.communicate()


@pytest.fixture
def server(world: tuple[LoopbackHub, Puller]) -> LoopbackHub:
    """Without repos and faults, and with an empty cache."""
    server, _ = world
    server.repos.clear()
    server.faults.clear()
    hub.remove(REPO)
    return server


@pytest.fixture
def puller(world: tuple[LoopbackHub, Puller]) -> Puller:
    return world[1]


def files_numbered(number: int, folder: Path) -> Files:
    numbered(number).save(folder / str(number))
    return files_of(folder / str(number))


def held() -> int:
    """The number of the checkpoint in the cache, every part of which agrees on it."""
    found = cache.find(REPO, "main")
    assert found is not None
    return number_of(load(found[0]))


def leftovers() -> list[str]:
    keep = (".locks", ".client", f"{REPO.replace('/', '--')}@main")
    return [path.name for path in cache.root().iterdir() if path.name not in keep]


def test_killed_at_random_moments(server: LoopbackHub, puller: Puller, tmp_path: Path) -> None:
    draw = random.Random(0)
    server.add(REPO, files_numbered(0, tmp_path))
    before = len(server.requests)
    hub.pull(REPO)
    asked = len(server.requests) - before
    last, ended = 0, []
    for number, after in enumerate((0, 1, 2, 3, 5, 7, 9, asked, asked, asked), 1):
        server.add(REPO, files_numbered(number, tmp_path))
        before = len(server.requests)
        child = puller.start()
        while len(server.requests) < before + after:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.1))
        ended.append(puller.kill(child))
        assert held() in (last, number)
        last = held()
    assert "killed" in ended
    # and the next pull sweeps whatever they left
    server.add(REPO, files_numbered(11, tmp_path))
    hub.pull(REPO, refresh=True)
    assert held() == 11
    assert leftovers() == []


def test_killed_amid_a_file(server: LoopbackHub, puller: Puller, tmp_path: Path) -> None:
    """The old one stays, what had come is an orphan, and the next pull sweeps it."""
    arrived = threading.Event()

    def stop_half_way(handler: Handler, reply: Reply) -> None:
        handler.send_head(reply)
        handler.wfile.write(reply.body[:100])
        handler.wfile.flush()
        arrived.set()
        handler.hub.closing.wait(60)

    server.add(REPO, files_numbered(0, tmp_path))
    hub.pull(REPO)
    server.add(REPO, files_numbered(1, tmp_path))
    server.plant(f"GET /{REPO}/resolve/.*/autoencoder/model", stop_half_way)
    child = puller.start()
    assert arrived.wait(60)
    assert puller.kill(child) == "killed"
    assert held() == 0
    assert len(leftovers()) == 1
    server.faults.clear()
    hub.pull(REPO, refresh=True)
    assert held() == 1
    assert leftovers() == []


def test_killed_at_the_first_pull_leaves_nothing_to_be_found(
    server: LoopbackHub, puller: Puller, tmp_path: Path
) -> None:
    server.add(REPO, files_numbered(0, tmp_path))
    arrived = threading.Event()

    def stop(handler: Handler, reply: Reply) -> None:
        arrived.set()
        handler.hub.closing.wait(60)

    server.plant(f"GET /{REPO}/resolve/.*/masked/model", stop)
    child = puller.start()
    assert arrived.wait(60)
    assert puller.kill(child) == "killed"
    assert cache.find(REPO, "main") is None and hub.pulled() == []
