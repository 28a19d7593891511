"""Reading files that a stranger made: bounded, inside their folder, and exactly as they should be.

Every refusal is a `CheckpointError` that names the file, the cause and the limit.
"""

from __future__ import annotations

import io
import json
import math
import os
import reprlib
import stat
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

MAX_INTEGER = 2**53  # beyond it, other readers of JSON lose digits

Config = TypeVar("Config")


class CheckpointError(ValueError):
    """A checkpoint is not what it should be, or cannot be saved as one."""


def open_file(root: Path, name: str, limit: int) -> io.BufferedReader:
    """Open the regular file `name` of the folder `root`, of at most `limit` bytes, for reading.

    A symbolic link may not lead out of the folder. Raises CheckpointError.
    """
    try:
        path = (root / name).resolve(strict=True)
        status = path.stat()
    except FileNotFoundError:
        raise CheckpointError(f"{name}: this file is missing") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go in circles
        raise CheckpointError(f"{name}: cannot be read: {type(error).__name__}") from None
    if not path.is_relative_to(root.resolve()):
        raise CheckpointError(f"{name}: leads out of the checkpoint's folder")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise CheckpointError(f"{name}: is not a regular file")
    if status.st_size > limit:
        raise CheckpointError(f"{name}: {status.st_size:,} bytes; at most {limit:,} are allowed")
    try:
        return path.open("rb")
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read: {os.strerror(error.errno or 0)}") from None


def read_file(root: Path, name: str, limit: int) -> bytes:
    """The bytes of a file, see `open_file`."""
    with open_file(root, name, limit) as file:
        return file.read(limit)


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object: UTF-8, no key twice, no NaN or Infinity. Raises CheckpointError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        parsed = dict(pairs)
        if len(parsed) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise CheckpointError(f"{name}: the key {reprlib.repr(twice)} stands in it twice")
        return parsed

    def no_constant(literal: str) -> float:
        raise CheckpointError(f"{name}: {literal} is not allowed")

    try:
        parsed = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=no_constant)
    except CheckpointError:
        raise
    except RecursionError:
        raise CheckpointError(f"{name}: nested too deeply") from None
    except ValueError as error:
        raise CheckpointError(f"{name}: not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{name}: must hold a JSON object")
    return parsed


def config_from_json(config_class: type[Config], values: dict[str, Any], name: str) -> Config:
    """Build a configuration dataclass from exactly its own fields, each of its own type.

    Lists become tuples. Raises CheckpointError, also where the configuration itself objects.
    """
    kinds = field_types(config_class)
    for problem, keys in (
        ("unknown", values.keys() - kinds.keys()),
        ("missing", kinds.keys() - values.keys()),
    ):
        if keys:
            names = ", ".join(reprlib.repr(key) for key in sorted(keys)[:5])
            raise CheckpointError(f"{name}: {len(keys)} {problem} field(s): {names}")
    decoded = {key: _decode(values[key], kind, f"{name}: {key}") for key, kind in kinds.items()}
    try:
        return config_class(**decoded)
    except ValueError as error:
        raise CheckpointError(f"{name}: {str(error)[:300]}") from None


def field_types(config_class: type) -> dict[str, Any]:
    """Name to type of each field of a configuration dataclass, in order."""
    hints = get_type_hints(config_class)
    return {field.name: hints[field.name] for field in fields(config_class)}


def _decode(value: Any, kind: Any, where: str) -> Any:
    """The value as the type asks for it: bool, int, float, str, or a tuple of these."""
    shown = reprlib.repr(value)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise CheckpointError(f"{where} must be a list, not {shown}")
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(value) != len(kinds):
            raise CheckpointError(f"{where} must be a list of {len(kinds)}, not {shown}")
        return tuple(_decode(item, k, where) for item, k in zip(value, kinds, strict=True))
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and type(value) is int and abs(value) <= MAX_INTEGER:
        return value
    if kind is float and type(value) is int and abs(value) <= MAX_INTEGER:
        return float(value)  # 1 for 1.0: JSON has one kind of number
    if kind is float and type(value) is float and math.isfinite(value):  # 1e999 reads as inf
        return value
    if kind is str and isinstance(value, str):
        return value
    raise CheckpointError(f"{where} must be {_KIND_NAMES[kind]}, not {shown}")


_KIND_NAMES = {
    bool: "true or false",
    int: f"a whole number of at most {MAX_INTEGER}",
    float: "a finite number",
    str: "a text",
}
