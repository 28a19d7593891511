"""The search for the nearest code, against vector-quantize-pytorch."""

from __future__ import annotations

import multiprocessing
import resource
from typing import Any

import torch

from benchmarks.timing import median_seconds

VECTORS, SIZE, CODES = 100_000, 64, 8_192


def measure() -> dict[str, Any]:
    """Seconds and peak megabytes, each in a process of its own, over what the inputs take."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        ours = pool.apply(_search, (False,))
        theirs = pool.apply(_search, (True,))
    return {
        "vectors": VECTORS,
        "dimensions": SIZE,
        "codes": CODES,
        "seconds": ours[0],
        "vector_quantize_pytorch_seconds": theirs[0],
        "nearest_codes_speedup": theirs[0] / ours[0],
        "peak_megabytes": ours[1],
        "vector_quantize_pytorch_peak_megabytes": theirs[1],
        "nearest_codes_memory": ours[1] / theirs[1],
    }


@torch.inference_mode()
def _search(theirs: bool) -> tuple[float, float]:
    """Seconds, and megabytes at most above what was resident before the first search."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(VECTORS, SIZE, generator=generator)
    codebook = torch.randn(CODES, SIZE, generator=generator)
    if theirs:
        from vector_quantize_pytorch import VectorQuantize  # type: ignore[import-untyped]

        module = VectorQuantize(dim=SIZE, codebook_size=CODES).eval()
        module._codebook.embed.copy_(codebook[None])

        def search(rows: torch.Tensor) -> torch.Tensor:
            return module(rows[None])[1][0]
    else:
        from vq.quantizer import nearest_codes

        def search(rows: torch.Tensor) -> torch.Tensor:
            return nearest_codes(rows, codebook)

    search(vectors[:10])  # what is loaded or allocated once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = search(vectors)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    distances = torch.cdist(vectors[:100], codebook)
    assert torch.equal(found[:100], distances.argmin(1)), "both must find the nearest"
    return median_seconds(lambda: search(vectors), 3, 0), peak
