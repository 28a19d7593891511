"""Checkpoint folders that strangers made: each from a sound one, with the reason to refuse it.

python -m tests.hostile_checkpoints         the table of them, with milliseconds and messages
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.tiny_networks import files_of, tiny_checkpoint, tiny_map_vae
from vq.checkpoints import Checkpoint, CheckpointError, load

CONFIG = "masked/config.json"
WEIGHTS = "masked/model.safetensors"
INDEX = "masked/model.safetensors.index.json"
SOUND = {"type": "TinyPrior", "num_codes": 8, "map_size": [2, 3], "labels": ["cat"]}
FIRST, SECOND = (f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
ENTRY = {"dtype": "F32", "shape": [8, 4], "data_offsets": [0, 128]}  # what the prior needs

Tamper = Callable[[Path], object]


def safetensors_bytes(header: object, data: bytes = bytes(128), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def put(name: str, data: bytes | str) -> Tamper:
    return lambda root: (root / name).write_bytes(data.encode() if isinstance(data, str) else data)


def config(**changes: Any) -> Tamper:
    return put(CONFIG, json.dumps(SOUND | changes))


def tensors(header: object, data: bytes = bytes(128), length: int | None = None) -> Tamper:
    return put(WEIGHTS, safetensors_bytes(header, data, length))


def entry(**changes: Any) -> Tamper:
    return tensors({"embedding.weight": ENTRY | changes})


def value(number: float) -> Tamper:
    return tensors({"embedding.weight": ENTRY}, struct.pack("<32f", *[0.0] * 31, number))


def sparse(name: str, size: int) -> Tamper:
    """A file that takes no room on the disk, however large it claims to be."""
    return lambda root: os.truncate(root / name, size)


def linked(name: str) -> Tamper:
    """The file moves out of the checkpoint, and a symbolic link to it takes its place."""

    def tamper(root: Path) -> None:
        (root / name).rename(root.parent / "outside")
        (root / name).symlink_to(root.parent / "outside")

    return tamper


def linked_folder(root: Path) -> None:
    (root / "masked").rename(root.parent / "outside")
    (root / "masked").symlink_to(root.parent / "outside")


def pipe(root: Path) -> None:
    (root / CONFIG).unlink()
    os.mkfifo(root / CONFIG)


def loop(root: Path) -> None:
    (root / CONFIG).unlink()
    (root / CONFIG).symlink_to("config.json")


def pickled(root: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(root / "pickle-ran"),)

    (root / WEIGHTS).unlink()
    (root / "masked" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


def index(weight_map: object, **more: object) -> Tamper:
    """The prior's one tensor in the first of two shards, and an index that says something else."""

    def tamper(root: Path) -> None:
        (root / WEIGHTS).rename(root / "masked/model-00001-of-00002.safetensors")
        empty = safetensors_bytes({"other": ENTRY})
        (root / "masked/model-00002-of-00002.safetensors").write_bytes(empty)
        (root / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map} | more))

    return tamper


def shard_not_there(root: Path) -> None:
    index({"embedding.weight": FIRST, "other": SECOND})(root)
    (root / "masked" / SECOND).unlink()


def tensor_in_two_shards(root: Path) -> None:
    index({"embedding.weight": FIRST, "other": SECOND})(root)
    shutil.copy(root / "masked" / FIRST, root / "masked" / SECOND)


def many_networks(root: Path) -> None:
    for n in range(20):
        shutil.copytree(root / "masked", root / f"prior{n}")


@cache
def _sound_files() -> dict[str, bytes]:
    return _files_of(tiny_checkpoint())


@cache
def _second_stage_files() -> dict[str, bytes]:
    files = _files_of(replace(tiny_checkpoint(), map_vae=tiny_map_vae()))
    return {name: data for name, data in files.items() if name.startswith("map_vae/")}


def _files_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(folder, dtype=torch.float32)
        return files_of(Path(folder))


def wide(units: int) -> str:
    """The autoencoder's configuration with so many units in a layer."""
    sound = json.loads(_sound_files()["autoencoder/config.json"])
    return json.dumps(sound | {"widths": [3, units]})


def second_stage_without_weights(root: Path) -> None:
    second_stage()(root)
    (root / "map_vae/model.safetensors").unlink()


def second_stage_in_a_priors_place(root: Path) -> None:
    second_stage()(root)
    (root / "map_vae").rename(root / "other")


