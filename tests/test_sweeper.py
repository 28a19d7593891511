"""The sweeper, on real files: by itself, and behind the app."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from demo.sweeper import Sweeper
from tests.fake_studio import FakeStudio
from tests.running_app import running_app

if TYPE_CHECKING:
    from demo.blocks import Blocks

OLDEST, YOUNGEST, MOST = 1000.0, 100.0, 50


def sweeper(folder: Path, **options: Any) -> Sweeper:
    return Sweeper(folder, **{"oldest": OLDEST, "youngest": YOUNGEST, "most": MOST, **options})


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"x" * size)
    return path


def age(path: Path) -> float:
    """When it was made: `age(path) + 10` is ten seconds later."""
    about = path.stat()
    return max(about.st_mtime, about.st_ctime)


def test_a_file_goes_when_it_is_old_and_its_folder_later(tmp_path: Path) -> None:
    file = write(tmp_path / "hash" / "a.png", 10)
    sweep = sweeper(tmp_path).sweep
    assert sweep(age(file) + OLDEST - 1) == 10 and file.exists()
    assert sweep(age(file) + OLDEST + 1) == 0 and not file.exists()
    assert file.parent.exists()  # another may be on its way there
    emptied = file.parent.stat().st_mtime
    sweep(emptied + YOUNGEST - 1)
    assert file.parent.exists()
    sweep(emptied + YOUNGEST + 1)
    assert not file.parent.exists() and tmp_path.exists()


def test_a_file_that_was_moved_here_counts_from_then(tmp_path: Path) -> None:
    """Gradio moves an upload to its place; a copy may keep the time of what it is a copy of."""
    file = write(tmp_path / "a.png", 10)
    os.utime(file, (0, 0))
    assert sweeper(tmp_path).sweep() == 10


def test_above_the_limit_the_oldest_go_and_none_that_is_young(tmp_path: Path) -> None:
    files = []
    for i in range(6):
        files.append(write(tmp_path / str(i) / "a.png", 20))
        until = age(files[-1])
        while age(write(tmp_path / "clock", 0)) <= until:  # a tick of the file system later
            pass
    (tmp_path / "clock").unlink()
    now = age(files[-1]) + YOUNGEST + 1
    assert sweeper(tmp_path).sweep(age(files[0]) + YOUNGEST - 1) == 120  # all young
    assert sweeper(tmp_path).sweep(now) == 40
    assert [file.exists() for file in files] == [False] * 4 + [True] * 2
    assert sweeper(tmp_path).sweep(now) == 40


def test_what_is_in_use_stays_and_others_go_instead(tmp_path: Path) -> None:
    first, second, third = (write(tmp_path / name, 30) for name in "abc")
    used = {first.resolve()}
    with second.open("rb"):
        assert sweeper(tmp_path, in_use=lambda: used).sweep(age(third) + OLDEST + 1) == 60
    assert first.exists() and second.exists() and not third.exists()
    used.clear()
    assert sweeper(tmp_path, in_use=lambda: used).sweep(age(second) + OLDEST + 1) == 0


def test_by_default_it_leaves_half_of_the_free_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, most in ((3_000, 1_500), (10**12, 10**10)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert Sweeper(tmp_path / "new").most == most


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "a.png", 30)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "away").symlink_to(outside.parent)
    sweeper(folder).sweep(time.time() + OLDEST + 1)
    assert outside.exists() and not (folder / "link").is_symlink()


def test_what_is_let_in_is_counted_before_it_is_there(tmp_path: Path) -> None:
    door = sweeper(tmp_path)
    assert door.let_in(30) and door.let_in(20) and not door.let_in(1)
    door.arrived(30)  # it was broken off: nothing is there
    assert door.let_in(30) and not door.let_in(1)
    write(tmp_path / "a", 20)
    door.arrived(20)
    assert not door.let_in(1)
    door.arrived(30)
    assert door.let_in(30) and not door.let_in(1)  # the file is too young to go
    door.arrived(30)
    (tmp_path / "a").unlink()
    assert door.let_in(50)


def test_it_sweeps_in_a_thread_until_it_is_stopped(tmp_path: Path) -> None:
    swept = threading.Semaphore(0)
    failing = iter([True])

    class Watched(Sweeper):
        def sweep(self, now: float | None = None) -> int:
            swept.release()
            if next(failing, False):
                raise OSError("once")
            return super().sweep(now)

    thread = Watched(tmp_path, every=0.01)
    thread.start()
    (alive,) = (t for t in threading.enumerate() if t.name == "sweeper" and t.is_alive())
    assert alive.daemon
    assert swept.acquire(timeout=60) and swept.acquire(timeout=60)  # it outlives a failure
    thread.stop()
    alive.join(60)
    assert not alive.is_alive()


def test_behind_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken-off upload and a made picture go; examples and what a job waits for stay."""
    from gradio_client import Client, handle_file

    built: list[Blocks] = []
    from demo import page

    build = page.build

    def keeping(*args: Any) -> Any:
        built.append(build(*args))
        return built[-1]

    monkeypatch.setattr(page, "build", keeping)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    mask = np.full((32, 32), 255, np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    studio, folder = FakeStudio(), tmp_path / "gradio"
    with running_app(studio, folder) as url:
        sweep = built[0].sweeper
        assert sweep is not None and sweep.folder == folder.resolve()
        examples = set(names(folder))
        assert examples  # those of the Edit tab
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as broken_off:
            broken_off.sendall(
                b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
                b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
                + b"x"
                * 50_000
            )
            left = wait_for(lambda: set(names(folder)) - examples)
            assert later(sweep) >= 0 and set(names(folder)) == examples | left  # it may still come
        wait_for(lambda: later(sweep) >= 0 and set(names(folder)) == examples)

        client = Client(url, verbose=False, analytics_enabled=False, download_files=False)
        asked = {name: handle_file(tmp_path / f"{name}.png") for name in ("picture", "mask")}
        held = threading.Event()
        go_on = threading.Event()
        inpaint = studio.inpaint

        def holding(*args: Any) -> Any:
            held.set()
            assert go_on.wait(60)
            return inpaint(*args)

        monkeypatch.setattr(studio, "inpaint", holding)
        running = client.submit(**asked, seed=1, api_name="/inpaint")
        assert held.wait(60)
        waiting = client.submit(**asked, seed=2, api_name="/inpaint")
        wait_for(lambda: waiting.status().code.name == "IN_QUEUE")
        uploads = set(names(folder)) - examples
        assert {Path(name).name for name in uploads} == {"picture.png", "mask.png"}
        later(sweep)
        assert set(names(folder)) == examples | uploads
        go_on.set()
        running.result(60)
        waiting.result(60)
        assert set(names(folder)) > examples | uploads
        wait_for(lambda: later(sweep) >= 0 and set(names(folder)) == examples)
        client.close()


def test_a_folder_that_other_apps_share_is_not_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    from demo import page
    from demo.shelf import Shelf

    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    demo = page.build(Shelf.of(FakeStudio()))
    demo.launch(**page.LAUNCH, server_name="127.0.0.1", quiet=True, prevent_thread_lock=True)
    try:
        assert demo.sweeper is None
    finally:
        demo.close()


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def later(sweep: Sweeper) -> int:
    """A sweep as it will be in three hours."""
    return sweep.sweep(time.time() + 3 * 3600)


def wait_for(found: Any) -> Any:
    for _ in range(600):
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError("it did not come")
