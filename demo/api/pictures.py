"""Endpoints that need no prior: what is loaded, and pictures ↔ codes.

No `from __future__ import annotations` here: Gradio reads an endpoint's return type as an object,
not as a text.
"""

import math
from collections.abc import Generator
from typing import Any

import gradio as gr
from PIL import Image

from demo.api.arguments import (
    answering,
    chosen,
    code_map,
    last_of,
    png,
    read_code_map,
    read_upload,
    stepwise,
)
from demo.codemap.packing import MAX_SIDE
from demo.jobs import MAX_PICTURES, MAX_VARIATIONS, Description, SecondStage
from demo.shelf import Shelf


def build(shelf: Shelf) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""

    def models(request: gr.Request) -> dict[str, Any]:
        """Which checkpoints there are, and how much can be asked of them.

        Returns limits, and models, the default first: each has name and checkpoint (its id, which
        code maps carry), num_codes (K: codes are from 0 to K - 1), stride (pixels along one side of
        a code), device, labels (classes) and priors (name and order: "any", or "raster" where codes
        are written row by row; a model without priors cannot resample).
        """
        with answering(request):
            found = [_described(shelf.get(name).describe()) for name in shelf.names]
        return {
            "models": found,
            "limits": {
                "rows": MAX_SIDE,
                "cols": MAX_SIDE,
                "variations": MAX_VARIATIONS,
                "pictures": MAX_PICTURES,
            },
        }

    def encode(
        picture: gr.FileData, request: gr.Request, model: str | None = None
    ) -> dict[str, Any]:
        """The code map of a picture, at the size the app works on: at most 512 pixels a side.

        picture: PNG, JPEG or WebP, at most 20 MB. model: the name of one of /models, or none for
        the default. Returns checkpoint (id), rows, cols, and codes: a list of rows, from the top,
        of numbers from 0 to K - 1. /decode, /resample and /score take it as it is.
        """
        with answering(request):
            studio = chosen(shelf, model)
            codes = studio.encode(studio.prepare(read_upload(picture)))
            return code_map(codes, studio.describe())

    @stepwise
    def search_codes(
        picture: gr.FileData, request: gr.Request, model: str | None = None
    ) -> Generator[None, None, dict[str, Any]]:
        """As /encode, but not the nearest codes: others, that decode nearer to the picture.

        picture: PNG, JPEG or WebP, at most 20 MB. model: the name of one of /models, or none for
        the default. Takes some seconds, and gives as many codes; priors find them a little less
        likely than the nearest. Returns a code map, and changed, the share of its codes that are
        not the nearest.
        """
        with answering(request):
            studio = chosen(shelf, model)
            own = studio.prepare(read_upload(picture))
            nearest = studio.encode(own)
            _share, codes = yield from last_of(studio.search(own, nearest))
            changed = round(float((codes != nearest).mean()), 4)
            return {**code_map(codes, studio.describe()), "changed": changed}

    def decode(codes: dict, request: gr.Request) -> gr.FileData:
        """The picture of a code map, as PNG.

        codes: a code map as /encode gives it, at most 128 rows and columns. Of its keys only codes
        has to be there; one that was made by a checkpoint that is not loaded is refused.
        """
        with answering(request):
            studio, known = read_code_map(codes, shelf)
            picture = studio.decode(known)
            return png(Image.fromarray(picture), "decoded")

    def reconstruct(
        picture: gr.FileData, request: gr.Request, model: str | None = None
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """A picture from its codes alone, as PNG, and what they keep and cost.

        picture: PNG, JPEG or WebP, at most 20 MB; it is reduced to at most 512 pixels a side first.
        model: the name of one of /models, or none for the default. Returns the reconstruction, and
        psnr (dB; null where nothing was lost), ssim, bits (of the codes, without entropy coding)
        and bits_per_pixel.
        """
        with answering(request):
            studio = chosen(shelf, model)
            original = studio.prepare(read_upload(picture))
            coded = studio.reconstruct(original)
            figures = {
                "psnr": coded.psnr if math.isfinite(coded.psnr) else None,
                "ssim": coded.ssim,
                "bits": coded.bits,
                "bits_per_pixel": coded.bits / (original.shape[0] * original.shape[1]),
            }
            return png(Image.fromarray(coded.picture), "reconstructed"), figures

    gr.api(models, api_name="models", queue=False)
    for endpoint in (encode, decode, reconstruct):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_id="short")
    gr.api(search_codes, api_name="search_codes", concurrency_id="resample", concurrency_limit=1)


def _described(about: Description) -> dict[str, Any]:
    return {
        "name": about.name,
        "checkpoint": about.checkpoint,
        "num_codes": about.num_codes,
        "stride": about.stride,
        "device": about.device,
        "labels": list(about.labels),
        "priors": [
            {"name": name, "order": "raster" if name in about.raster else "any"}
            for name in about.priors
        ],
        "latents": _latents(about.second),
    }


def _latents(second: SecondStage | None) -> dict[str, int] | None:
    if second is None:
        return None
    rows, cols = second.map_size
    return {"count": second.latents, "num_codes": second.num_codes, "rows": rows, "cols": cols}
