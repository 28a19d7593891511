"""CIFAR-10 (Krizhevsky 2009): 50,000 pictures of 32x32 to train on, 10,000 to test with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vq.data import DataError, Pictures, load_pictures

SIDE = 32
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
SHEETS = {"train": tuple(f"data_batch_{i}.webp" for i in range(1, 6)), "test": ("test_batch.webp",)}


def load_cifar10(root: Path, split: str) -> Pictures:
    """The "train" or "test" pictures, in the official order, from the folder root/cifar10.

    It holds the official batches as torchvision's CIFAR10 keeps them (which downloads them if
    the folder is missing); or lossless sheets, data_batch_1.webp and so on: a grid of pictures,
    row by row, with labels.npy of all, training pictures first; or folders of picture files,
    train/CLASS/ and test/CLASS/. Raises DataError if it is none of these.
    """
    folder = root / "cifar10"
    if (folder / SHEETS["test"][0]).exists():
        return _from_sheets(folder, split)
    if (folder / split).is_dir():
        return load_pictures(folder, split, size=SIDE)
    from torchvision.datasets import CIFAR10

    try:
        data = CIFAR10(str(folder), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"no CIFAR-10 in {folder}, and it cannot be downloaded: {error}") from error
    return Pictures(np.asarray(data.data), np.asarray(data.targets, np.int64), tuple(data.classes))


def _from_sheets(folder: Path, split: str) -> Pictures:
    parts = []
    for name in SHEETS[split]:
        try:
            with Image.open(folder / name) as picture:
                sheet = np.asarray(picture.convert("RGB"))
        except OSError as error:
            raise DataError(f"{folder / name}: {error}") from error
        if sheet.shape[0] % SIDE or sheet.shape[1] % SIDE:
            raise DataError(f"{folder / name}: not a grid of {SIDE}x{SIDE} pictures")
        rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
        cells = sheet.reshape(rows, SIDE, columns, SIDE, 3).swapaxes(1, 2)
        parts.append(cells.reshape(-1, SIDE, SIDE, 3))
    pixels = np.concatenate(parts)
    labels = np.load(folder / "labels.npy").astype(np.int64)
    labels = labels[: len(pixels)] if split == "train" else labels[-len(pixels) :]
    return Pictures(pixels, labels, CLASSES)
