"""Whole numbers of a few bits each, packed end to end: the innermost layer of `vq.code_file`.

The first number begins in the highest bit of the first byte, as in `numpy.packbits`; the last byte
is filled up with zeros.
"""

from __future__ import annotations

import numpy as np

MAX_WIDTH = 16  # bits


def packed_size(count: int, width: int) -> int:
    """How many bytes `count` numbers of `width` bits take."""
    return -(-count * width // 8)


def pack_bits(values: np.ndarray, width: int) -> bytes:
    """Integers (n,) in [0, 2**width), `width` bits each. Raises ValueError for others."""
    _check_width(width)
    if not np.issubdtype(values.dtype, np.integer) or values.ndim != 1:
        raise ValueError(f"expected integers with 1 axis, not {values.dtype} {values.shape}")
    if values.size and not 0 <= values.min() <= values.max() < 1 << width:
        raise ValueError(f"values must be from 0 to {(1 << width) - 1}")
    bits = np.unpackbits(values.astype(">u2")[:, None].view(np.uint8), axis=1)
    return np.packbits(bits[:, MAX_WIDTH - width :]).tobytes()


def unpack_bits(data: bytes, width: int, count: int) -> np.ndarray:
    """The `count` integers (n,) int64 that `pack_bits` made `data` of.

    Raises ValueError where `data` has another length or its last byte is not filled with zeros.
    """
    _check_width(width)
    if len(data) != packed_size(count, width):
        raise ValueError(f"{count} values of {width} bits are not {len(data)} bytes")
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    if bits[count * width :].any():
        raise ValueError("the last byte is not filled with zeros")
    wide = np.zeros((count, MAX_WIDTH), np.uint8)
    wide[:, MAX_WIDTH - width :] = bits[: count * width].reshape(count, width)
    return np.packbits(wide, axis=1).view(">u2")[:, 0].astype(np.int64)


def _check_width(width: int) -> None:
    if not 0 <= width <= MAX_WIDTH:
        raise ValueError(f"width must be from 0 to {MAX_WIDTH} bits, not {width}")
