"""Pictures that are refused, each with its cause and limit."""

from __future__ import annotations

import os
import random
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.picture_cases import EXACT, GREY, RGB, RGBA, H, W, animated, paletted
from tests.picture_files import (
    bmp,
    encoded,
    grey_tiff,
    jpeg_with_scans,
    png,
    png_bomb,
    png_chunk,
    png_of_size,
    png_rows,
    tiff,
    webp_black,
    webp_extended,
)
from vq.pictures import MAX_BYTES, PictureError, read_picture

JPEG = encoded(RGB, "JPEG")
PNG = encoded(RGB, "PNG")
GIF = paletted(kind="GIF")
TIFF = encoded(RGB, "TIFF", compression="tiff_lzw")


def resized(data: bytes, at: int, kind: str, width: int, height: int) -> bytes:
    """The file with other numbers where its size stands."""
    return data[:at] + struct.pack(kind, width, height) + data[at + struct.calcsize(kind) :]


def jpeg_sized(width: int, height: int) -> bytes:
    return resized(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", height, width)


def with_bad_crc(data: bytes) -> bytes:
    at = data.index(b"IDAT") + 20
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def grey_floats(value: float) -> bytes:
    samples = np.full((H, W), 0.5, np.float32)
    samples[H - 1, W - 1] = value
    return grey_tiff(samples, 32, t339=(3,))


STRIPS = {256: (8,), 257: (8,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (1,)}
MANY_STRIPS = tiff({**STRIPS, 273: tuple(range(1000, 10**6)), 279: (8,) * 8}, bytes(64))

# Name, file, reason, and what the message must say.
REFUSED: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "empty", "empty"),
    ("one byte", b"\x89", "format", "PNG, JPEG, WebP, GIF, BMP or TIFF"),
    ("text", b"Dear Sir or Madam", "format", "TIFF"),
    ("html", b"<html><script>alert(1)</script>", "format", "PNG"),
    ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format", "PNG"),
    ("pdf", b"%PDF-1.7\n%", "format", "PNG"),
    ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0", "format", "PNG"),
    ("zip", b"PK\x03\x04" + bytes(40), "format", "PNG"),
    ("ppm", encoded(RGB, "PPM"), "format", "PNG"),
    ("icon", encoded(RGB, "ICO"), "format", "PNG"),
    ("jpeg 2000", encoded(RGB, "JPEG2000"), "format", "PNG"),
    ("zeros", bytes(1000), "format", "PNG"),
    ("too many bytes", PNG + bytes(MAX_BYTES), "bytes", "20 MB"),
    ("webp bomb of 32 bytes", webp_black(13_000, 13_000), "pixels", "13,000 × 13,000"),
    ("png bomb of 21 KB", png_bomb(13_000, 13_000), "pixels", "36 megapixels"),
    ("png just too large", png_bomb(6001, 6000), "pixels", "6,001 × 6,000"),
    ("png too wide", png_bomb(16_385, 1), "side", "16,384"),
    ("png too tall", png_of_size(1, 16_385), "side", "16,384"),
    ("png of largest size", png_of_size(2**31 - 1, 2**31 - 1), "side", "2,147,483,647"),
    ("png of no size", png_of_size(0, 5), "damaged", "PNG"),
    ("jpeg of 65,500 pixels", jpeg_sized(65_500, 65_500), "side", "65,500"),
    ("jpeg of no height", jpeg_sized(10, 0), "damaged", "JPEG"),
    ("jpeg of 42 megapixels", jpeg_sized(7000, 6000), "pixels", "42.0"),
    ("gif of 65,535 pixels", resized(GIF, 6, "<HH", 65_535, 65_535), "side", "65,535"),
    (
        "gif with a huge image",
        resized(GIF, GIF.index(b"\x2c", 13 + 48) + 5, "<HH", 9000, 9000),
        "pixels",
        "9,000",
    ),
    ("bmp of 30,000 pixels", bmp(bytes(10), 30_000, 30_000, 24), "truncated", "BMP"),
    ("bmp bomb", bmp(bytes(8_000_000), 8000, 8000, 1), "pixels", "64.0"),
    ("bmp of no width", bmp(b"", 0, 5, 24), "damaged", "BMP"),
    ("tiff bomb", grey_tiff(GREY, 8, t256=(9000,), t257=(9000,), t278=(9000,)), "pixels", "81.0"),
    ("webp canvas of 2^48", webp_extended([], 2**24, 2**24, 0), "side", "16,777,216"),
    (
        "webp bomb behind a small header",
        webp_extended([(b"VP8L", webp_black(13_000, 13_000)[20:])], 10, 10, 0),
        "damaged",
        "WebP",
    ),
    (
        "webp bomb before a small header",
        webp_black(13_000, 13_000) + webp_extended([], 10, 10, 0)[12:],
        "pixels",
        "13,000",
    ),
    (
        "jpeg of 65 scans",
        jpeg_with_scans(encoded(RGB, "JPEG", progressive=True), 65),
        "scans",
        "65 scans; the limit is 64",
    ),
    (
        "jpeg of 9,000 scans",
        jpeg_with_scans(encoded(RGB, "JPEG", progressive=True), 9000),
        "scans",
        "9,000",
    ),
    (
        "jpeg of two sizes",
        JPEG[:2] + jpeg_sized(9, 9)[JPEG.index(b"\xff\xc0") : JPEG.index(b"\xff\xc4")] + JPEG[2:],
        "damaged",
        "JPEG",
    ),
    ("jpeg without a scan", JPEG[: JPEG.index(b"\xff\xda")] + b"\xff\xd9", "damaged", "JPEG"),
    (
        "jpeg of 12 bits",
        JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "damaged",
        "JPEG",
    ),
    ("jpeg of comments only", JPEG[:2] + b"\xff\xfe\0\2" * 200_000, "blocks", "100,000"),
    ("png of empty chunks", PNG[:33] + png_chunk(b"IDAT", b"") * 200_000, "blocks", "100,000"),
    ("gif of tiny comments", GIF[:-1] + b"\x21\xfe\x01c\0" * 200_000 + b";", "blocks", "100,000"),
    (
        "gif of one long comment",
        GIF[:-1] + b"\x21\xfe" + b"\x01c" * 200_000 + b"\0;",
        "blocks",
        "100,000",
    ),
    ("png with a bad checksum", with_bad_crc(PNG), "damaged", "PNG"),
    ("png without data", PNG.replace(PNG[33:-12], b""), "damaged", "PNG"),
    ("png with too little data", png(W, H, 8, 2, png_rows(RGB)[:100]), "damaged", "PNG"),
    ("png of no bits", png(W, H, 0, 0, bytes(200), ((b"tRNS", b"\0\0"),)), "damaged", "PNG"),
    ("png rgb of 4 bits", png(W, H, 4, 2, bytes(400), ((b"tRNS", bytes(6)),)), "damaged", "PNG"),
    ("png of 3 bits", png(W, H, 3, 0, bytes(200)), "damaged", "PNG"),
    ("gif without an image", GIF[: 13 + 48] + b";", "damaged", "GIF"),
    ("gif of junk", GIF[: 13 + 48] + b"junk;", "damaged", "GIF"),
    ("bmp run-length coded", bmp(bytes(400), 4, 4, 8, compression=1), "unsupported", "compression"),
    ("bmp that holds a png", bmp(PNG, 4, 4, 0, compression=5), "damaged", "BMP"),
    ("tiff with jpeg", encoded(RGB, "TIFF", compression="jpeg"), "unsupported", "compression 7"),
    ("tiff with 64-bit offsets", b"II+\0\x08\0\0\0" + bytes(60), "unsupported", "BigTIFF"),
    ("tiff without a size", tiff({258: (8,)}, b""), "damaged", "TIFF"),
    ("tiff of no width", grey_tiff(GREY, 8, t256=(0,)), "damaged", "TIFF"),
    (
        "tiff of strips that overlap",
        tiff({**STRIPS, 273: (8,) * 8, 279: (600,) * 8}, bytes(600)),
        "damaged",
        "TIFF",
    ),
    (
        "tiff of too few strips",
        tiff({**STRIPS, 273: (8,) * 7, 279: (8,) * 7}, bytes(64)),
        "damaged",
        "TIFF",
    ),
    (
        "tiff beyond its end",
        tiff({**STRIPS, 273: (9999,) * 8, 279: (8,) * 8}, bytes(64)),
        "truncated",
        "TIFF",
    ),
    (
        "tiff of a huge tile",
        tiff({**STRIPS, 322: (16_384,), 323: (16_384,), 324: (8,), 325: (8,)}, bytes(8)),
        "damaged",
        "TIFF",
    ),
    ("tiff of a million strips", MANY_STRIPS, "blocks", "100,000"),
    ("float not a number", grey_floats(float("nan")), "samples", "not finite"),
    ("float infinite", grey_floats(float("inf")), "samples", "not finite"),
    ("float negative", grey_floats(-0.25), "samples", "-0.25"),
    ("float too large", grey_floats(1e9), "samples", "65535"),
    ("int negative", grey_tiff(np.full((4, 4), -5, np.int32), 32, t339=(2,)), "samples", "-5"),
]


