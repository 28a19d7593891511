"""Pictures, one after the other, as a GIF: every program shows it, and every chat takes it."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

LONGEST = 512  # pixels on the long side
COLOURS = 256
FIRST, LAST = 700, 2500  # ms that the first and the last picture stay
TOGETHER = 3000  # ms for all between them, within these limits for each
SHORTEST, SLOWEST = 60, 250


def gif(frames: Iterable[np.ndarray], mask: np.ndarray) -> bytes:
    """Two or more pictures `(H, W, 3)` uint8 that differ where `mask` `(H, W)` is True, in a loop.

    They share one palette, and outside the mask every pixel keeps its colour: if each picture were
    dithered for itself, what stands still would crawl.
    """
    scale = min(1.0, LONGEST / max(mask.shape))
    width, height = (max(1, round(side * scale)) for side in mask.shape[::-1])
    pictures = [Image.fromarray(frame).resize((width, height)) for frame in frames]
    moving = np.asarray(Image.fromarray(mask).resize((width, height)))

    # What the colours are taken from: the second picture has the empty hole.
    sheet = Image.new("RGB", (3 * width, height))
    for i, picture in enumerate((pictures[0], pictures[1], pictures[-1])):
        sheet.paste(picture, (i * width, 0))
    palette = sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT)

    images = [picture.quantize(palette=palette) for picture in pictures]
    still = np.asarray(images[0])
    for image in images[1:]:
        image.putdata(np.where(moving, np.asarray(image), still).ravel())
    between = min(SLOWEST, max(SHORTEST, TOGETHER // max(1, len(images) - 2)))
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[FIRST, *[between] * (len(images) - 2), LAST],
        loop=0,
    )
    return file.getvalue()
