"""Odd pictures that are accepted, each with the answer worked out another way."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image, ImageCms

from tests.picture_files import (
    adam7_rows,
    bmp,
    bmp_os2,
    encoded,
    gif_on_screen,
    grey_tiff,
    jpeg_with,
    jpeg_with_scans,
    packed_rows,
    png,
    png_bomb,
    png_rows,
    tiff,
    webp_black,
    webp_extended,
)

RNG = np.random.default_rng(0)
H, W = 11, 17
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
OTHER = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
GREY_16 = RNG.integers(0, 65536, (H, W)).astype(np.uint16)
RGB_16 = RNG.integers(0, 65536, (H, W, 3)).astype(np.uint16)
ALPHA = RNG.integers(0, 256, (H, W), dtype=np.uint8)
RGBA = np.dstack([RGB, ALPHA])
LA = np.dstack([GREY, ALPHA])
CMYK = RNG.integers(0, 256, (H, W, 4), dtype=np.uint8)
BITS = RNG.integers(0, 2, (H, W)).astype(bool)
PALETTE = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
INDEX = RNG.integers(0, 16, (H, W)).astype(np.uint8)
# Smooth, so that lossy formats keep it within a few levels.
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[60:200:32j, 40:220:48j], 128), axis=-1).astype(
    np.uint8
)


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(colour * share + 255 * (1 - share))


def from_cmyk(cmyk: np.ndarray) -> np.ndarray:
    ink = 255 - cmyk.astype(float)
    return ink[..., :3] * ink[..., 3:] / 255


def to_lab(rgb: np.ndarray) -> bytes:
    """CIELAB of sRGB as TIFF holds it: L from 0 to 255, a and b signed. White point D50."""
    share = rgb / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    to_xyz = [  # adapted from D65 after Bradford, and divided by the white point
        [0.4360747 / 0.96422, 0.3850649 / 0.96422, 0.1430804 / 0.96422],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322 / 0.82521, 0.0971045 / 0.82521, 0.7141733 / 0.82521],
    ]
    x, y, z = np.moveaxis(np.cbrt(linear @ np.array(to_xyz).T), -1, 0)
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y), 200 * (y - z)], axis=-1)
    return (np.rint(lab).astype(int) & 255).astype(np.uint8).tobytes()


def paletted(
    transparency: bytes | int | None = None, kind: str = "PNG", **options: object
) -> bytes:
    image = Image.frombytes("P", (W, H), INDEX.tobytes())
    image.putpalette(PALETTE.tobytes())
    if transparency is not None:
        options["transparency"] = transparency
    return encoded(image, kind, **options)


def mode(name: str, samples: np.ndarray) -> Image.Image:
    return Image.frombytes(name, (W, H), samples.tobytes())


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def animated(kind: str, **options: object) -> bytes:
    options = {"save_all": True, "append_images": [Image.fromarray(OTHER)], **options}
    return encoded(RGB, kind, **options)


def mpo() -> bytes:
    return encoded(SMOOTH, "MPO", save_all=True, append_images=[Image.fromarray(SMOOTH[::-1])])


PROGRESSIVE = encoded(SMOOTH, "JPEG", quality=98, progressive=True)
INDEX_COLOURS = PALETTE[INDEX]
TRANSPARENCY = bytes(range(0, 256, 17))
SCALED_16 = np.rint(GREY_16 / 257)
MASKS = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
MASKS_565 = struct.pack("<IIII", 0xF800, 0x7E0, 0x1F, 0)
BGR_ROWS = b"".join(row[:, ::-1].tobytes().ljust(52, b"\0") for row in RGB)
BGR_ROWS_UP = b"".join(row[:, ::-1].tobytes().ljust(52, b"\0") for row in RGB[::-1])
RGB_565 = np.dstack([GREY >> 3, GREY >> 2, ALPHA >> 3]).astype(np.uint16)
WORDS_565 = RGB_565 @ np.array([2048, 32, 1], np.uint16)
ROWS_565 = b"".join(row.tobytes().ljust(36, b"\0") for row in WORDS_565[::-1])
FLOATS = RNG.random((H, W)).astype(np.float32)
TILED = {256: (W,), 257: (H,), 258: (8,), 259: (1,), 262: (1,), 277: (1,)}
TILED |= {322: (32,), 323: (16,), 324: (8,), 325: (512,)}
TILE = np.pad(GREY, ((0, 16 - H), (0, 32 - W))).tobytes()
PLANES = {256: (W,), 257: (H,), 258: (8, 8, 8), 259: (1,), 262: (2,), 277: (3,), 278: (H,)}
PLANES |= {273: (8, 8 + H * W, 8 + 2 * H * W), 279: (H * W,) * 3, 284: (2,)}
# Colours that are inside the gamut by a margin, so that no conversion clips them.
MUTED = RNG.integers(64, 193, (H, W, 3), dtype=np.uint8)
LAB_TAGS = {256: (W,), 257: (H,), 258: (8, 8, 8), 259: (1,), 262: (8,), 277: (3,), 278: (H,)}
LAB_TAGS |= {273: (8,), 279: (3 * H * W,)}

# Name, file, and the pixels (H, W, 3) that must come out to the last bit.
EXACT: list[tuple[str, bytes, np.ndarray]] = [
    ("png 1 bit", encoded(BITS, "PNG"), three(BITS * 255)),
    ("png 2 bits", png(W, H, 2, 0, packed_rows(GREY >> 6, 2)), three((GREY >> 6) * 85)),
    ("png 4 bits", png(W, H, 4, 0, packed_rows(GREY >> 4, 4)), three((GREY >> 4) * 17)),
    ("png grey", encoded(GREY, "PNG"), three(GREY)),
    ("png grey 16", encoded(GREY_16, "PNG"), three(SCALED_16)),
    ("png grey alpha", encoded(mode("LA", LA), "PNG"), over_white(three(GREY), ALPHA)),
    ("png rgb", encoded(RGB, "PNG"), RGB),
    ("png rgba", encoded(RGBA, "PNG"), over_white(RGB, ALPHA)),
    ("png rgb 16", png(W, H, 16, 2, png_rows(RGB_16)), RGB_16 >> 8),
    (
        "png rgba 16",
        png(W, H, 16, 6, png_rows(np.dstack([RGB_16, GREY_16]))),
        over_white(RGB_16 >> 8, GREY_16 >> 8),
    ),
    (
        "png grey alpha 16",
        png(W, H, 16, 4, png_rows(np.dstack([GREY_16, RGB_16[..., 0]]))),
        over_white(three(GREY_16 >> 8), RGB_16[..., 0] >> 8),
    ),
    ("png palette", paletted(), INDEX_COLOURS),
    ("png palette, alpha each", paletted(TRANSPARENCY), over_white(INDEX_COLOURS, INDEX * 17)),
    ("png palette, one clear", paletted(5), np.where((INDEX == 5)[..., None], 255, INDEX_COLOURS)),
    (
        "png 1 bit, black clear",
        png(W, H, 1, 0, packed_rows(BITS.astype(np.uint8), 1), ((b"tRNS", b"\0\0"),)),
        three(np.full((H, W), 255)),
    ),
    (
        "png 4 bits, one clear",
        png(W, H, 4, 0, packed_rows(GREY >> 4, 4), ((b"tRNS", b"\0\x03"),)),
        three(np.where(GREY >> 4 == 3, 255, (GREY >> 4) * 17)),
    ),
    (
        "png grey, one clear",
        png(W, H, 8, 0, png_rows(GREY), ((b"tRNS", struct.pack(">H", GREY[2, 3])),)),
        three(np.where(GREY[2, 3] == GREY, 255, GREY)),
    ),
    (
        "png grey 16, one clear",
        png(W, H, 16, 0, png_rows(GREY_16), ((b"tRNS", struct.pack(">H", GREY_16[2, 3])),)),
        three(np.where(GREY_16[2, 3] == GREY_16, 255, SCALED_16)),
    ),
    (
        "png rgb, one clear",
        png(W, H, 8, 2, png_rows(RGB), ((b"tRNS", struct.pack(">HHH", *RGB[4, 5])),)),
        np.where((RGB[4, 5] == RGB).all(-1, keepdims=True), 255, RGB),
    ),
    (
        "png rgb 16, one clear",
        png(W, H, 16, 2, png_rows(RGB_16), ((b"tRNS", struct.pack(">HHH", *RGB_16[4, 5])),)),
        np.where((RGB_16[4, 5] == RGB_16).all(-1, keepdims=True), 255, RGB_16 >> 8),
    ),
    ("png interlaced", png(W, H, 8, 2, adam7_rows(RGB), interlaced=True), RGB),
    ("png animated", animated("PNG"), RGB),
    ("png animated, other still", animated("PNG", default_image=True), RGB),
    ("png with profile", encoded(RGB, "PNG", icc_profile=srgb_profile()), RGB),
    ("png and more after it", encoded(RGB, "PNG") + b"trailing bytes", RGB),
    ("png of many texts", png(W, H, 8, 2, png_rows(RGB), ((b"tEXt", b"a\0b"),) * 3000), RGB),
    ("webp", encoded(RGB, "WEBP", lossless=True), RGB),
    ("webp with alpha", encoded(RGBA, "WEBP", lossless=True, exact=True), over_white(RGB, ALPHA)),
    ("webp animated", animated("WEBP", lossless=True), RGB),
    ("webp of 32 bytes", webp_black(W, H), np.zeros((H, W, 3))),
    ("webp with profile", encoded(RGB, "WEBP", lossless=True, icc_profile=srgb_profile()), RGB),
    (
        "webp extended, unknown chunk",
        webp_extended([(b"what", b"xyz"), (b"VP8L", webp_black(W, H)[20:])], W, H, 0),
        np.zeros((H, W, 3)),
    ),
    ("webp and more after it", encoded(RGB, "WEBP", lossless=True) + b"trailing", RGB),
    ("gif", paletted(kind="GIF"), INDEX_COLOURS),
    ("gif grey", encoded(GREY, "GIF"), three(GREY)),
    ("gif not interlaced", paletted(kind="GIF", interlace=0), INDEX_COLOURS),
    ("gif, one clear", paletted(5, "GIF"), np.where((INDEX == 5)[..., None], 255, INDEX_COLOURS)),
    (
        "gif animated",
        paletted(kind="GIF", save_all=True, append_images=[Image.fromarray(OTHER)]),
        INDEX_COLOURS,
    ),
    (
        "gif of part of the screen",
        gif_on_screen(paletted(kind="GIF"), W + 5, H + 6, 2, 3),
        np.pad(INDEX_COLOURS, ((3, 3), (2, 3), (0, 0)), constant_values=255),
    ),
    (
        "gif of part of the screen, one clear",
        gif_on_screen(paletted(5, "GIF"), W + 5, H + 6, 2, 3),
        np.pad(
            np.where((INDEX == 5)[..., None], 255, INDEX_COLOURS),
            ((3, 3), (2, 3), (0, 0)),
            constant_values=255,
        ),
    ),
    (
        "gif beyond the screen",
        gif_on_screen(paletted(kind="GIF"), 4, 4, 0, 0),
        INDEX_COLOURS,
    ),
    ("gif with comments", paletted(kind="GIF", comment=b"c" * 70_000), INDEX_COLOURS),
    ("bmp 1 bit", encoded(BITS, "BMP"), three(BITS * 255)),
    ("bmp grey", encoded(GREY, "BMP"), three(GREY)),
    ("bmp palette", paletted(kind="BMP"), INDEX_COLOURS),
    ("bmp rgb", bmp(BGR_ROWS_UP, W, H, 24), RGB),
    ("bmp top down", bmp(BGR_ROWS, W, -H, 24), RGB),
    ("bmp of OS/2", bmp_os2(BGR_ROWS_UP, W, H), RGB),
    (
        "bmp with alpha",
        bmp(RGBA[::-1, :, [2, 1, 0, 3]].tobytes(), W, H, 32, 3, MASKS),
        over_white(RGB, ALPHA),
    ),
    ("bmp 32 bits without alpha", bmp(RGBA[::-1, :, [2, 1, 0, 3]].tobytes(), W, H, 32), RGB),
    (
        "bmp 16 bits",
        bmp(ROWS_565, W, H, 16, 3, MASKS_565),
        RGB_565 * 255 // np.array([31, 63, 31]),
    ),
    ("tiff 1 bit", encoded(BITS, "TIFF"), three(BITS * 255)),
    ("tiff grey", encoded(GREY, "TIFF"), three(GREY)),
    ("tiff grey alpha", encoded(mode("LA", LA), "TIFF"), over_white(three(GREY), ALPHA)),
    ("tiff rgb", encoded(RGB, "TIFF"), RGB),
    ("tiff rgba", encoded(RGBA, "TIFF"), over_white(RGB, ALPHA)),
    ("tiff palette", paletted(kind="TIFF"), INDEX_COLOURS),
    ("tiff lzw", encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
    ("tiff deflate", encoded(RGB, "TIFF", compression="tiff_adobe_deflate"), RGB),
    ("tiff packbits", encoded(RGBA, "TIFF", compression="packbits"), over_white(RGB, ALPHA)),
    ("tiff grey 16", grey_tiff(GREY_16, 16), three(SCALED_16)),
    ("tiff grey 16 big-endian", grey_tiff(GREY_16, 16, ">"), three(SCALED_16)),
    ("tiff grey 16 lzw", encoded(GREY_16, "TIFF", compression="tiff_lzw"), three(SCALED_16)),
    ("tiff grey, white 0", grey_tiff(GREY, 8, t262=(0,)), three(255 - GREY)),
    ("tiff grey 16, white 0", grey_tiff(GREY_16, 16, t262=(0,)), three(255 - SCALED_16)),
    (
        "tiff float to 1",
        grey_tiff(FLOATS, 32, t339=(3,)),
        three(np.rint(FLOATS.astype(float) * 255)),
    ),
    (
        "tiff float to 255",
        grey_tiff(FLOATS * 255, 32, t339=(3,)),
        three(np.rint((FLOATS * 255).astype(float))),
    ),
    ("tiff float to 65535", grey_tiff(GREY_16.astype(np.float32), 32, t339=(3,)), three(SCALED_16)),
    (
        "tiff float, white 0",
        grey_tiff(BITS * np.float32(1), 32, t339=(3,), t262=(0,)),
        three(~BITS * 255),
    ),
    ("tiff int to 1", grey_tiff(BITS.astype(np.int32), 32, t339=(2,)), three(BITS * 255)),
    ("tiff int to 255", grey_tiff(GREY.astype(np.int32), 32, t339=(2,)), three(GREY)),
    ("tiff int to 65535", grey_tiff(GREY_16.astype(np.uint32), 32), three(SCALED_16)),
    (
        "tiff signed 16",
        grey_tiff((GREY_16 >> 1).astype(np.int16), 16, t339=(2,)),
        three(np.rint((GREY_16 >> 1) / 257)),
    ),
    (
        "tiff two pages",
        encoded(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(OTHER)]),
        RGB,
    ),
    ("tiff in tiles", tiff(TILED, TILE), three(GREY)),
    ("tiff in planes", tiff(PLANES, RGB.transpose(2, 0, 1).tobytes()), RGB),
    ("one pixel", encoded(RGB[:1, :1], "PNG"), RGB[:1, :1]),
    ("widest", png_bomb(16384, 1), np.zeros((1, 16384, 3))),
    ("tallest", encoded(np.full((16384, 1, 3), 7, np.uint8), "TIFF"), np.full((16384, 1, 3), 7)),
]

# The same for what an encoder or a conversion may change by a few levels.
CLOSE: list[tuple[str, bytes, np.ndarray, int]] = [
    ("jpeg", encoded(SMOOTH, "JPEG", quality=98), SMOOTH, 5),
    ("jpeg grey", encoded(SMOOTH[..., 0], "JPEG", quality=98), three(SMOOTH[..., 0]), 3),
    ("jpeg progressive", PROGRESSIVE, SMOOTH, 5),
    ("jpeg rgb", encoded(SMOOTH, "JPEG", quality=98, keep_rgb=True), SMOOTH, 5),
    ("jpeg 4:4:4", encoded(SMOOTH, "JPEG", quality=98, subsampling=0), SMOOTH, 5),
    ("jpeg with restarts", encoded(SMOOTH, "JPEG", quality=98, restart_marker_blocks=1), SMOOTH, 5),
    (
        "jpeg cmyk",
        encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=98),
        SMOOTH,
        5,
    ),
    # The last scan, given again and again, moves coefficients by a level or two.
    ("jpeg of 64 scans", jpeg_with_scans(PROGRESSIVE, 64), SMOOTH, 12),
    (
        "jpeg with profile",
        encoded(SMOOTH, "JPEG", quality=98, icc_profile=srgb_profile()),
        SMOOTH,
        5,
    ),
    (
        "jpeg and more after it",
        encoded(SMOOTH, "JPEG", quality=98) + b"\xff\xd8\xff\xda",
        SMOOTH,
        5,
    ),
    (
        "jpeg with a thumbnail",
        jpeg_with(encoded(SMOOTH, "JPEG", quality=98), [(0xE1, b"x" + b"\xff\xda\0\x08" * 200)]),
        SMOOTH,
        5,
    ),
    ("jpeg of two pictures", mpo(), SMOOTH, 12),
    ("webp lossy", encoded(SMOOTH, "WEBP", quality=98), SMOOTH, 8),
    ("tiff cmyk", encoded(mode("CMYK", CMYK), "TIFF"), from_cmyk(CMYK), 1),
    ("tiff lab", tiff(LAB_TAGS, to_lab(MUTED)), MUTED, 5),
]
