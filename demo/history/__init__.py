"""The history strip: the steps of an edit, to go back to and to compare with."""

from demo.history.component import NOBODY, TEXT_KEYS, HistoryStrip, Step

__all__ = ["NOBODY", "TEXT_KEYS", "HistoryStrip", "Step"]
