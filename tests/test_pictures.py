"""Every odd picture that is accepted, against an answer worked out without the reader."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.picture_cases import ALPHA, CLOSE, EXACT, RGB, RGBA, SMOOTH, over_white, srgb_profile
from tests.picture_files import encoded, jpeg_with, png_bomb
from vq.pictures import read_picture


def with_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize(
    ("data", "expected"), [case[1:] for case in EXACT], ids=[c[0] for c in EXACT]
)
def test_pixels_are_exact(data: bytes, expected: np.ndarray) -> None:
    picture = read_picture(data)
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"), [case[1:] for case in CLOSE], ids=[c[0] for c in CLOSE]
)
def test_pixels_are_close(data: bytes, expected: np.ndarray, tolerance: int) -> None:
    picture = read_picture(data)
    assert picture.mode == "RGB" and picture.size == (expected.shape[1], expected.shape[0])
    error = np.abs(np.asarray(picture).astype(float) - expected)
    assert error.max() <= tolerance


# EXIF 2.32, tag 274: which side of the scene is the 0th row and the 0th column.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
    9: lambda a: a,  # no such orientation: left as it is
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    source = SMOOTH if kind == "JPEG" else RGB
    plain = np.asarray(read_picture(encoded(source, kind, **options)))
    turned = read_picture(encoded(source, kind, exif=with_exif(orientation), **options))
    np.testing.assert_array_equal(np.asarray(turned), UPRIGHT[orientation](plain))


def test_alpha_turns_with_the_picture() -> None:
    turned = read_picture(encoded(RGBA, "PNG", exif=with_exif(6)))
    np.testing.assert_array_equal(np.asarray(turned), np.rot90(over_white(RGB, ALPHA), -1))


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0junk" * 9]
)
def test_unreadable_exif_leaves_the_picture_as_it_is(exif: bytes) -> None:
    data = encoded(SMOOTH, "JPEG")
    with_junk = jpeg_with(data, [(0xE1, exif)])
    assert read_picture(with_junk).tobytes() == read_picture(data).tobytes()


def test_metadata_are_left_behind() -> None:
    """Where a photo was taken must not end up in what is made from it."""
    exif = with_exif(1)
    exif[271] = "camera"
    data = encoded(RGB, "PNG", exif=exif, icc_profile=srgb_profile(), dpi=(300, 300))
    assert read_picture(data).info == {}


def test_a_path_bytes_and_a_file_give_the_same(tmp_path: Path) -> None:
    data = encoded(RGB, "PNG")
    path = tmp_path / "wrong extension.jpg"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources: list[Any] = [
            str(path),
            path,
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
        ]
        for source in sources:
            np.testing.assert_array_equal(np.asarray(read_picture(source)), RGB)


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"header" + encoded(RGB, "PNG"))
    file.seek(6)
    np.testing.assert_array_equal(np.asarray(read_picture(file)), RGB)


def test_a_photo_of_24_megapixels_passes() -> None:
    ramp = np.linspace(0, 255, 6000).astype(np.uint8)
    photo = np.ascontiguousarray(np.broadcast_to(ramp, (4000, 6000)))
    picture = read_picture(encoded(photo, "JPEG"))
    assert picture.size == (6000, 4000)
    assert np.abs(np.asarray(picture.crop((0, 0, 6000, 1)))[0, :, 1].astype(int) - ramp).max() <= 3


def test_pictures_read_at_the_same_time_do_not_mix() -> None:
    files = [data for _, data, _ in EXACT] + [png_bomb(2100 + i, 2000) for i in range(4)]
    alone = [read_picture(data).tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: read_picture(data).tobytes(), files))
    assert together == alone
