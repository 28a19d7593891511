"""A module's tensors <-> safetensors files, in one file or in shards with a Hugging Face index.

The format (https://github.com/huggingface/safetensors#format): 8 bytes with the length of the
header, the header in JSON, then the tensors' bytes. The safetensors package accepts keys that
stand twice and headers up to 100 MB, and maps the file into memory, where one that shrinks
kills the process. So the header is read here, with every number checked, and then the bytes.
"""

from __future__ import annotations

import hashlib
import io
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor, nn

from vq.atomic import write_file, write_json
from vq.layout import INDEX, MAX_HEADER_BYTES, SHARD, SINGLE
from vq.strict_files import CheckpointError, open_file, read_file, read_json

MAX_SHARD_BYTES = 9_500_000  # of tensors; with its header a file stays under the Hub's 10 MB
MAX_FILE_BYTES = 2**30
MAX_RANK = 8

STORED_TYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "I64": torch.int64,
}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: `length` bytes from `start` of the file `file`."""

    file: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    length: int


def fingerprint(module: nn.Module) -> str:
    """12 hex digits of the SHA-256 of a module's tensors: what codes say they were made by."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def write_weights(
    folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, name: str
) -> None:
    """Write tensors into an existing folder, floats as `dtype`, integers as int64.

    Raises CheckpointError, which calls the module `name`, if a value is not finite in `dtype`
    or a tensor is of another kind.
    """
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise CheckpointError(f"weights are saved as float16, bfloat16 or float32, not {dtype}")
    stored = {}
    for key, tensor in tensors.items():
        if tensor.is_floating_point():
            converted = tensor.detach().to("cpu", dtype)
            if not converted.isfinite().all():
                raise CheckpointError(f"{name}: tensor {key!r} is not finite as {dtype}")
        elif tensor.dtype == torch.int64:
            converted = tensor.cpu()
        else:
            raise CheckpointError(f"{name}: tensor {key!r} is {tensor.dtype}, which is not stored")
        stored[key] = converted.contiguous().clone()
    split = split_torch_state_dict_into_shards(stored, max_shard_size=MAX_SHARD_BYTES)
    for file, keys in split.filename_to_tensors.items():
        data = safetensors.torch.save({key: stored[key] for key in keys}, {"format": "pt"})
        write_file(folder / file, data)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_json(folder / INDEX, index)


def find_weights(root: Path, folder: str) -> dict[str, StoredTensor]:
    """Every tensor that the files of a module's folder hold. Reads headers, no weights.

    root: the checkpoint's folder; folder: name of the module's folder in it.
    Raises CheckpointError.
    """
    single, index = f"{folder}/{SINGLE}", f"{folder}/{INDEX}"
    if not (root / index).exists():
        return file_tensors(root, single)
    if (root / single).exists():
        raise CheckpointError(f"{folder}: holds both {SINGLE} and {INDEX}")
    weight_map = _weight_map(read_json(read_file(root, index, MAX_HEADER_BYTES), index), index)
    found: dict[str, StoredTensor] = {}
    for file in sorted(set(weight_map.values())):
        tensors = file_tensors(root, f"{folder}/{file}")
        expected = {key for key, value in weight_map.items() if value == file}
        if tensors.keys() != expected:
            key = min(tensors.keys() ^ expected)
            raise CheckpointError(f"{folder}/{file}: and {INDEX} disagree on tensor {short(key)}")
        found |= tensors
    return found


