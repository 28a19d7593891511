"""TIFF directories: the orientation in EXIF data, and the first page of a TIFF picture.

A directory lists tags whose values may lie anywhere in the file, so a short file can list the
same bytes again and again and a reader that loads every value runs out of memory. Here a value
is looked at where it lies. The page that the decoder gets has a fresh directory with the few tags
it needs; other pages, EXIF and private tags are not reachable from it.

Source: TIFF Revision 6.0 (1992), sections 2, 15 and 22.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vq.picture_file import (
    MAX_BLOCKS,
    PictureFile,
    damaged,
    too_many_blocks,
    truncated,
    unsupported,
)

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 274, 277, 278, 279
PLANAR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 284, 322, 323, 324, 325

# What a decoder needs. Beside the above: fill order, predictor, palette, extra samples, sample
# format, and the sampling, coefficients and reference levels of YCbCr.
_KEPT = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP),
    *(STRIP_BYTES, PLANAR, 317, 320, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES),
    *(338, 339, 529, 530, 531, 532),
}
# None, LZW, Deflate under both its numbers, PackBits: what photographs and masks come in. They are
# linear in the pixels and stop at the first error. JPEG in TIFF would bring scans and a size of
# its own along; the fax codes go on after every error, with a line in the log for each.
_COMPRESSIONS = {1, 5, 8, 32773, 32946}
_YCBCR = 6  # photometric interpretation
_MAX_TILE_PIXELS = 4096 * 4096  # tiles may be larger than their picture, and are decoded whole
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_UNSIGNED = {1: "B", 3: "H", 4: "I"}


@dataclass(frozen=True)
class Directory:
    """The first directory of `data`: tag → (type, count, where its values begin)."""

    data: bytes
    order: str  # as `struct` writes it: "<" or ">"
    entries: dict[int, tuple[int, int, int]]

    @classmethod
    def read(cls, data: bytes) -> Directory:
        """Raises KeyError where `data` is no TIFF, struct.error where it is cut short."""
        order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        entries: dict[int, tuple[int, int, int]] = {}
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, offset = struct.unpack_from(order + "HHII", data, at)
            inline = _TYPE_BYTES.get(kind, 0) * length <= 4
            entries.setdefault(tag, (kind, length, at + 8 if inline else offset))
        return cls(data, order, entries)

    def num_bytes(self, tag: int) -> int:
        kind, count, _ = self.entries[tag]
        return _TYPE_BYTES[kind] * count

    def values(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The tag's unsigned integers. Raises KeyError for another type, struct.error if cut."""
        if tag not in self.entries:
            return default
        kind, count, offset = self.entries[tag]
        if count > MAX_BLOCKS:  # each takes ten times its size in the file
            raise KeyError(tag)
        if offset + self.num_bytes(tag) > len(self.data):  # before a buffer of `count` is made
            raise struct.error("values outside the file")
        return struct.unpack_from(f"{self.order}{count}{_UNSIGNED[kind]}", self.data, offset)

    def value(self, tag: int, default: int | None = None) -> int:
        """The tag's first integer. Raises KeyError where it has none and there is no default."""
        values = self.values(tag)
        if values:
            return values[0]
        if default is None:
            raise KeyError(tag)
        return default

    def orientation(self) -> int:
        value = self.value(ORIENTATION, 1)
        return value if 1 <= value <= 8 else 1


def exif_orientation(exif: bytes) -> int:
    """How the picture is to be turned (1 to 8); 1, upright, where the EXIF data are unreadable."""
    try:
        return Directory.read(exif).orientation()
    except (KeyError, struct.error):
        return 1


def first_page(data: bytes) -> PictureFile:
    """The first page of a TIFF file. Raises PictureError."""
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise unsupported("TIFF", "64-bit offsets (BigTIFF)")
    try:
        page = Directory.read(data)
        kept = {tag: entry for tag, entry in sorted(page.entries.items()) if tag in _KEPT}
        if any(count > MAX_BLOCKS for _, count, _ in kept.values()):
            raise too_many_blocks("TIFF")
        width, height = page.value(WIDTH), page.value(HEIGHT)
        compression, photometric = page.value(COMPRESSION, 1), page.value(PHOTOMETRIC, 1)
        orientation, bits = page.orientation(), page.value(BITS, 1)
        _check_blocks(page, width, height)
        if any(offset + page.num_bytes(tag) > len(data) for tag, (_, _, offset) in kept.items()):
            raise truncated("TIFF")
    except KeyError:
        raise damaged("TIFF") from None
    except struct.error:
        raise truncated("TIFF") from None
    if compression not in _COMPRESSIONS:
        raise unsupported("TIFF", f"compression {compression}")
    if compression == 1 and photometric == _YCBCR:
        raise unsupported("TIFF", "YCbCr colours and no compression")
    if sum(map(page.num_bytes, kept)) > len(data):
        raise damaged("TIFF")
    return PictureFile(
        "TIFF",
        width,
        height,
        _rebuilt(page, kept),
        orientation,
        bits=bits,
        white_is_zero=photometric == 0 and bits > 8,
    )


def _check_blocks(page: Directory, width: int, height: int) -> None:
    """Check that the strips or tiles lie in the file and suffice.

    Strips that overlap are refused: a file of a few of them could be listed without end.
    """
    planes = page.value(SAMPLES, 1) if page.value(PLANAR, 1) == 2 else 1
    tiled = TILE_OFFSETS in page.entries
    if tiled:
        across, down = page.value(TILE_WIDTH), page.value(TILE_HEIGHT)
    else:
        across, down = width, min(page.value(ROWS_PER_STRIP, height), height)
    if min(width, height, across, down) < 1 or (tiled and across * down > _MAX_TILE_PIXELS):
        raise damaged("TIFF")
    offsets = page.values(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    lengths = page.values(TILE_BYTES if tiled else STRIP_BYTES)
    needed = -(-width // across) * -(-height // down) * planes
    if len(offsets) < needed or len(lengths) != len(offsets) or sum(lengths) > len(page.data):
        raise damaged("TIFF")
    blocks = zip(offsets, lengths, strict=True)
    if any(offset + length > len(page.data) for offset, length in blocks):
        raise truncated("TIFF")


def _rebuilt(page: Directory, kept: dict[int, tuple[int, int, int]]) -> bytes:
    """The file with one directory, of the tags in `kept`, put at its end."""
    data = page.data
    padding = b"\0" * (len(data) % 2)  # a directory begins at an even offset
    entries = b""
    for tag, (kind, count, offset) in kept.items():
        inline = page.num_bytes(tag) <= 4
        value = data[offset : offset + 4] if inline else struct.pack(page.order + "I", offset)
        entries += struct.pack(page.order + "HHI", tag, kind, count) + value
    start = struct.pack(page.order + "I", len(data) + len(padding))
    directory = struct.pack(page.order + "H", len(kept)) + entries + bytes(4)
    return b"".join((data[:4], start, data[8:], padding, directory))
