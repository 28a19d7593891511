"""What the picture readers share: the one error, and a picture file taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The longest list of blocks (chunks, segments, sub-blocks) that is followed through one file. A
# GIF of 20 MB has 80,000; only a file built to keep a parser busy has more.
MAX_BLOCKS = 100_000

Reason = Literal[
    "unreadable",  # there is no such file, or it cannot be opened
    "bytes",  # more bytes than MAX_BYTES
    "empty",
    "format",  # none of the six formats
    "truncated",  # ends before its container does
    "damaged",
    "side",  # wider or taller than MAX_SIDE
    "pixels",  # more than MAX_PIXELS
    "scans",  # a JPEG of more than MAX_JPEG_SCANS
    "blocks",  # more than MAX_BLOCKS
    "unsupported",  # a known format in a variant that is not read
    "samples",  # sample values that stand for no brightness
    "memory",
    "mask size",  # a mask of another size than its picture
]


class PictureError(ValueError):
    """A picture that is refused. The message names cause and limit, and never a place on the disk.

    `reason` is a word for programs: it stays when the message is reworded or translated.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True)
class PictureFile:
    """The first frame of a picture file, in the smallest file that still shows it.

    `format` names the one decoder that may read `data`; `width` and `height` are in
    pixels as stored, before `orientation` (EXIF, 1 to 8) turns them. `bits` is the depth of a
    sample. `transparent` is a colour that stands for full transparency, in the levels that the
    decoder gives. `covered` is the part (left, top, right, bottom) that the frame paints, where it
    may leave some of the picture bare. `white_is_zero` asks to invert deep greys, which the decoder
    leaves as they are. `scans` counts how often a JPEG paints its pixels.
    """

    format: str
    width: int
    height: int
    data: bytes
    orientation: int = 1
    bits: int = 8
    transparent: tuple[int, ...] | None = None
    covered: tuple[int, int, int, int] | None = None
    white_is_zero: bool = False
    scans: int = 1


def truncated(kind: str) -> PictureError:
    return PictureError("truncated", f"The {kind} picture is cut short: the file ends too early.")


def damaged(kind: str) -> PictureError:
    return PictureError("damaged", f"The {kind} picture is damaged and cannot be decoded.")


def unsupported(kind: str, variant: str) -> PictureError:
    message = f"{kind} pictures with {variant} are not read. Save the picture as PNG or JPEG."
    return PictureError("unsupported", message)


def too_many_blocks(kind: str) -> PictureError:
    message = f"The {kind} picture is split into too many parts; the limit is {MAX_BLOCKS:,}."
    return PictureError("blocks", message)
