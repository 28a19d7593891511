"""The code map: a canvas on which a visitor paints the codes to be resampled."""

from demo.codemap.component import TEXT_KEYS, CodeMap
from demo.codemap.packing import (
    CodeMapError,
    Heat,
    Patches,
    data_url,
    pack_mask,
    read_codes,
    read_mask,
)

__all__ = [
    "TEXT_KEYS",
    "CodeMap",
    "CodeMapError",
    "Heat",
    "Patches",
    "data_url",
    "pack_mask",
    "read_codes",
    "read_mask",
]
