"""Picture files, most of them odd: written byte by byte where Pillow would write only tame ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from PIL import Image

Order = Literal["<", ">"]


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """The picture as Pillow writes it."""
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(
    width: int,
    height: int,
    bits: int,
    colour: int,
    rows: bytes,
    extra: tuple[tuple[bytes, bytes], ...] = (),
    interlaced: bool = False,
) -> bytes:
    """A PNG of filtered rows: each a filter byte, then its samples."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_rows(samples: np.ndarray) -> bytes:
    """Unfiltered rows of samples (H, W) or (H, W, channels), 16 bits big-endian."""
    samples = samples.astype(samples.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in samples)


def packed_rows(samples: np.ndarray, bits: int) -> bytes:
    """Unfiltered rows of samples of 1, 2 or 4 bits, the first in the highest bits."""
    shift = np.arange(bits - 1, -1, -1)
    wide = (samples[..., None] >> shift & 1).reshape(len(samples), -1).astype(np.uint8)
    return b"".join(b"\0" + row.tobytes() for row in np.packbits(wide, axis=1))


def adam7_rows(samples: np.ndarray) -> bytes:
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    parts = [samples[top::down, left::across] for top, left, down, across in passes]
    return b"".join(png_rows(part) for part in parts if part.size)


def png_bomb(width: int, height: int) -> bytes:
    """All black, 1 bit a pixel: zlib makes a thousandth of it."""
    return png(width, height, 1, 0, (b"\0" + bytes((width + 7) // 8)) * height)


def png_of_size(width: int, height: int) -> bytes:
    """A header of any size before the data of one pixel."""
    return png(width, height, 8, 0, b"\0\0")


def webp_black(width: int, height: int) -> bytes:
    """A valid lossless WebP of 32 bytes, all black: five codes of a single symbol each."""
    sizes = (width - 1) | (height - 1) << 14
    codes = sum(1 << 3 + 4 * code for code in range(5))  # no transform, no cache, no groups
    content = b"\x2f" + sizes.to_bytes(4, "little") + codes.to_bytes(3, "little") + bytes(4)
    chunk = b"VP8L" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def webp_extended(chunks: list[tuple[bytes, bytes]], width: int, height: int, flags: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in [(b"VP8X", bytes((flags, 0, 0, 0)) + size), *chunks]
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def bmp(
    pixels: bytes, width: int, height: int, bits: int, compression: int = 0, masks: bytes = b""
) -> bytes:
    """A BMP with the 40-byte header, or a 108-byte one that holds four channel masks."""
    header_bytes = 108 if masks else 40
    header = struct.pack(
        "<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, 0, 0, 0, 0, 0
    )
    header = (header + masks).ljust(header_bytes, b"\0")
    start = 14 + header_bytes
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


def bmp_os2(pixels: bytes, width: int, height: int) -> bytes:
    header = struct.pack("<IHHHH", 12, width, height, 1, 24)
    return b"BM" + struct.pack("<IHHI", 26 + len(pixels), 0, 0, 26) + header + pixels


def tiff(tags: Mapping[int, tuple[int, ...] | bytes], pixels: bytes, order: Order = "<") -> bytes:
    """A TIFF of one directory: numbers become LONG, bytes UNDEFINED.

    The pixels begin at offset 8; a tag 273 or 324 (offsets) is therefore up to the caller.
    """
    directory = 8 + len(pixels) + len(pixels) % 2
    values_at = directory + 2 + 12 * len(tags) + 4
    entries = values = b""
    for tag, value in sorted(tags.items()):
        raw = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}I", *value)
        kind = 7 if isinstance(value, bytes) else 4
        entries += struct.pack(order + "HHI", tag, kind, len(value))
        if len(raw) <= 4:
            entries += raw.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", values_at + len(values))
            values += raw
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", directory) + pixels + b"\0" * (len(pixels) % 2)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values


def grey_tiff(samples: np.ndarray, bits: int, order: Order = "<", **more: tuple[int, ...]) -> bytes:
    """A grey TIFF in one strip; `more` are further tags as t262=(0,)."""
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    height, width = samples.shape
    tags: dict[int, Any] = {256: (width,), 257: (height,), 258: (bits,), 259: (1,), 262: (1,)}
    tags |= {273: (8,), 277: (1,), 278: (height,), 279: (len(pixels),)}
    tags |= {int(name[1:]): value for name, value in more.items()}
    return tiff(tags, pixels, order)


def exif_bomb(size: int) -> bytes:
    """EXIF data of `size` bytes, turned by a quarter, of which 2,000 tags list nearly all."""
    tags = 2000
    start = 8 + 2 + 12 * (tags + 1) + 4
    entries = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    for tag in range(40_000, 40_000 + tags):
        entries += struct.pack("<HHII", tag, 7, size - start, start)
    data = b"II*\0" + struct.pack("<IH", 8, tags + 1) + entries + bytes(4)
    return data.ljust(size, b"\0")


def jpeg_with(data: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    """The JPEG with segments (marker, content) put before its own."""
    extra = b"".join(
        bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content
        for marker, content in segments
    )
    return data[:2] + extra + data[2:]


def jpeg_with_scans(data: bytes, scans: int) -> bytes:
    """A progressive JPEG with its last scan repeated until there are so many."""
    present = data.count(b"\xff\xda")
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - present) + data[-2:]


def gif_on_screen(data: bytes, width: int, height: int, left: int, top: int) -> bytes:
    """The GIF's first image moved on a larger screen."""
    at = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    moved = data[: at + 1] + struct.pack("<HH", left, top) + data[at + 5 :]
    return moved[:6] + struct.pack("<HH", width, height) + moved[10:]
