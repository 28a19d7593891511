"""Pictures for training and evaluation: a folder or a zip of files, held in memory as bytes.

A data set is laid out as torchvision's ImageFolder is: `SPLIT/CLASS/file`, `CLASS/file`, or
files alone. Batches are drawn by step number from a seed, so that a run resumed at a step, or
shared between processes, sees the very batches that one uninterrupted run would have seen.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vq.pictures import PictureError, read_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class DataError(ValueError):
    """A data set that cannot be read as one."""


@dataclass(frozen=True)
class Pictures:
    """N pictures of one size. `labels[i]` indexes `label_names`; -1 where there is no class."""

    pixels: np.ndarray  # (N, H, W, 3) uint8
    labels: np.ndarray  # (N,) int64
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def tensor(self, index: slice | np.ndarray) -> Tensor:
        """float32 (n, 3, H, W) in [0, 1], channels last in memory."""
        pixels = np.ascontiguousarray(self.pixels[index])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def load_pictures(
    path: str | Path, split: str | None = None, *, size: int = 128, limit: int | None = None
) -> Pictures:
    """Read a folder or zip of pictures, each resized and centre-cropped to size x size.

    `split` is a sub-folder of it. With `limit`, that many pictures spread evenly over the
    sorted names, so that every class keeps its share. Raises DataError if there is no
    picture to read, or one cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"no such folder or zip file: {path}")
    if path.is_dir():
        return _load(_Folder(path), split, size, limit)
    try:
        with zipfile.ZipFile(path) as archive:
            return _load(_Zip(archive), split, size, limit)
    except zipfile.BadZipFile:
        raise DataError(f"neither a folder nor a zip file: {path}") from None


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive, self.names = archive, archive.namelist()

    def read(self, name: str) -> bytes:
        return self.archive.read(name)


def _load(source: _Folder | _Zip, split: str | None, size: int, limit: int | None) -> Pictures:
    names = sorted(n for n in source.names if PurePosixPath(n).suffix.lower() in SUFFIXES)
    if split:
        names = [n for n in names if n.startswith(split.strip("/") + "/")]
    if not names:
        raise DataError(
            f"no pictures{f' in {split}/' if split else ''}: look for {sorted(SUFFIXES)}"
        )
    if limit is not None and limit < len(names):
        names = [names[i] for i in np.linspace(0, len(names) - 1, limit).round().astype(int)]
    skip = len(PurePosixPath(split).parts) if split else 0
    classes = [parents[0] if (parents := PurePosixPath(n).parts[skip:-1]) else None for n in names]
    label_names = tuple(sorted({c for c in classes if c is not None}))
    index = {name: i for i, name in enumerate(label_names)}
    pixels = np.empty((len(names), size, size, 3), np.uint8)

    def read(i: int) -> None:
        try:
            pixels[i] = square(read_picture(source.read(names[i])), size)
        except PictureError as error:
            raise DataError(f"{names[i]}: {error}") from error

    # Reading from a zip takes turns on its one file; Pillow decodes without the interpreter lock.
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(len(names))))
    labels = np.array([index.get(c, -1) for c in classes], np.int64)  # type: ignore[arg-type]
    return Pictures(pixels, labels, label_names)


def square(picture: Image.Image, size: int) -> np.ndarray:
    """The largest centred square of a picture, resized to (size, size, 3) uint8."""
    side = min(picture.size)
    if picture.size != (size, size):
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.asarray(picture)


def join(parts: Sequence[Pictures]) -> Pictures:
    """Several data sets as one; equal class names are one class."""
    names = tuple(dict.fromkeys(n for part in parts for n in part.label_names))
    index = {name: i for i, name in enumerate(names)}
    labels = []
    for part in parts:
        # The last entry serves label -1, "no class".
        table = np.array([index[n] for n in part.label_names] + [-1], np.int64)
        labels.append(table[part.labels])
    return Pictures(np.concatenate([p.pixels for p in parts]), np.concatenate(labels), names)


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one training step: the same whenever and wherever it is run."""
    return np.random.default_rng((seed, step))


def batch_indices(n: int, seed: int, step: int, batch: int) -> np.ndarray:
    """`batch` indices below n for a step: shuffled passes over the data, none left out."""
    start = step * batch
    indices = np.empty(batch, np.int64)
    filled = 0
    while filled < batch:
        epoch, offset = divmod(start + filled, n)
        order = np.random.default_rng((seed, epoch, 0x5EED)).permutation(n)
        part = order[offset : offset + batch - filled]
        indices[filled : filled + len(part)] = part
        filled += len(part)
    return indices


def random_crops(pixels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random size x size crop of each picture (N, H, W, 3), mirrored half of the time."""
    n, height, width, _ = pixels.shape
    if size > min(height, width):
        raise ValueError(f"crops of {size} pixels do not fit pictures of {width}x{height}")
    tops = rng.integers(0, height - size + 1, n)
    lefts = rng.integers(0, width - size + 1, n)
    flips = np.less(rng.random(n), 0.5)
    out = np.empty((n, size, size, 3), np.uint8)
    for i in range(n):
        crop = pixels[i, tops[i] : tops[i] + size, lefts[i] : lefts[i] + size]
        out[i] = crop[:, ::-1] if flips[i] else crop
    return out
