"""CIFAR-10 from each of the layouts it may have."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from vq.cifar import CLASSES, SHEETS, load_cifar10
from vq.data import DataError


def write_sheets(folder: Path, each: int = 6) -> np.ndarray:
    """Sheets of 2x3 random pictures; returns all pictures in order, training ones first."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6 * each, 32, 32, 3), np.uint8)
    for i, name in enumerate((*SHEETS["train"], *SHEETS["test"])):
        batch = pictures[i * each : (i + 1) * each]
        rows = [np.concatenate(list(batch[r : r + 3]), 1) for r in (0, 3)]
        Image.fromarray(np.concatenate(rows)).save(folder / name, lossless=True)
    np.save(folder / "labels.npy", (np.arange(len(pictures)) % 10).astype(np.uint8))
    return pictures


def test_sheets(tmp_path: Path) -> None:
    pictures = write_sheets(tmp_path / "cifar10")
    train, test = (load_cifar10(tmp_path, split) for split in ("train", "test"))
    assert np.array_equal(train.pixels, pictures[:30])
    assert np.array_equal(test.pixels, pictures[30:])
    assert train.labels.tolist() == [i % 10 for i in range(30)]
    assert test.labels.tolist() == [i % 10 for i in range(30, 36)]
    assert test.label_names == CLASSES


def test_sheets_that_are_none(tmp_path: Path) -> None:
    write_sheets(tmp_path / "cifar10")
    name = SHEETS["test"][0]
    Image.new("RGB", (33, 32)).save(tmp_path / "cifar10" / name)
    with pytest.raises(DataError, match=f"{name}: not a grid"):
        load_cifar10(tmp_path, "test")
    (tmp_path / "cifar10" / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=name):
        load_cifar10(tmp_path, "test")


def test_folders_of_files(tmp_path: Path) -> None:
    for split, value in (("train", 10), ("test", 20)):
        (tmp_path / "cifar10" / split / "cat").mkdir(parents=True)
        Image.new("RGB", (32, 32), (value, 0, 0)).save(tmp_path / "cifar10" / split / "cat/a.png")
    data = load_cifar10(tmp_path, "test")
    assert data.pixels[0, 0, 0, 0] == 20 and data.label_names == ("cat",)


def test_torchvisions_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pickles, read by torchvision itself; only the check of their md5 sums is left out."""
    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    batches = {n: rng.integers(0, 256, (2, 3, 32, 32), np.uint8) for n in names}
    for name, pixels in batches.items():
        content = {"data": pixels.reshape(2, -1), "labels": [3, 9]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    module: Any = torchvision.datasets.cifar
    monkeypatch.setattr(module, "check_integrity", lambda *_: True)
    monkeypatch.setattr(module.CIFAR10, "_check_integrity", lambda _: True)
    test = load_cifar10(tmp_path, "test")
    assert np.array_equal(test.pixels, batches["test_batch"].transpose(0, 2, 3, 1))
    assert test.labels.tolist() == [3, 9] and test.label_names == CLASSES
    assert len(load_cifar10(tmp_path, "train")) == 10


def test_no_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", offline)
    with pytest.raises(DataError, match="cannot be downloaded: no network"):
        load_cifar10(tmp_path, "train")
