"""Data sets: layouts, labels, batches that a resumed or shared run would see again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vq.data import DataError, batch_indices, join, load_pictures, random_crops, step_generator


def make(root: Path, files: dict[str, tuple[int, int]]) -> None:
    for value, (name, size) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (value * 10, 0, 0)).save(path)


FILES = {
    "train/sea/b.png": (16, 16),
    "train/sea/a.png": (16, 16),
    "train/forest/c.png": (16, 16),
    "test/sea/d.png": (16, 16),
}


def as_zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


@pytest.mark.parametrize("packed", [False, True])
def test_folder_and_zip_give_the_same_pictures_in_order_of_name(
    tmp_path: Path, packed: bool
) -> None:
    make(tmp_path / "set", FILES)
    (tmp_path / "set" / "train" / "notes.txt").write_text("not a picture")
    source = as_zip(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set"
    data = load_pictures(source, "train", size=16)
    assert data.label_names == ("forest", "sea")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.pixels[:, 0, 0, 0].tolist() == [20, 10, 0]
    assert data.tensor(slice(0, 2)).shape == (2, 3, 16, 16)
    assert float(data.tensor(slice(0, 1)).max()) == pytest.approx(20 / 255)


def test_pictures_without_classes_have_label_minus_one(tmp_path: Path) -> None:
    make(tmp_path, {"x.png": (8, 8)})
    data = load_pictures(tmp_path, size=8)
    assert data.label_names == ()
    assert data.labels.tolist() == [-1]


def test_the_middle_square_is_used(tmp_path: Path) -> None:
    picture = Image.new("RGB", (48, 16), (255, 0, 0))
    picture.paste((0, 0, 255), (16, 0, 32, 16))
    picture.save(tmp_path / "x.png")
    assert (load_pictures(tmp_path, size=16).pixels[0] == (0, 0, 255)).all()


def test_a_limit_keeps_every_class(tmp_path: Path) -> None:
    make(tmp_path, {f"{c}/{i}.png": (8, 8) for c in "abcd" for i in range(10)})
    data = load_pictures(tmp_path, size=8, limit=8)
    assert np.bincount(data.labels).tolist() == [2, 2, 2, 2]


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load_pictures(tmp_path / "missing")
    with pytest.raises(DataError, match="no pictures"):
        load_pictures(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        load_pictures(tmp_path / "x.zip")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"x\.png"):
        load_pictures(tmp_path / "bad")


def test_joined_sets_share_class_names(tmp_path: Path) -> None:
    make(tmp_path, {"one/sea/a.png": (8, 8), "two/forest/b.png": (8, 8), "two/sea/c.png": (8, 8)})
    make(tmp_path, {"three/d.png": (8, 8)})
    data = join([load_pictures(tmp_path, s, size=8) for s in ("one", "two", "three")])
    assert [data.label_names[i] if i >= 0 else None for i in data.labels] == [
        "sea",
        "forest",
        "sea",
        None,
    ]


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_pass_shows_each_picture_once(n: int, batch: int, seed: int) -> None:
    steps = -(-3 * n // batch)
    stream = np.concatenate([batch_indices(n, seed, s, batch) for s in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))


def test_crops_are_parts_of_their_pictures_in_every_place() -> None:
    pixels = np.arange(6 * 7, dtype=np.uint8).reshape(1, 6, 7, 1) + np.zeros((1, 1, 1, 3), np.uint8)
    seen = set()
    for step in range(400):
        crop = random_crops(pixels, 4, step_generator(0, step))[0, ..., 0]
        straight = crop if crop[0, 0] < crop[0, 1] else crop[:, ::-1]
        top, left = divmod(int(straight[0, 0]), 7)
        assert np.array_equal(straight, pixels[0, top : top + 4, left : left + 4, 0])
        seen.add((top, left, straight is crop))
    assert len(seen) == 3 * 4 * 2
    with pytest.raises(ValueError, match="do not fit"):
        random_crops(pixels, 7, step_generator(0, 0))
