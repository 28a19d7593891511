"""The memory that hostile and large pictures cost, measured in a process of its own for each."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.picture_cases import GREY, RGB, H, W
from tests.picture_files import (
    encoded,
    exif_bomb,
    jpeg_with,
    png,
    png_bomb,
    png_rows,
    tiff,
    webp_black,
    webp_extended,
)
from tests.test_pictures_refused import JPEG, MANY_STRIPS, jpeg_sized
from vq.pictures import read_picture

# VmHWM is the process's own peak; `ru_maxrss` would begin at the peak of the one that started it.
MEASURE = """
import sys
from PIL import Image
from tests.picture_files import encoded
from vq.pictures import PictureError, read_picture
for kind in ("PNG", "WEBP", "TIFF", "JPEG", "GIF", "BMP"):  # what is imported and made but once
    read_picture(encoded(Image.new("RGB", (64, 64)), kind))
def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
before, kept = memory("VmHWM"), memory("VmRSS")
try:
    read_picture(sys.argv[1])
except PictureError as error:
    print(error.reason, file=sys.stderr)
print((memory("VmHWM") - before) // 1024, (memory("VmRSS") - kept) // 1024)
"""


def megabytes_used(data: bytes, tmp_path: Path) -> int:
    """The growth of a process's largest memory by reading the picture, in MB."""
    return measured(data, tmp_path)[0]


def measured(data: bytes, tmp_path: Path) -> tuple[int, int]:
    """How much more memory a process takes at most to read the picture, and keeps after, in MB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux to measure memory")
    (tmp_path / "picture").write_bytes(data)
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, str(tmp_path / "picture")]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    peak, kept = done.stdout.split()
    return int(peak), int(kept)


@pytest.mark.parametrize(
    "data",
    [
        webp_black(13_000, 13_000),
        png_bomb(13_000, 13_000),
        webp_extended([(b"VP8L", webp_black(16_383, 16_383)[20:])], 10, 10, 0),
        jpeg_sized(65_500, 65_500),
        MANY_STRIPS,
    ],
    ids=["webp", "png", "webp inside", "jpeg", "tiff"],
)
def test_a_bomb_costs_next_to_no_memory(data: bytes, tmp_path: Path) -> None:
    assert megabytes_used(data, tmp_path) < 30


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_directories_that_list_the_same_bytes_again_are_not_followed(
    kind: str, tmp_path: Path
) -> None:
    """2,000 tags of 60 KB (a JPEG's) or 500 KB: followed, they would take 120 MB or 1 GB."""
    if kind == "JPEG":
        data = jpeg_with(JPEG, [(0xE1, b"Exif\0\0" + exif_bomb(60_000))])
    elif kind == "PNG":
        data = png(W, H, 8, 2, png_rows(RGB), ((b"eXIf", exif_bomb(500_000)),))
    elif kind == "WEBP":
        bomb = (b"EXIF", exif_bomb(500_000))
        data = webp_extended([(b"VP8L", webp_black(W, H)[20:]), bomb], W, H, 8)
    else:
        tags = {256: (W,), 257: (H,), 258: (8,), 259: (1,), 262: (1,), 273: (8,), 274: (6,)}
        tags |= {277: (1,), 278: (H,), 279: (H * W,)}
        data = tiff(tags, GREY.tobytes())
        # Its directory again, with private tags that hold the whole of a longer file.
        count = len(tags) + 2000
        entries = data[8 + H * W + H * W % 2 + 2 :][: 12 * len(tags)]
        for tag in range(40_000, 42_000):
            entries += struct.pack("<HHII", tag, 7, 500_000, 8)
        body = data[8 : 8 + H * W].ljust(500_000, b"\0")
        head = b"II*\0" + struct.pack("<I", 8 + len(body))
        data = head + body + struct.pack("<H", count) + entries + bytes(4)
    assert read_picture(data).size == (H, W)  # turned by a quarter
    assert megabytes_used(data, tmp_path) < 30


@pytest.mark.parametrize(
    "data",
    [
        webp_black(6000, 6000),
        png(6000, 6000, 8, 6, (b"\0" + bytes(24_000)) * 6000),
        jpeg_with(encoded(Image.new("CMYK", (6000, 6000)), "JPEG", progressive=True), []),
    ],
    ids=["webp", "png with alpha", "jpeg progressive, cmyk"],
)
def test_the_largest_pictures_take_600_megabytes_and_give_them_back(
    data: bytes, tmp_path: Path
) -> None:
    peak, kept = measured(data, tmp_path)
    assert peak < 600 and kept < 50
