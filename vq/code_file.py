r"""A code map as a small file, by custom named `.codes`. It reads back exactly, or is refused.

    offset  bytes
    0       8      magic: 89 43 4F 44 45 53 0D 0A ("\x89CODES\r\n")
    8       1      version of the format: 1
    9       6      checkpoint: `vq.weights.fingerprint` of the autoencoder whose codes these are
    15      4      K, the number of codes in its code book: 1 to 65,536
    19      4      rows and columns of the map, two bytes each
    23      4      width and height of the picture in pixels, two bytes each; both 0 if not told
    27      n      the codes, rows from the top, each from the left, ceil(log2 K) bits a code
                   (`vq.bit_packing`)
    27 + n  4      CRC-32 of all before, as in PNG and gzip

Integers of several bytes have the low byte first. The file ends after the CRC. The codes decode to
stride x rows by stride x columns pixels; a picture whose sides the stride does not divide was
padded on the right and below, and `width` and `height` say where to cut it again.

An entropy coder would save a fifth to a half of what is mostly 1 to 12 kB, but then a code would
have no place of its own in the file.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vq.atomic import write_file
from vq.bit_packing import MAX_WIDTH, pack_bits, packed_size, unpack_bits

MAGIC = b"\x89CODES\r\n"  # a high bit and a line end: whatever treats it as text breaks it
VERSION = 1
HEADER = struct.Struct("<8sB6sIHHHH")
CHECKSUM = struct.Struct("<I")

MAX_NUM_CODES = 1 << MAX_WIDTH
MAX_CELLS = 1 << 22  # a picture of 36 megapixels has 2.25 million at stride 4
MAX_BYTES = HEADER.size + packed_size(MAX_CELLS, MAX_WIDTH) + CHECKSUM.size
_MAX_SIDE = (1 << 16) - 1  # what two bytes hold

Reason = Literal[
    "format",  # no code file at all
    "version",  # of a later format
    "size",  # more than MAX_CELLS
    "truncated",  # ends too early
    "damaged",
    "checkpoint",  # the codes of another checkpoint
]


class CodeFileError(ValueError):
    """A code file that is refused. The message names the cause, `reason` is a word for programs."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, eq=False)
class CodeFile:
    """What a code file holds. Raises ValueError for what it cannot hold.

    Attributes:
        checkpoint: `vq.weights.fingerprint` of the autoencoder, 12 hex digits.
        num_codes: K, at most `MAX_NUM_CODES`.
        codes: integers (h, w) from 0 to K - 1, at most `MAX_CELLS` of them; int64 when read.
        picture_size: (width, height) in pixels where decoding is to be cut to it.
    """

    checkpoint: str
    num_codes: int
    codes: np.ndarray
    picture_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{12}", self.checkpoint):
            raise ValueError(f"checkpoint must be 12 hex digits, not {self.checkpoint!r}")
        if not 1 <= self.num_codes <= MAX_NUM_CODES:
            raise ValueError(f"num_codes must be from 1 to {MAX_NUM_CODES}, not {self.num_codes}")
        codes = self.codes
        if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
            raise ValueError(f"codes must be integers (h, w), not {codes.dtype} {codes.shape}")
        if not 1 <= codes.size <= MAX_CELLS or max(codes.shape) > _MAX_SIDE:
            rows, columns = codes.shape
            raise ValueError(f"a code file holds 1 to {MAX_CELLS:,} codes, not {columns} x {rows}")
        if not 0 <= codes.min() <= codes.max() < self.num_codes:
            raise ValueError(f"codes must be from 0 to {self.num_codes - 1}")
        if self.picture_size and not 1 <= min(self.picture_size) <= max(self.picture_size) < 2**16:
            raise ValueError(f"picture_size must be from 1 to {_MAX_SIDE}: {self.picture_size}")

    def codes_of(self, checkpoint: str) -> np.ndarray:
        """The codes if they are those of this checkpoint. Raises CodeFileError if of another."""
        if checkpoint != self.checkpoint:
            raise CodeFileError(
                "checkpoint",
                f"These codes were made by checkpoint {self.checkpoint}; this one is {checkpoint}.",
            )
        return self.codes

    def to_bytes(self) -> bytes:
        """The file, as laid out above."""
        head = HEADER.pack(
            MAGIC,
            VERSION,
            bytes.fromhex(self.checkpoint),
            self.num_codes,
            *self.codes.shape,
            *(self.picture_size or (0, 0)),
        )
        body = head + pack_bits(self.codes.ravel(), _width(self.num_codes))
        return body + CHECKSUM.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> CodeFile:
        """What `to_bytes` made the file of. Raises CodeFileError.

        Nothing larger than the file is allocated before its length and its checksum fit.
        """
        if not data.startswith(MAGIC):
            raise CodeFileError("format", "This is no code file, or its beginning is damaged.")
        version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
        if version != VERSION:
            message = f"The code file is of version {version}; only version {VERSION} can be read."
            raise CodeFileError("version", message)
        if len(data) < HEADER.size:
            raise CodeFileError("truncated", "The code file ends too early.")
        _, _, checkpoint, num_codes, rows, columns, *size = HEADER.unpack_from(data)
        if rows * columns > MAX_CELLS:
            message = f"The code file has {columns:,} x {rows:,} codes; the limit is {MAX_CELLS:,}."
            raise CodeFileError("size", message)
        width = min(_width(num_codes), MAX_WIDTH)
        end = HEADER.size + packed_size(rows * columns, width)
        if len(data) < end + CHECKSUM.size:
            raise CodeFileError("truncated", "The code file ends too early.")
        damaged = CodeFileError("damaged", "The code file is damaged.")
        if len(data) > end + CHECKSUM.size or CHECKSUM.pack(zlib.crc32(data[:end])) != data[end:]:
            raise damaged
        try:
            codes = unpack_bits(data[HEADER.size : end], width, rows * columns)
            picture_size = (size[0], size[1]) if any(size) else None
            return cls(checkpoint.hex(), num_codes, codes.reshape(rows, columns), picture_size)
        except ValueError:  # whoever made it has computed the checksum of nonsense
            raise damaged from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, in place of any of that name. Raises OSError."""
        write_file(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CodeFile:
        """Read a file, at most `MAX_BYTES` of it. Raises CodeFileError and OSError."""
        with open(path, "rb") as file:
            return cls.from_bytes(file.read(MAX_BYTES + 1))


def _width(num_codes: int) -> int:
    """ceil(log2 K): the bits that tell one of K codes from the others."""
    return max(num_codes - 1, 0).bit_length()
