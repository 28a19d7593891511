"""The one picture reader: for the page, the API and the command line.

`read_picture` turns any file of the six formats (PNG, JPEG, WebP, GIF, BMP, TIFF) into an upright
8-bit RGB picture, or refuses it with a message that names cause and limit. Size, frames and
scans are judged from the container (`vq.containers`) before a decoder sees the file.

What becomes of unusual pictures:

- Only the first frame or page is read, and EXIF orientation is applied.
- Transparency is laid over white. What a GIF's first frame leaves bare is transparent.
- Deep greys are scaled to 8 bits with rounding: 16 bits by 1/257. Of 16-bit colours, which the
  decoder gives in 8 bits, the high byte stays.
- Samples whose type fixes no white, 32-bit integers and floats, must be finite and lie in
  [0, 65535]. White is the least of 1, 255 and 65535 that no sample exceeds.
- CIELAB is converted to sRGB, CMYK with Pillow's plain formula; other colour profiles are dropped
  and their numbers kept, so that a picture's pixels are the file's.
- A file that is cut short is refused, even where a decoder would fill up the rest.
"""

from __future__ import annotations

import io
import math
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from vq.containers import take_apart
from vq.picture_file import PictureError, PictureFile, damaged

if TYPE_CHECKING:
    import torch

__all__ = [
    "MAX_BYTES",
    "MAX_JPEG_SCANS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "PictureError",
    "read_mask",
    "read_picture",
    "to_tensor",
    "to_uint8",
    "working_size",
]

MAX_BYTES = 20_000_000
MAX_SIDE = 16_384  # pixels
MAX_PIXELS = 36_000_000
MAX_JPEG_SCANS = 64  # baseline has 1, a usual progressive picture 10

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

# A picture of MAX_PIXELS takes up to 550 MB while it is decoded. Pictures larger than this wait for
# one another, so that visitors who come together do not add up.
_LARGE_PIXELS = 4_000_000
_one_large = threading.Lock()

