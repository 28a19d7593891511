"""Saves that are killed: the old or the new, always whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.killed_saves import number_of, numbered
from tests.tiny_networks import files_of
from vq import atomic, checkpoints
from vq.checkpoints import CheckpointError, load

ROOT = Path(__file__).resolve().parent.parent


class Saver:
    """The process of tests/killed_saves.py."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed_saves", way],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, *words: object) -> str:
        assert self.process.stdin
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    @contextmanager
    def saving(self, first: int, target: Path) -> Iterator[None]:
        """Meanwhile a child saves checkpoints numbered from `first`; then it is killed."""
        child = int(self.order("save", first, target))
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            assert self.answer() == "killed"

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module", params=["exchange", "renames"])
def saver(request: pytest.FixtureRequest) -> Iterator[Saver]:
    process = Saver(request.param)
    yield process
    process.close()


def read(target: Path) -> int:
    """The number of a checkpoint that is being saved over, perhaps faster than it can be read."""
    while True:
        try:
            return number_of(load(target))
        except CheckpointError as error:
            if "try again" not in str(error):
                raise


def test_killed_at_random_moments(saver: Saver, tmp_path: Path) -> None:
    target = tmp_path / "c"
    draw = random.Random(0)
    numbered(0).save(target)
    last = 0
    for _ in range(8):  # and as many in the other way of saving
        with saver.saving(last + 1, target):
            while read(target) == last:  # until it has come to saving, however slowly
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.03))
        assert number_of(load(target)) > last
        last = number_of(load(target))


def test_killed_before_every_operation(saver: Saver, tmp_path: Path) -> None:
    """Every state of the disk between two operations is met; each is the old or the new."""
    target = tmp_path / "c"
    found, missing = [], 0
    for operation in range(1, 500):
        numbered(0).save(target)
        answer = saver.order("die", operation, target)
        missing += not target.exists()
        found.append(number_of(load(target)))
        if answer == "saved":
            break
    assert answer == "saved"
    # From one moment on, and never before it, it is the new one.
    assert found == sorted(found)
    assert {0, 1} == set(found)
    # Where folders cannot be exchanged, the moment between the two renames was met as well.
    assert missing == (saver.way == "renames")
    # And from every such state, the next save worked and left nothing unexpected behind
    numbered(2).save(target)
    assert number_of(load(target)) == 2
    assert not atomic.whole_folder(target).name.startswith(".")
    assert all(path.name == "c" or path.name.endswith(".saving") for path in tmp_path.iterdir())


def test_read_while_it_is_saved_over(saver: Saver, tmp_path: Path) -> None:
    """A reader never mixes two checkpoints, and time goes one way."""
    target = tmp_path / "c"
    numbered(0).save(target)
    with saver.saving(1, target):
        found = [read(target) for _ in range(60)]
    assert found == sorted(found)


def test_read_just_as_it_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot be exchanged, it may be gone once it is known where it is."""
    target = tmp_path / "c"
    numbered(7).save(target)
    found = iter([tmp_path / "gone", target])
    monkeypatch.setattr(checkpoints, "whole_folder", lambda path: next(found))
    assert number_of(load(target)) == 7


def test_first_save_killed_leaves_nothing_or_all(saver: Saver, tmp_path: Path) -> None:
    for operation in range(1, 500):
        target = tmp_path / str(operation)
        answer = saver.order("die", operation, target)
        if target.exists():
            assert number_of(load(target)) == 1
        if answer == "saved":
            break
    assert target.exists()


def test_leftovers_are_swept_after_an_hour(tmp_path: Path) -> None:
    leftovers = [tmp_path / f".c.{n}-abcd.saving" for n in (1, 2)]
    others = [tmp_path / ".d.1-abcd.saving", tmp_path / ".c.notes", tmp_path / "c.saving"]
    for folder in leftovers + others:
        folder.mkdir()
        (folder / "file").write_text("x")
    for folder in [leftovers[0], *others]:
        old = time.time() - atomic.LEFTOVER_AGE - 60
        os.utime(folder, (old, old))
    numbered(0).save(tmp_path / "c")
    assert not leftovers[0].exists()
    assert leftovers[1].exists()  # another process may be writing it
    assert all((folder / "file").exists() for folder in others)


def test_a_save_that_fails_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "file").write_text("old")
    with (
        pytest.raises(OSError, match="disk full"),
        atomic.replacing_folder(tmp_path / "c") as folder,
    ):
        atomic.write_file(folder / "file", b"new")
        raise OSError("disk full")
    assert files_of(tmp_path) == {"c/file": b"old"}


def test_write_file(tmp_path: Path) -> None:
    atomic.write_file(tmp_path / "a", b"old")
    atomic.write_file(tmp_path / "a", b"new")
    assert files_of(tmp_path) == {"a": b"new"}
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        atomic.write_file(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]


def test_write_json(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"이름": [1.5, None]})
    assert (tmp_path / "a.json").read_text(
        "utf-8"
    ) == '{\n  "이름": [\n    1.5,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text("utf-8").startswith("{")


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_folders_are_exchanged_in_one_step_where_the_system_can(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    assert atomic._exchange(tmp_path / "a", tmp_path / "b")
    assert files_of(tmp_path) == {"a/b": b"b", "b/a": b"a"}
    assert not atomic._exchange(tmp_path / "a", tmp_path / "nowhere")
