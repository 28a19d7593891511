"""The line in which a tab says what it does."""

from __future__ import annotations

from typing import Any

import gradio as gr

# A message of the server, escaped there; announced by screen readers when it changes.
STATUS_TEMPLATE = '<p role="status" aria-live="polite">${value}</p>'


class StatusLine(gr.HTML):
    """A job that has one among its outputs tells there, while it waits, its place in the queue.

    Takes the options of `gr.HTML`.
    """

    def __init__(self, value: Any = None, **options: Any) -> None:
        super().__init__(value, **{"html_template": STATUS_TEMPLATE, **options})