_BAND_SAMPLES = 1 << 20  # how many samples NumPy converts at a time: bounds the memory on top
_TURNS = {  # EXIF orientation → what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(source: Source) -> Image.Image:
    """Read a picture as upright RGB, without metadata; see above for what becomes of odd ones.

    `source` is a path, the bytes of a file, or a binary file to be read from where it stands.
    Raises PictureError, and TypeError for any other source.
    """
    colour, alpha = _read(source)
    if alpha is None:
        return colour
    over_white = Image.new("RGB", colour.size, "white")
    over_white.paste(colour, mask=alpha)
    return over_white


def read_mask(source: Source, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask picture for a picture of `size` (width, height): bool (H, W), True = repaint.

    In a mask with transparency, what is opaque (alpha at least 128) is repainted, whatever its
    colour. In one without, what is bright (luma at least 128) is. Raises PictureError, also where
    the sizes differ; without `size` any will do.
    """
    colour, alpha = _read(source)
    if size is not None and colour.size != size:
        raise PictureError(
            "mask size",
            f"The mask is {_times(*colour.size)} pixels; the picture is {_times(*size)}. "
            "They must be the same size.",
        )
    if alpha is None or alpha.getextrema() == (255, 255):
        return np.asarray(colour.convert("L")) >= 128
    return np.asarray(alpha) >= 128


def working_size(width: int, height: int, stride: int, longest: int = 512) -> tuple[int, int]:
    """The size (width, height) at which a picture is encoded: multiples of `stride`, both.

    Larger pictures shrink until no side is above `longest`; smaller ones keep their size. Each
    side is then rounded to the nearest multiple, at least one stride, so the aspect is kept up to
    half a stride. Raises ValueError.
    """
    if min(width, height, stride) < 1:
        raise ValueError(f"sizes must be positive: {width} x {height}, stride {stride}")
    if longest < stride:
        raise ValueError(f"longest side of {longest} pixels is below the stride of {stride}")
    scale = min(1.0, longest / max(width, height))
    most = longest // stride

    def fit(side: int) -> int:
        return stride * min(max(round(side * scale / stride), 1), most)

    return fit(width), fit(height)


def to_tensor(picture: Image.Image | np.ndarray) -> torch.Tensor:
    """An RGB picture or uint8 array (H, W, 3) as float32 (1, 3, H, W) in [0, 1].

    Raises ValueError for an array of another shape or type.
    """
    import torch  # here, so that the demo reads pictures without it

    array = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(f"expected uint8 (H, W, 3), not {array.dtype} {array.shape}")
    channels_first = np.ascontiguousarray(array.transpose(2, 0, 1)[None])
    return torch.from_numpy(channels_first.astype(np.float32) / np.float32(255))


def to_uint8(pictures: torch.Tensor) -> np.ndarray:
    """Pictures (B, 3, H, W) in [0, 1] as uint8 (B, H, W, 3): clamped, then rounded to nearest.

    Raises ValueError for another shape and for NaN or infinity, which a cast would turn black.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"expected pictures (B, 3, H, W), not {tuple(pictures.shape)}")
    levels = pictures.detach().float().cpu().numpy()
    if not np.isfinite(levels).all():
        raise ValueError("the picture has values that are not finite")
    return np.rint(levels.clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1).copy()


def _read(source: Source) -> tuple[Image.Image, Image.Image | None]:
    """The upright picture in RGB and, where it has transparency, its alpha (mode L)."""
    parts = take_apart(_read_bytes(source))
    _check_limits(parts)
    turn = _TURNS.get(parts.orientation)
    is_large = parts.width * parts.height > _LARGE_PIXELS
    try:
        with _one_large if is_large else nullcontext():
            colour, alpha = _colour_and_alpha(_decoded(parts), parts)
            if turn is not None:
                colour = colour.transpose(turn)
                alpha = alpha and alpha.transpose(turn)
    except MemoryError:
        message = f"There is too little memory for a picture of {_size(parts)}."
        raise PictureError("memory", message) from None
    return colour, alpha


def _read_bytes(source: Source) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        data: object = bytes(source[: MAX_BYTES + 1])
    elif isinstance(source, str | os.PathLike):
        data = _read_file(source)
    elif hasattr(source, "read"):
        data = source.read(MAX_BYTES + 1)
    else:
        raise TypeError(f"expected a path, bytes or a binary file, not {type(source).__name__}")
    if not isinstance(data, bytes):
        raise TypeError(f"the file must be opened in binary mode: it gives {type(data).__name__}")
    if len(data) > MAX_BYTES:
        message = f"The picture file is larger than {MAX_BYTES / 1e6:g} MB, which is the limit."
        raise PictureError("bytes", message)
    return data


def _read_file(path: str | os.PathLike[str]) -> bytes:
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
        if regular:  # a pipe or a device might never end
            with open(path, "rb") as file:
                return file.read(MAX_BYTES + 1)
        why = "it is not a file"
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or "the name cannot be used"
    raise PictureError("unreadable", f"The picture cannot be opened: {why}.")


def _check_limits(parts: PictureFile) -> None:
    if parts.width < 1 or parts.height < 1:
        raise damaged(parts.format)
    if max(parts.width, parts.height) > MAX_SIDE:
        message = f"The picture is {_size(parts)}; the limit is {MAX_SIDE:,} a side."
        raise PictureError("side", message)
    if parts.width * parts.height > MAX_PIXELS:
        megapixels = f"{parts.width * parts.height / 1e6:.1f}"
        limit = f"{MAX_PIXELS / 1e6:g} megapixels"
        message = f"The picture is {_size(parts)} ({megapixels} megapixels); the limit is {limit}."
        raise PictureError("pixels", message)
    if parts.scans > MAX_JPEG_SCANS:
        message = f"The JPEG has {parts.scans:,} scans; the limit is {MAX_JPEG_SCANS}."
        raise PictureError("scans", message)


def _times(width: int, height: int) -> str:
    return f"{width:,} × {height:,}"


def _size(parts: PictureFile) -> str:
    return f"{_times(parts.width, parts.height)} pixels"


def _decoded(parts: PictureFile) -> Image.Image:
    """The picture in whatever mode its decoder gives, at full size (never JPEG's draft mode)."""
    try:
        with Image.open(io.BytesIO(parts.data), formats=(parts.format,)) as image:
            if image.size != (parts.width, parts.height):
                raise damaged(parts.format)
            image.load()
            return image.copy()  # free of the decoder, which may hold several more copies
    except (PictureError, MemoryError):
        raise
    except Exception:
        # Pillow's plugins let through whatever their parsing meets: OSError, SyntaxError,
        # struct.error, KeyError, ... Their texts speak of buffers and may name files.
        raise damaged(parts.format) from None


def _colour_and_alpha(
    image: Image.Image, parts: PictureFile
) -> tuple[Image.Image, Image.Image | None]:
    """The picture in RGB and, where it has transparency, its alpha (mode L)."""
    alpha = None
    if parts.transparent is not None:
        alpha = _all_but(image, parts.transparent)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode.startswith("I;16"):
        white = 2**parts.bits - 1
        image = _greys(image, white, parts.white_is_zero)
    elif image.mode in ("I", "F"):
        image = _greys(image, _white(image), parts.white_is_zero)
    colour = image.convert("RGB")
    if parts.covered is not None and parts.covered != (0, 0, *image.size):
        bare = Image.new("L", image.size, 0)
        box = parts.covered[:2]
        painted = Image.new("L", colour.crop(parts.covered).size, 255)
        bare.paste(painted if alpha is None else alpha.crop(parts.covered), box)
        alpha = bare
    return colour, alpha


def _bands(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """The samples a few rows at a time, and the row that each band begins at."""
    rows = max(1, _BAND_SAMPLES // image.width)
    for top in range(0, image.height, rows):
        yield top, np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))


def _all_but(image: Image.Image, transparent: tuple[int, ...]) -> Image.Image:
    """Alpha (mode L) that is 0 just where every channel has the transparent colour."""
    alpha = Image.new("L", image.size)
    for top, band in _bands(image.convert("L") if image.mode == "1" else image):
        clear = (band.reshape(*band.shape[:2], -1) == transparent).all(axis=-1)
        alpha.paste(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)), (0, top))
    return alpha


