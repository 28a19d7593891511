"""What a picture file says about itself, read without a decoder.

Decoders are eager in places where a public program cannot afford it: libwebp makes its canvas
when a file is opened; an EXIF directory may list the same megabytes thousands of times; a
progressive JPEG may repaint every pixel in thousands of scans; comments in a GIF may cost
quadratic time. So each parser here walks the container's own structure, finds the stored size,
and rebuilds the smallest file that shows the same first frame. Metadata, further frames and
trailing bytes never reach the decoder. A walk is linear in the file and bounded by `MAX_BLOCKS`;
a file that ends before its container does is refused.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

from vq.picture_file import (
    MAX_BLOCKS,
    PictureError,
    PictureFile,
    damaged,
    too_many_blocks,
    truncated,
    unsupported,
)
from vq.tiff import exif_orientation, first_page

FORMATS = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF")


def take_apart(data: bytes) -> PictureFile:
    """Parse a picture file by its first bytes, whatever its name. Raises PictureError.

    Nothing is decoded and no size is judged: that is for the caller, before it decodes.
    """
    if not data:
        raise PictureError("empty", "The picture file is empty.")
    for starts, parse, kind in _PARSERS:
        if starts(data):
            try:
                return parse(data)
            except struct.error:  # a field was to be read behind the end
                raise truncated(kind) from None
    known = ", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}"
    raise PictureError("format", f"The file is not a picture in one of the formats read: {known}.")


def _png(data: bytes) -> PictureFile:
    """PNG (ISO/IEC 15948): 8 bytes of signature, then chunks of length, type, content, CRC."""
    position, orientation = 8, 1
    kept: dict[bytes, list[bytes]] = {}
    header = transparency = b""
    for _ in range(MAX_BLOCKS):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise truncated("PNG")
        content = data[position + 8 : end - 4]
        if (position == 8) != (kind == b"IHDR"):
            raise damaged("PNG")
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            (crc,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(content, zlib.crc32(kind)) != crc:
                raise damaged("PNG")
            kept.setdefault(kind, []).append(data[position:end])
        if kind == b"IHDR":
            header = content
        elif kind == b"tRNS":
            transparency = content
        elif kind == b"eXIf":
            orientation = exif_orientation(content)
        elif kind == b"IEND":
            break
        position = end
    else:
        raise too_many_blocks("PNG")
    if b"IDAT" not in kept:
        raise damaged("PNG")
    width, height, bits, colour = struct.unpack_from(">IIBB", header)
    if bits not in ((8, 16) if colour == 2 else (1, 2, 4, 8, 16)):
        raise damaged("PNG")
    transparent = None
    if colour in (0, 2) and transparency:  # a grey or a colour; decoders disagree about its levels
        transparent = _png_transparent(transparency, bits, colour)
        del kept[b"tRNS"]
    order = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    chunks = [chunk for kind in order for chunk in kept.get(kind, [])]
    clean = b"".join((data[:8], *chunks))
    return PictureFile("PNG", width, height, clean, orientation, bits, transparent)


def _png_transparent(content: bytes, bits: int, colour: int) -> tuple[int, ...]:
    """The transparent colour in the levels that Pillow decodes to.

    Greys below 16 bits become 0 to 255 and 16-bit greys stay; of 16-bit colours the high byte
    stays, so that colours in the same 256th of the range count as the same.
    """
    top = 2**bits - 1
    values = [value & top for value in struct.unpack_from(">H" if colour == 0 else ">HHH", content)]
    if colour == 2:
        return tuple(value >> (bits - 8) for value in values)
    return (values[0] if bits == 16 else values[0] * 255 // top,)


# Any marker but stuffing (00), fill (FF), TEM (01) and restarts (D0 to D7), which carry no segment.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_SOF = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Frames, Huffman and arithmetic tables, quantisation, restart interval, JFIF, and Adobe's colours.
_JPEG_KEPT = _SOF | {0xC4, 0xCC, 0xDB, 0xDD, _SOS, _APP0, _APP14}


def _jpeg(data: bytes) -> PictureFile:
    """JPEG (ITU-T T.81, annex B): segments up to the first end of image, scans counted."""
    kept, exif, scans = [data[:2]], b"", 0
    frame: tuple[int, int] | None = None
    marker = _JPEG_MARKER.search(data, 2)
    for _ in range(MAX_BLOCKS):
        if marker is None:
            raise truncated("JPEG")
        kind = marker[1][0]
        if kind == _EOI:
            break
        start = marker.end()
        (length,) = struct.unpack_from(">H", data, start)
        end = start + length
        if kind == _SOI or length < 2 or (kind in _SOF and frame is not None):
            raise damaged("JPEG")
        following = _JPEG_MARKER.search(data, end)
        if kind in _SOF:
            height, width = struct.unpack_from(">HH", data, start + 3)
            frame = width, height
        elif kind == _SOS:
            scans += 1
            # The coded data, which run up to the next marker, belong to the scan.
            end = following.start() if following else len(data)
        elif kind == _APP1 and data.startswith(b"Exif\0\0", start + 2) and not exif:
            exif = data[start + 8 : end]
        if kind in _JPEG_KEPT:
            kept.append(data[marker.start() : end])
        marker = following
    else:
        raise too_many_blocks("JPEG")
    if frame is None or not scans:
        raise damaged("JPEG")
    clean = b"".join((*kept, b"\xff\xd9"))
    return PictureFile("JPEG", *frame, clean, exif_orientation(exif), scans=scans)


def _gif(data: bytes) -> PictureFile:
    """GIF89a: the screen, its palette, and the first image with the control block before it."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    screen_end = position = 13 + _gif_palette_bytes(flags)
    control = frame = b""
    blocks = 0
    while True:
        start = position
        (introducer,) = struct.unpack_from("B", data, position)
        if introducer == 0x3B:  # the trailer
            break
        if introducer == 0x21:
            (label,) = struct.unpack_from("B", data, position + 1)
            position += 2
        elif introducer == 0x2C:
            label = None
            left, top, across, down, flags = struct.unpack_from("<HHHHB", data, position + 1)
            if not frame:
                box = (left, top, left + across, top + down)
                width, height = max(width, box[2]), max(height, box[3])
            position += 10 + _gif_palette_bytes(flags) + 1  # and the code size of the LZW data
        else:
            raise damaged("GIF")
        size = 1
        while size:  # sub-blocks, each behind its length, up to an empty one
            (size,) = struct.unpack_from("B", data, position)
            position += 1 + size
            blocks += 1
            if blocks > MAX_BLOCKS:
                raise too_many_blocks("GIF")
        if label is None and not frame:
            frame = data[start:position]
        elif label == 0xF9 and not frame:
            control = data[start:position]
    if not frame:
        raise damaged("GIF")
    screen = data[:6] + struct.pack("<HH", width, height) + data[10:screen_end]
    clean = screen + control + frame + b";"
    return PictureFile("GIF", width, height, clean, covered=box)


