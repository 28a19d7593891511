"""python -m tests.fuzz TARGET --minutes N: odd input for as long as asked, until something gives.

A target takes one random generator, makes an input of it and tries it. It raises where the input is
neither taken nor refused as it should be; the number that brought it about is printed, and
`--number` tries that one again. `tests/test_fuzz.py` tries each target a little.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from demo.codemap.packing import CodeMapError, pack_mask, read_mask
from demo.jobs import MAX_SEED, Refusal, Settings
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.map_vae import MapVAE, MapVAEConfig
from vq.pictures import MAX_PIXELS, MAX_SIDE, PictureError, read_picture
from vq.pictures import read_mask as read_mask_file
from vq.priors.masked import MaskedPrior, MaskedPriorConfig
from vq.registry import Kind, from_json, to_json
from vq.strict_files import CheckpointError, read_json

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The bytes with a few of them changed, taken away, doubled or put in."""
    result = bytearray(data)
    for _ in range(draw.choice((0, 1, 1, 2, 4, 16))):
        at = draw.randrange(len(result) + 1)
        much = draw.choice((1, 1, 2, 4, 64))
        change = draw.randrange(5)
        if change == 0 and result:
            result[at % len(result)] ^= 1 << draw.randrange(8)
        elif change == 1:
            result[at : at + much] = draw.choice((bytes(much), b"\xff" * much))
        elif change == 2:
            del result[at : at + much]
        elif change == 3:
            result[at:at] = result[max(0, at - much) : at]
        else:
            result[at:at] = draw.randbytes(much)
    return bytes(result)


def odd(draw: random.Random, depth: int = 2) -> Any:
    """Any value that JSON can carry, and more."""
    if depth and draw.random() < 0.3:
        some = [odd(draw, depth - 1) for _ in range(draw.randrange(4))]
        return some if draw.random() < 0.5 else {str(one)[:9]: one for one in some}
    return draw.choice(
        (None, True, False, 0, 1, -1, 7, 2**31, 2**64, 10**400, -0.0, 0.5, 1e308, "", "x", "7")
    )


def picture(draw: random.Random) -> None:
    size = draw.choice((1, 3, 16)), draw.choice((1, 2, 17))
    mode = draw.choice(("RGB", "L", "P", "1", "RGB", "L"))
    file = io.BytesIO()
    image = Image.frombytes("L", size, draw.randbytes(size[0] * size[1])).convert(mode)
    image.convert("RGB" if mode == "P" else mode).save(file, draw.choice(FORMATS))
    data = mutated(file.getvalue(), draw)
    try:
        read = read_picture(data)
    except PictureError as error:
        assert str(error) and error.reason
    else:
        assert read.mode == "RGB" and max(read.size) <= MAX_SIDE
        assert read.width * read.height <= MAX_PIXELS
        read_mask_file(data, read.size)


def config(draw: random.Random) -> None:
    kind = draw.choice(list(NETWORKS))
    made = CONFIGS[kind]
    values = json.loads(json.dumps(made))
    for _ in range(draw.choice((0, 1, 2))):
        key = draw.choice(list(values))
        if draw.random() < 0.2:
            del values[key]
        elif draw.random() < 0.2:
            values[str(odd(draw))[:20]] = odd(draw)
        else:
            values[key] = odd(draw)
    text = json.dumps(values).encode()
    if draw.random() < 0.3:
        text = mutated(text, draw)
    try:
        found, _ = from_json(read_json(text, kind), kind, kind)
    except CheckpointError as error:
        assert kind in str(error) and len(str(error)) < 1000
    else:
        assert issubclass(found, type(NETWORKS[kind]))


def mask(draw: random.Random) -> None:
    rows, cols = draw.randrange(1, 129), draw.randrange(1, 129)
    bits = np.frombuffer(draw.randbytes(rows * cols), np.uint8).reshape(rows, cols) < 128
    value: Any = pack_mask(bits)
    untouched = draw.random() < 0.3
    if not untouched:
        key = draw.choice(("mask", "rows", "cols"))
        if key == "mask" and draw.random() < 0.7:
            value[key] = mutated(value[key].encode(), draw).decode("latin-1")
        else:
            value[key] = odd(draw)
        value = draw.choice((value, value, odd(draw)))
    try:
        read = read_mask(value, rows, cols)
    except CodeMapError as error:
        assert str(error) and not untouched
    else:
        assert read.shape == (rows, cols) and read.dtype == bool
        assert not untouched or np.array_equal(read, bits)
        if isinstance(value, dict):
            base64.b64decode(value["mask"], validate=True)


def seeds(draw: random.Random) -> None:
    """Settings, seeds among them: in range, or refused by name."""
    fields = {
        "seed": (0, MAX_SEED), "variations": (1, 8), "steps": (1, 256), "particles": (1, 64),
        "temperature": (0.05, 5.0), "top_p": (0.01, 1.0), "guidance": (0.0, 20.0),
    }  # fmt: skip
    name = draw.choice(list(fields))
    low, high = fields[name]
    value = draw.choice((low, high, low - 1, high + 1, odd(draw), draw.uniform(low, high)))
    try:
        given: Any = {name: value}
        made = Settings(**given)
    except Refusal as refusal:
        assert refusal.values["name"] == name and len(str(refusal)) < 500
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = name in ("seed", "variations", "steps", "particles")
        assert not number or not low <= value <= high or (whole and value != int(value))
    else:
        assert low <= getattr(made, name) <= high
        assert len(set(made.seeds)) == made.variations
        assert made.seeds[0] == made.seed


NETWORKS: dict[Kind, nn.Module] = {
    "autoencoder": VQVAE(VQVAEConfig(hidden=8, num_codes=16)),
    "prior": MaskedPrior(MaskedPriorConfig(num_codes=16, map_size=(4, 4))),
    "second stage": MapVAE(MapVAEConfig(num_codes=16, map_size=(4, 4))),
}
CONFIGS = {kind: to_json(network, kind) for kind, network in NETWORKS.items()}
TARGETS: dict[str, Callable[[random.Random], None]] = {
    "picture": picture,
    "config": config,
    "mask": mask,
    "seeds": seeds,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--number", type=int, help="try this input only")
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    if arguments.number is not None:
        target(random.Random(arguments.number))
        return
    first = number = random.SystemRandom().randrange(2**40)
    until = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < until:
        try:
            target(random.Random(number))
        except BaseException:
            print(f"python -m tests.fuzz {arguments.target} --number {number}")
            raise
        number += 1
    print(f"{number - first:,} inputs, each taken or refused as it should be")


if __name__ == "__main__":
    main()