def _white(image: Image.Image) -> int:
    """The level of white in a picture whose sample type fixes none; the rule is on top."""
    low = high = 0.0
    for _, band in _bands(image):
        low, high = np.minimum(low, band.min()), np.maximum(high, band.max())  # both keep NaN
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PictureError("samples", "The picture has sample values that are not finite.")
    if low < 0 or high > 65535:
        message = f"The picture's samples go from {low:g} to {high:g}; the limit is 0 to 65535."
        raise PictureError("samples", message)
    return next(white for white in (1, 255, 65535) if high <= white)


def _greys(image: Image.Image, white: int, inverted: bool) -> Image.Image:
    """The picture's samples, of which none is above `white`, as 8-bit greys with rounding."""
    greys = Image.new("L", image.size)
    for top, band in _bands(image):
        levels = np.rint(band.astype(np.float64) * 255 / white).astype(np.uint8)
        greys.paste(Image.fromarray(~levels if inverted else levels), (0, top))
    return greys


def picture_grid(pictures: np.ndarray, columns: int | None = None, gap: int = 2) -> Image.Image:
    """Pictures (N, H, W, 3) uint8 in rows on white; as square as can be by default."""
    n, height, width, _ = pictures.shape
    columns = columns or math.ceil(n**0.5)
    rows = math.ceil(n / columns)
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    grid = Image.new("RGB", size, "white")
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        grid.paste(Image.fromarray(picture), (column * (width + gap), row * (height + gap)))
    return grid
