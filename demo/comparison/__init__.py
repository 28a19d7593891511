"""The comparison: pictures of one size, looked at in the same place at the same zoom."""

from demo.comparison.component import TEXT_KEYS, ComparisonViewer, View

__all__ = ["TEXT_KEYS", "ComparisonViewer", "View"]
