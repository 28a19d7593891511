"""What travels between the code map in the browser and Python: masks, codes, palettes, pictures.

All of it is base64 text inside JSON, because Gradio compares a component's properties as JSON each
time one of them changes: a map of 128 × 128 codes is 44 kB of text, not 16,384 numbers.

Two things come back. A mask, as ``{"mask": base64, "rows": int, "cols": int}``: its bits are the
rows from the top, each from the left, eight to a byte with the first in the highest bit
(`numpy.packbits`); the last byte is filled with zeros. And the codes that the cells of a mask are
to get. Whoever calls the API can send anything, so `read_mask` and `read_codes` trust nothing.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.drawing import grid_picture

MAX_SIDE = 128  # codes along one side of a map
MAX_CODES = 1 << 16  # a code travels as two bytes
BIT_PARTS = 256  # bits of surprise travel as two bytes too, in so many parts of a bit
UNKNOWN = MAX_CODES - 1  # what travels where they are not known


class CodeMapError(ValueError):
    """A painted region or a code map that cannot be used; the message names cause and limit."""


def pack_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The value of a `CodeMap` with these codes painted.

    Args:
        mask: bool (rows, cols), True = resample.

    Raises:
        CodeMapError: not a two-dimensional bool array, or a side outside 1 to `MAX_SIDE`.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise CodeMapError(f"A mask must be an array of bool, not of {mask.dtype}.")
    rows, cols = check_grid(mask.shape)
    return {"mask": pack_bits(mask), "rows": rows, "cols": cols}


def read_mask(value: object, rows: int, cols: int) -> NDArray[np.bool_]:
    """The painted codes of a map of `rows` × `cols`, from whatever came in as a `CodeMap` value.

    Lengths are compared before anything is decoded, so a hostile value costs nothing. None and an
    empty text mean that nothing has been painted yet.

    Returns:
        bool (rows, cols), True = resample; the caller's own copy.

    Raises:
        CodeMapError: `value` is anything else than a mask of exactly this size.
    """
    if value is None or value == "":
        return np.zeros((rows, cols), dtype=bool)
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise CodeMapError(f"The painted region must be an object, not a value of type {kind}.")
    if absent := [key for key in ("mask", "rows", "cols") if key not in value]:
        raise CodeMapError(f"The painted region lacks {' and '.join(absent)}.")
    value_rows, value_cols = _side(value["rows"], "rows"), _side(value["cols"], "cols")
    if (value_rows, value_cols) != (rows, cols):
        raise CodeMapError(
            f"The painted region is for {value_rows} × {value_cols} codes, "
            f"but this picture has {rows} × {cols}. Paint it again."
        )
    size = -(-rows * cols // 8)
    data = _bytes("The painted region's mask", value["mask"], size, f"{rows} × {cols} codes")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * cols)
    return bits.reshape(rows, cols).astype(bool)


def read_codes(value: object, cells: int, num_codes: int) -> NDArray[np.int64]:
    """The codes that so many `cells` are to get, from whatever came in.

    Args:
        value: base64 of two bytes a code, the low byte first: a code for each cell, rows from the
            top, or one for all of them.
        cells: how many, 1 or more.
        num_codes: that of the code book.

    Returns:
        int64 (cells,) or (1,): ``codes[mask] = read_codes(...)`` does what is meant.

    Raises:
        CodeMapError: `value` is anything else, or has a code that the code book has not.
    """
    count = 1 if isinstance(value, str) and len(value) == 4 else cells
    data = _bytes("The list of codes", value, 2 * count, f"{cells} cells")
    codes = np.frombuffer(data, "<u2").astype(np.int64)
    if codes.max() >= num_codes:
        raise CodeMapError(f"Codes go from 0 to {num_codes - 1}, so there is no {codes.max()}.")
    return codes


def _bytes(name: str, text: object, size: int, what: str) -> bytes:
    """Exactly `size` bytes from base64; lengths are compared before anything is decoded."""
    if not isinstance(text, str):
        raise CodeMapError(f"{name} must be a text, not of type {type(text).__name__}.")
    length = 4 * -(-size // 3)
    if len(text) != length:
        raise CodeMapError(
            f"{name} must be {length} characters of base64 for {what}, not {len(text)}."
        )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size:
        raise CodeMapError(f"{name} is not base64 of {size} bytes.")
    return data


def _side(value: object, name: str) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SIDE:  # a bool is no side either
        raise CodeMapError(
            f"The painted region's {name} must be a whole number from 1 to {MAX_SIDE}."
        )
    return value


def check_grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """The (rows, cols) of a map, or CodeMapError where it has none or too many of them."""
    if len(shape) != 2:
        raise CodeMapError(f"A code map has two dimensions (rows, cols), not {len(shape)}.")
    rows, cols = int(shape[0]), int(shape[1])
    if not (1 <= rows <= MAX_SIDE and 1 <= cols <= MAX_SIDE):
        raise CodeMapError(f"A code map has 1 to {MAX_SIDE} rows and columns, not {rows} × {cols}.")
    return rows, cols


def pack_bits(mask: NDArray[np.bool_]) -> str:
    """bool (rows, cols) as base64, one bit a code."""
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def pack_codes(codes: NDArray[np.integer]) -> str:
    """Codes (rows, cols) in 0..65535 as base64, two bytes a code, the low byte first."""
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise CodeMapError(f"Codes must be whole numbers, not {codes.dtype}.")
    check_grid(codes.shape)
    if codes.min() < 0 or codes.max() >= MAX_CODES:
        raise CodeMapError(
            f"Codes must be from 0 to {MAX_CODES - 1}, not from {codes.min()} to {codes.max()}."
        )
    return base64.b64encode(codes.astype("<u2").tobytes()).decode()


@dataclass(frozen=True, eq=False)
class Heat:
    """How much each code of a map surprises a judge. It is laid over these very codes only.

    codes: integers (rows, cols) in 0..65535. bits: floats (rows, cols) from 0, not a number where
    they are still to be computed. judge: that of the `CodeMap`, when they were asked for; name: the
    same for the visitor to read. top: bits from which on the last colour stands, above 0.
    """

    codes: NDArray[np.integer]
    bits: NDArray[np.floating]
    judge: str
    name: str
    top: float


def pack_heat(heat: Heat) -> dict[str, Any]:
    """A heat map as it travels: two bytes a code for its bits, the low byte first.

    Raises:
        CodeMapError: bits that are negative or of another shape than the codes, no top.
    """
    bits = np.asarray(heat.bits, np.float64)
    if bits.shape != np.shape(heat.codes) or (bits < 0).any():
        raise CodeMapError(
            f"The bits of a map of codes {np.shape(heat.codes)} have its shape "
            f"and are 0 or more, not {bits.shape} from {np.nanmin(bits)}."
        )
    if not 0 < heat.top < np.inf:
        raise CodeMapError(f"The scale of a heat map must end above 0 bits, not at {heat.top}.")
    parts = np.rint(np.minimum(BIT_PARTS * bits, UNKNOWN - 1))
    packed = np.where(np.isnan(parts), UNKNOWN, parts).astype("<u2")
    return {
        "codes": pack_codes(heat.codes),
        "bits": base64.b64encode(packed.tobytes()).decode(),
        "judge": heat.judge,
        "name": heat.name,
        "top": float(heat.top),
    }


@dataclass(frozen=True, eq=False)
class Patches:
    """What every code of a checkpoint decodes to: `pictures` uint8 (K, s, s, 3), s pixels a side.

    checkpoint: that of the `CodeMap`; under another they are not shown.
    """

    checkpoint: str
    pictures: NDArray[np.uint8]


def pack_patches(patches: Patches) -> dict[str, Any]:
    """Patches as they travel: one PNG of all, edge to edge and row by row, about square.

    Raises:
        CodeMapError: not uint8 of shape (K, s, s, 3).
    """
    pictures = np.asarray(patches.pictures)
    if (
        pictures.dtype != np.uint8
        or pictures.ndim != 4
        or pictures.shape[2:] != (len(pictures[0]), 3)
    ):
        raise CodeMapError(
            f"Patches must be uint8 of shape (K, s, s, 3), not {pictures.dtype} {pictures.shape}."
        )
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = png_url(grid_picture(list(pictures), columns, gap=0))
    return {"checkpoint": patches.checkpoint, "sheet": sheet, "columns": columns}


def pack_palette(palette: NDArray[np.uint8]) -> str:
    """Colours uint8 (K, 3) as base64, red, green and blue of each code in turn."""
    palette = np.asarray(palette)
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] != 3:
        raise CodeMapError(
            f"A palette must be uint8 of shape (K, 3), not {palette.dtype} of {palette.shape}."
        )
    return base64.b64encode(palette.tobytes()).decode()


def data_url(picture: Image.Image | NDArray[np.uint8], quality: int = 90) -> str:
    """A picture as a small JPEG inside a URL, for the canvas only: it is lossy.

    JPEG rather than WebP, because one is made at every step of a job: 512 × 512 pixels take 1 ms,
    not 20.

    Args:
        picture: a Pillow picture, or uint8 (H, W, 3).
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def png_url(picture: NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) inside a URL, without loss: single patches are looked at closely."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