def second_stage(**changes: Any) -> Tamper:
    """A sound second stage of the sound maps, but for what its config.json says."""

    def tamper(root: Path) -> None:
        for name, data in _second_stage_files().items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data)
        file = root / "map_vae/config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return tamper


HOSTILE: dict[str, tuple[Tamper, str]] = {
    # files that are not there, or are something else
    "no config": (lambda r: (r / CONFIG).unlink(), f"{CONFIG}: this file is missing"),
    "no weights": (lambda r: (r / WEIGHTS).unlink(), f"{WEIGHTS}: this file is missing"),
    "no autoencoder": (lambda r: shutil.rmtree(r / "autoencoder"), "autoencoder/config.json"),
    "pickle": (pickled, f"{WEIGHTS}: this file is missing"),
    "config links out": (linked(CONFIG), f"{CONFIG}: leads out"),
    "weights link out": (linked(WEIGHTS), f"{WEIGHTS}: leads out"),
    "folder links out": (linked_folder, "masked/.*: leads out"),
    "card links out": (linked("README.md"), "README.md: leads out"),
    "pipe": (pipe, f"{CONFIG}: is not a regular file"),
    "link in circles": (loop, f"{CONFIG}: .*missing|{CONFIG}: cannot be read"),
    "many networks": (many_networks, "22 networks; at most 16"),
    "name": (lambda r: (r / "masked").rename(r / "Big Prior"), "a prior's name is .*'Big Prior'"),
    "card too large": (put("README.md", "x" * 1_000_001), "README.md: 1,000,001 bytes; at most"),
    "card not text": (put("README.md", b"\xff\xfe"), "README.md: must be UTF-8"),
    # config.json
    "config too large": (
        sparse(CONFIG, 2**40),
        f"{CONFIG}: 1,099,511,627,776 bytes; at most 65,536",
    ),
    "config not JSON": (put(CONFIG, "{"), f"{CONFIG}: not valid JSON"),
    "config not UTF-8": (put(CONFIG, b"\xff{}"), f"{CONFIG}: not valid JSON"),
    "config a list": (put(CONFIG, "[]"), f"{CONFIG}: must hold a JSON object"),
    "config deep": (put(CONFIG, "[" * 60_000), f"{CONFIG}: nested too deeply"),
    "config deep in a field": (config(labels=[[["a"]]]), "labels must be a text, not"),
    "key twice": (put(CONFIG, '{"type": "TinyPrior", "type": "x"}'), "the key 'type' .* twice"),
    "NaN": (put(CONFIG, '{"type": NaN}'), f"{CONFIG}: NaN is not allowed"),
    "Infinity": (put(CONFIG, '{"type": -Infinity}'), f"{CONFIG}: -Infinity is not allowed"),
    "digits": (put(CONFIG, f'{{"type": {"9" * 6000}}}'), f"{CONFIG}: not valid JSON"),
    "no type": (put(CONFIG, "{}"), "type of a prior must be one of .*MaskedPrior"),
    "unknown type": (config(type="os.system"), "not 'os.system'"),
    "type not text": (config(type=["TinyPrior"]), "type of a prior must be one of"),
    "wrong place": (config(type="TinyAutoencoder"), "type of a prior must be one of"),
    "unknown field": (config(colour="red"), f"{CONFIG}: 1 unknown field\\(s\\): 'colour'"),
    "missing field": (put(CONFIG, '{"type": "TinyPrior"}'), "3 missing field\\(s\\): 'labels'"),
    "text for number": (config(num_codes="8"), "num_codes must be a whole number .*, not '8'"),
    "true for number": (config(num_codes=True), "num_codes must be a whole number .*, not True"),
    "fraction": (config(num_codes=8.0), "num_codes must be a whole number .*, not 8.0"),
    "number too large": (config(num_codes=2**60), "num_codes must be a whole number of at most"),
    "too few": (config(map_size=[2]), "map_size must be a list of 2"),
    "no list": (config(map_size="23"), "map_size must be a list, not '23'"),
    "null": (config(labels=None), "labels must be a list, not None"),
    "other codes": (config(num_codes=9), "masked: this prior knows 9 codes, the autoencoder 8"),
    "the configuration objects": (
        put(
            "autoencoder/config.json",
            '{"type": "TinyAutoencoder", "num_codes": 1, "widths": [3, 5],'
            ' "scale": 1, "note": "", "wide": false}',
        ),
        "autoencoder/config.json: num_codes must be at least 2, not 1",
    ),
    "infinite number": (
        put(
            "autoencoder/config.json",
            '{"type": "TinyAutoencoder", "num_codes": 8, "widths": [3, 5],'
            ' "scale": 1e999, "note": "", "wide": false}',
        ),
        "scale must be a finite number, not inf",
    ),
    "40 GB network": (
        put("autoencoder/config.json", wide(2_500_000_000)),
        "autoencoder/config.json: asks for a larger network",
    ),
    "absurd network": (
        put("autoencoder/config.json", wide(2**52)),
        "autoencoder/config.json: asks for a larger network",
    ),
    # a second stage over the maps
    "second stage of other codes": (
        second_stage(num_codes=9),
        "map_vae: this second stage knows 9 codes, the autoencoder 8",
    ),
    "second stage Gaussian": (second_stage(gaussian=True), "map_vae: its latents are Gaussian"),
    "second stage without codes": (
        second_stage(latents=0),
        "map_vae/config.json: latents must be from 1 to 64, not 0",
    ),
    "second stage that is told gigabytes": (
        second_stage(layers=64, channels=1024, map_size=[128, 128]),
        "places of map_size must be at most 16,777,216, not 4,294,967,296",
    ),
    "second stage larger than its weights": (
        second_stage(latent_codes=65_536, latent_dim=1024),
        "map_vae/config.json: asks for a larger network",
    ),
    "second stage of fewer layers": (second_stage(layers=1), "map_vae: .* unknown tensor"),
    "second stage without weights": (
        second_stage_without_weights,
        "map_vae/model.safetensors: this file is missing",
    ),
    "second stage in a prior's place": (
        second_stage_in_a_priors_place,
        "other/config.json: the type of a prior must be one of .*, not 'MapVAE'",
    ),
    "prior in the second stage's place": (
        lambda r: (r / "masked").rename(r / "map_vae"),
        "map_vae/config.json: the type of a second stage must be one of MapVAE",
    ),
    # safetensors
    "empty": (put(WEIGHTS, b""), "not a whole safetensors file \\(0 bytes"),
    "short": (put(WEIGHTS, b"1234567"), "not a whole safetensors file \\(7 bytes"),
    "header beyond the end": (tensors({}, b"", 2**63), "not a whole safetensors file"),
    "header too large": (
        put(WEIGHTS, safetensors_bytes(b" " * 1_000_001)),
        "a header of 1,000,001 bytes; at most 1,000,000",
    ),
    "file too large": (sparse(WEIGHTS, 2**41), f"{WEIGHTS}: 2,199,023,255,552 bytes; at most"),
    "header deep": (put(WEIGHTS, safetensors_bytes(b"[" * 900_000)), "nested too deeply"),
    "header a list": (tensors([]), "must hold a JSON object"),
    "tensor twice": (
        tensors(b'{"a": {}, "a": {}}'),
        f"{WEIGHTS}: the key 'a' stands in it twice",
    ),
    "metadata": (tensors({"__metadata__": {"a": 1}}), "__metadata__ must be texts"),
    "entry no object": (tensors({"embedding.weight": 1}), "needs dtype, shape and data_offsets"),
    "entry with more": (entry(strides=[1]), "needs dtype, shape and data_offsets"),
    "dtype": (entry(dtype="F64"), "is 'F64'; only F16, BF16, F32, I64"),
    "dtype no text": (entry(dtype=["F32"]), "only F16, BF16, F32, I64"),
    "shape negative": (entry(shape=[-8, -4]), "a shape of at most 8 whole numbers"),
    "shape fractions": (entry(shape=[8.0, 4]), "a shape of at most 8 whole numbers"),
    "shape of truths": (entry(shape=[True, 32]), "a shape of at most 8 whole numbers"),
    "shape long": (entry(shape=[1] * 9), "a shape of at most 8 whole numbers"),
    "shape huge": (entry(shape=[2**62, 2**62]), "its shape and its data_offsets disagree"),
    "offsets": (entry(data_offsets=[0]), "two whole numbers as data_offsets"),
    "offsets reversed": (entry(data_offsets=[128, 0]), "its shape and its data_offsets disagree"),
    "gap": (entry(data_offsets=[4, 132]), "a gap or an overlap before tensor 'embedding.weight'"),
    "overlap": (
        tensors({"embedding.weight": ENTRY, "other": ENTRY}),
        "a gap or an overlap before tensor 'other'",
    ),
    "too short": (tensors({"embedding.weight": ENTRY}, bytes(127)), "of which the header knows"),
    "trailing bytes": (tensors({"embedding.weight": ENTRY}, bytes(999)), "the header knows"),
    "tensor missing": (tensors({}, b""), "masked: 1 missing tensor\\(s\\): 'embedding.weight'"),
    "tensor unknown": (
        tensors({"embedding.weight": ENTRY, "x": ENTRY | {"data_offsets": [128, 256]}}, bytes(256)),
        "masked: 1 unknown tensor\\(s\\): 'x'",
    ),
    "shape": (entry(shape=[4, 8]), r"has the shape \(4, 8\); its config.json asks for \(8, 4\)"),
    "integers": (
        entry(dtype="I64", shape=[8, 2]),
        r"has the shape \(8, 2\)",
    ),
    "integers of the right shape": (
        tensors(
            {"embedding.weight": ENTRY | {"dtype": "I64", "data_offsets": [0, 256]}}, bytes(256)
        ),
        "is torch.int64, the module's torch.float32",
    ),
    "weight NaN": (value(float("nan")), "tensor 'embedding.weight' holds NaN or infinity"),
    "weight infinite": (value(float("-inf")), "tensor 'embedding.weight' holds NaN or infinity"),
    # shards
    "both layouts": (put(INDEX, "{}"), "holds both model.safetensors and"),
    "index no map": (index([]), f"{INDEX}: must hold a weight_map"),
    "index with more": (index({}, code="x"), f"{INDEX}: must hold a weight_map"),
    "index escapes": (
        index({"embedding.weight": "../autoencoder/model.safetensors"}),
        "in '../auto",
    ),
    "index absolute": (index({"embedding.weight": "/etc/passwd"}), "in '/etc/passwd'"),
    "index no text": (index({"embedding.weight": 1}), "in 1; shards are named"),
    "index newline": (index({"embedding.weight": FIRST + "\n"}), "shards are named"),
    "index incomplete": (index({"embedding.weight": FIRST}), "its 1 shards are not one series"),
    "index empty": (index({}), "masked: 1 missing tensor"),
    "index wrong shard": (index({"embedding.weight": SECOND, "x": FIRST}), "disagree on tensor"),
    "shard missing": (
        index({"a": FIRST.replace("2.", "3."), "b": SECOND.replace("2.", "3.")}),
        "its 2 shards are not one series",
    ),
    "shard not there": (shard_not_there, f"masked/{SECOND}: this file is missing"),
    "tensor in two shards": (
        tensor_in_two_shards,
        f"masked/{SECOND}: and model.safetensors.index.json disagree",
    ),
}