@pytest.mark.parametrize(
    ("data", "reason", "says"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_it_is_refused_with_its_cause(data: bytes, reason: str, says: str) -> None:
    with pytest.raises(PictureError) as error:
        read_picture(data)
    assert error.value.reason == reason
    assert says in str(error.value)
    assert not re.search("0x|Error|Traceback|BytesIO", str(error.value))


WHOLE = {
    "png": PNG,
    "jpeg": JPEG,
    "jpeg progressive": encoded(RGB, "JPEG", progressive=True),
    "webp": encoded(RGB, "WEBP"),
    "webp lossless": encoded(RGBA, "WEBP", lossless=True),
    "webp animated": animated("WEBP"),
    "gif": GIF,
    "gif animated": paletted(kind="GIF", save_all=True, append_images=[Image.fromarray(RGB)]),
    "bmp": encoded(RGB, "BMP"),
    "tiff": encoded(RGB, "TIFF"),
    "tiff lzw": TIFF,
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_anywhere_is_refused(kind: str) -> None:
    data = WHOLE[kind]
    read_picture(data)
    for end in range(12, len(data), 1 + len(data) // 150):
        with pytest.raises(PictureError) as error:
            read_picture(data[:end])
        assert error.value.reason in ("truncated", "damaged", "format")
    with pytest.raises(PictureError):
        read_picture(data[:-1])


def test_places_that_hold_no_picture_are_refused_without_naming_them(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it would wait for ever
    for place in (tmp_path, tmp_path / "missing.png", pipe, Path("/dev/zero")):
        with pytest.raises(PictureError) as error:
            read_picture(place)
        assert error.value.reason == "unreadable"
        assert place.name not in str(error.value) and str(tmp_path) not in str(error.value)
    for name in ("a\0b.png", "x" * 5000, "http://127.0.0.1/picture.png"):
        with pytest.raises(PictureError) as error:
            read_picture(name)
        assert error.value.reason == "unreadable" and name not in str(error.value)


def test_other_sources_are_a_mistake_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(TypeError):
        read_picture(3)  # type: ignore[arg-type]
    with (tmp_path / "x.txt").open() as text, pytest.raises(TypeError):
        read_picture(text)  # type: ignore[arg-type]


def mutated(data: bytes, rng: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(min(len(result), rng.choice((40, 400, 10**6))))
        change = rng.randrange(4)
        if change == 0:
            result[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            result[at : at + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, rng.randbytes(4)))
        elif change == 2:
            del result[at : at + rng.choice((1, 2, 40))]
        else:
            result[at:at] = rng.randbytes(rng.choice((1, 2, 4)))
        result = result or bytearray(1)
    return bytes(result)


@pytest.mark.parametrize("name", [name for name, data, _ in EXACT if len(data) < 5000])
def test_a_damaged_file_gives_a_picture_or_a_picture_error(name: str) -> None:
    data = next(data for known, data, _ in EXACT if known == name)
    rng = random.Random(name)
    for _ in range(25):
        try:
            assert read_picture(mutated(data, rng)).mode == "RGB"
        except PictureError as error:
            assert str(error)
