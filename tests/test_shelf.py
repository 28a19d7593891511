"""Which checkpoints there are: loaded when asked for, a few at a time, found by name and by id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.jobs import Refusal
from demo.shelf import MAX_LOADED, Shelf
from demo.studio import loader
from tests.fake_studio import FakeStudio
from tests.tiny_checkpoint import tiny_checkpoint


def studio(number: int) -> FakeStudio:
    return FakeStudio(name=f"number {number}", checkpoint=f"{number:012}")


def counting(loads: list[int], number: int) -> Callable[[], FakeStudio]:
    def load() -> FakeStudio:
        loads.append(number)
        return studio(number)

    return load


def shelf_of(count: int, loads: list[int]) -> Shelf:
    return Shelf({f"number {i}": counting(loads, i) for i in range(count)})


def test_a_checkpoint_is_loaded_when_it_is_first_asked_for() -> None:
    loads: list[int] = []
    shelf = shelf_of(3, loads)
    assert shelf.names == ("number 0", "number 1", "number 2") and loads == []
    assert shelf.get("number 1") is shelf.get("number 1")
    assert shelf.default.describe().name == "number 0"
    assert loads == [1, 0]


def test_the_one_that_was_used_least_lately_makes_room() -> None:
    loads: list[int] = []
    shelf = shelf_of(MAX_LOADED + 1, loads)
    for i in range(MAX_LOADED):
        shelf.get(f"number {i}")
    shelf.get("number 0")
    shelf.get(f"number {MAX_LOADED}")  # takes the place of number 1
    loads.clear()
    shelf.get("number 0")
    shelf.get("number 1")
    assert loads == [1]


def test_it_is_found_by_the_id_that_its_codes_carry() -> None:
    shelf = shelf_of(3, [])
    assert shelf.holding("000000000002").describe().name == "number 2"
    with pytest.raises(Refusal) as refused:
        shelf.holding("ba9876543210")
    assert "000000000001" in str(refused.value.values["checkpoint"])


@pytest.mark.parametrize("name", ["number 3", "../number 1", None, 1, ["number 1"]])
def test_a_name_that_is_not_there_is_refused_with_those_that_are(name: object) -> None:
    with pytest.raises(Refusal) as refused:
        shelf_of(2, []).get(name)
    assert refused.value.key == "error_choice"
    assert refused.value.values["known"] == "number 0, number 1"


def test_what_fails_to_load_is_not_on_the_shelf() -> None:
    def broken() -> FakeStudio:
        raise Refusal("error_refused", reason="no weights")

    shelf = shelf_of(1, [])
    with pytest.raises(Refusal, match="no weights"):
        shelf.add("broken", broken)
    assert shelf.names == ("number 0",)


def test_one_is_added_and_taken_away_while_someone_uses_it() -> None:
    shelf = shelf_of(1, [])
    new = shelf.add("number 7", lambda: studio(7))
    assert list(shelf.names) == ["number 0", "number 7"] and shelf.get("number 7") is new
    shelf.remove("number 7")
    shelf.remove("number 7")
    assert list(shelf.names) == ["number 0"]
    assert shelf.get("number 7") is new  # as long as there is room
    for i in range(MAX_LOADED):
        shelf.add(f"other {i}", lambda: studio(0))
    shelf.get("other 0")
    with pytest.raises(Refusal):
        shelf.get("number 7")
    with pytest.raises(ValueError, match="number 0 is the default"):
        shelf.remove("number 0")


def test_many_at_once_load_it_once() -> None:
    loads: list[int] = []
    shelf, start = shelf_of(1, loads), threading.Barrier(8)

    def ask() -> None:
        start.wait()
        shelf.get("number 0")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [0]


def test_a_folder_of_checkpoints_becomes_a_shelf(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    for name in ("another", "scenes-128", "broken"):
        checkpoint.save(tmp_path / name)
    (tmp_path / "broken" / "autoencoder" / "config.json").write_text("{}")
    (tmp_path / "no-checkpoint").mkdir()
    found = Shelf.of_folder(loader, tmp_path)
    assert found.names == ("scenes-128", "another", "broken")
    assert found.default.describe().name == "scenes-128"
    assert found.get("another").describe().num_codes == checkpoint.num_codes
    with pytest.raises(Refusal, match="config"):
        found.get("broken")
    (tmp_path / "scenes-128").rename(tmp_path / "gone")
    with pytest.raises(Refusal, match="scenes-128"):
        Shelf.of_folder(loader, tmp_path)