def hostile_folder(root: Path, tamper: Tamper) -> Path:
    """A sound checkpoint's folder after it was tampered with."""
    for name, data in _sound_files().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    tamper(root)
    return root


def cost_of_refusing(sound: Path, hostile: Sequence[Path]) -> tuple[int, int]:
    """How many of these folders are refused, and by how many kilobytes that raises the most memory
    held: in one child that has loaded the sound one before.
    """
    program = """
import resource, sys
from pathlib import Path
import tests.tiny_networks
from vq.checkpoints import CheckpointError, load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
sound, *hostile = map(Path, sys.argv[1:])
load(sound)
before = peak()
refused = 0
for folder in hostile:
    try:
        load(folder)
    except CheckpointError:
        refused += 1
print(refused, peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, sound, *hostile],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=Path(__file__).resolve().parent.parent,
    )
    refused, kilobytes = map(int, done.stdout.split())
    return refused, kilobytes


def main() -> None:
    """Load each, and say how that ended and what it cost."""

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # MB

    print("| checkpoint | ms | ends with |\n| --- | ---: | --- |")
    before = peak()
    for name, (tamper, _) in HOSTILE.items():
        with tempfile.TemporaryDirectory() as folder:
            root = hostile_folder(Path(folder) / "c", tamper)
            began = time.monotonic()
            try:
                ended = str(load(root))
            except CheckpointError as error:
                ended = str(error)
            print(f"| {name} | {1000 * (time.monotonic() - began):.0f} | {ended} |")
    print(f"\n{len(HOSTILE)} checkpoints; at most {peak() - before} MB more than before")


if __name__ == "__main__":
    main()