def file_tensors(root: Path, file: str) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file, which must lie end to end and fill it.

    Raises CheckpointError.
    """
    with open_file(root, file, MAX_FILE_BYTES) as handle:
        size = handle.seek(0, 2)
        handle.seek(0)
        length = int.from_bytes(handle.read(8), "little")
        if size < 8 or length > size - 8:
            raise CheckpointError(f"{file}: not a whole safetensors file ({size:,} bytes)")
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(
                f"{file}: a header of {length:,} bytes; at most {MAX_HEADER_BYTES:,} are allowed"
            )
        header = read_json(handle.read(length), file)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(f"{file}: __metadata__ must be texts")
    tensors = {key: _entry(entry, file, key, 8 + length) for key, entry in header.items()}
    end = 8 + length
    for key, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].length)):
        if tensor.start != end:
            raise CheckpointError(f"{file}: a gap or an overlap before tensor {short(key)}")
        end += tensor.length
    if end != size:
        raise CheckpointError(f"{file}: {size:,} bytes, of which the header knows {end:,}")
    return tensors


def check_weights(
    stored: Mapping[str, StoredTensor], expected: Mapping[str, Tensor], folder: str
) -> None:
    """Raise CheckpointError unless names, shapes and kinds are those of `expected` exactly."""
    for problem, keys in (
        ("missing", expected.keys() - stored.keys()),
        ("unknown", stored.keys() - expected.keys()),
    ):
        if keys:
            names = ", ".join(short(key) for key in sorted(keys)[:5])
            raise CheckpointError(f"{folder}: {len(keys)} {problem} tensor(s): {names}")
    for key, tensor in expected.items():
        where = f"{stored[key].file}: tensor {short(key)}"
        if stored[key].shape != tuple(tensor.shape):
            raise CheckpointError(
                f"{where} has the shape {stored[key].shape}; "
                f"its config.json asks for {tuple(tensor.shape)}"
            )
        if stored[key].dtype.is_floating_point != tensor.is_floating_point():
            raise CheckpointError(f"{where} is {stored[key].dtype}, the module's {tensor.dtype}")


def read_weights(root: Path, stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """Read tensors in the precision they are stored in. Raises CheckpointError if not finite."""
    tensors: dict[str, Tensor] = {}
    for file in sorted({tensor.file for tensor in stored.values()}):
        with open_file(root, file, MAX_FILE_BYTES) as handle:
            for key, tensor in stored.items():
                if tensor.file == file:
                    tensors[key] = _read_tensor(handle, tensor, key)
    return tensors


def short(text: str) -> str:
    """A name from a file, fit for a message."""
    return reprlib.repr(text)


def _weight_map(index: dict[str, Any], name: str) -> dict[str, str]:
    """The index's tensor -> shard, every shard of one series named and used."""
    weight_map = index.get("weight_map")
    if index.keys() - {"metadata", "weight_map"} or not isinstance(weight_map, dict):
        raise CheckpointError(f"{name}: must hold a weight_map, and besides only metadata")
    for key, file in weight_map.items():
        if not isinstance(file, str) or not SHARD.fullmatch(file):
            raise CheckpointError(
                f"{name}: tensor {short(key)} is said to be in {reprlib.repr(file)}; "
                "shards are named model-00001-of-00002.safetensors and so on"
            )
    files = sorted(set(weight_map.values()))
    if files != [f"model-{n:05}-of-{len(files):05}.safetensors" for n in range(1, len(files) + 1)]:
        raise CheckpointError(f"{name}: its {len(files)} shards are not one series from 1")
    return weight_map


def _entry(entry: Any, file: str, key: str, data_start: int) -> StoredTensor:
    """One entry of a header, checked as far as it can be by itself."""
    where = f"{file}: tensor {short(key)}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} needs dtype, shape and data_offsets, and nothing else")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in STORED_TYPES:
        allowed = ", ".join(STORED_TYPES)
        raise CheckpointError(f"{where} is {reprlib.repr(kind)}; only {allowed} are allowed")
    if not _whole_numbers(shape) or len(shape) > MAX_RANK:
        raise CheckpointError(f"{where} must have a shape of at most {MAX_RANK} whole numbers")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where} must have two whole numbers as data_offsets")
    dtype, (begin, end) = STORED_TYPES[kind], offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(f"{where}: its shape and its data_offsets disagree")
    return StoredTensor(file, dtype, tuple(shape), data_start + begin, end - begin)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _read_tensor(handle: io.BufferedReader, tensor: StoredTensor, key: str) -> Tensor:
    handle.seek(tensor.start)
    data = bytearray(tensor.length)
    if handle.readinto(data) != tensor.length:
        raise CheckpointError(f"{tensor.file}: became shorter while it was read")
    if not data:
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    values = torch.frombuffer(data, dtype=tensor.dtype).reshape(tensor.shape)
    if tensor.dtype.is_floating_point and not values.isfinite().all():
        raise CheckpointError(f"{tensor.file}: tensor {short(key)} holds NaN or infinity")
    return values