def _gif_palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> PictureFile:
    """WebP (RFC 9649): a RIFF of one picture chunk, or of an extended header and what it lists."""
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    stop = 8 + riff_bytes
    if stop > len(data):
        raise truncated("WebP")
    position, orientation = 12, 1
    kept: dict[bytes, bytes] = {}
    for _ in range(MAX_BLOCKS):
        if position + 8 > stop:
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length
        if end > stop:
            raise truncated("WebP")
        content = data[position + 8 : end]
        if kind == b"EXIF":
            orientation = exif_orientation(content.removeprefix(b"Exif\0\0"))
        elif kind in (b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"):
            kept.setdefault(kind, content)  # of an animation, the first frame
        position = end + length % 2
    else:
        raise too_many_blocks("WebP")
    first = data[12:16]  # it alone decides which size counts
    header = kept.get(first, b"")
    if first == b"VP8X":
        flags, low, high, low_down, high_down = struct.unpack_from("<B3xHBHB", header)
        width, height = (low | high << 16) + 1, (low_down | high_down << 16) + 1
        # Alpha (16) and animation (2) stay; profile, EXIF and XMP are gone.
        kept[first] = bytes((flags & 18,)) + header[1:]
    elif first == b"VP8L":
        (sides,) = struct.unpack_from("<I", header, 1)
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        kept = {first: header}
    elif first == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", header, 6))
        kept = {first: header}
    else:
        raise damaged("WebP")
    chunks = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in kept.items()
    )
    clean = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    return PictureFile("WebP", width, height, clean, orientation)


def _bmp(data: bytes) -> PictureFile:
    """BMP with the headers of OS/2 (12 bytes) or Windows (40 and more); rows bottom up or down."""
    start, header_bytes = struct.unpack_from("<II", data, 10)
    compression = 0
    if header_bytes == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    if width < 1 or not 1 <= bits <= 32:
        raise damaged("BMP")
    if compression not in (0, 3):  # plain, and plain with a mask for each channel
        raise unsupported("BMP", "compression")
    if start + (width * bits + 31) // 32 * 4 * height > len(data):
        raise truncated("BMP")
    return PictureFile("BMP", width, height, data)


_PARSERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], PictureFile], str], ...] = (
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png, "PNG"),
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg, "JPEG"),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _webp, "WebP"),
    (lambda data: data.startswith((b"GIF87a", b"GIF89a")), _gif, "GIF"),
    (lambda data: data.startswith(b"BM"), _bmp, "BMP"),
    (lambda data: data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")), first_page, "TIFF"),
)
