"""Keys: the one table of them, and the sheet that shows it."""

from demo.shortcuts.sheet import TEXT_KEYS, ShortcutSheet
from demo.shortcuts.table import SCRIPT, SHORTCUTS, Shortcut

__all__ = ["SCRIPT", "SHORTCUTS", "TEXT_KEYS", "Shortcut", "ShortcutSheet"]
