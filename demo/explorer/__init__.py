"""The code explorer: a picture's code map and the code book it is written in, side by side."""

from demo.explorer.component import TEXT_KEYS, CodeExplorer

__all__ = ["TEXT_KEYS", "CodeExplorer"]
