"""The app as an API: named endpoints for programs, which no button of the page uses.

    /models        which checkpoints there are
    /encode        picture → code map
    /search_codes  picture → code map that decodes nearer to it
    /decode        code map → picture
    /reconstruct   picture → picture from its codes alone, and what that costs
    /resample      code map and hole → code maps with the hole filled
    /score         code map → bits of every code
    /generate      → pictures that a prior makes alone, and their code maps
    /inpaint       picture and mask → picture
    /encode_latents   code map → a few codes of a second stage
    /decode_latents   such codes → pictures and code maps

Their documentation is that of the functions, which Gradio shows as it stands.
"""

from __future__ import annotations

from demo.api import inpaint, latents, pictures, sampling
from demo.shelf import Shelf


def build(shelf: Shelf) -> None:
    """Add the endpoints to the Blocks in whose context this is called."""
    pictures.build(shelf)
    sampling.build(shelf)
    inpaint.build(shelf)
    latents.build(shelf)
