"""What becomes of errors: a toast in the visitor's language, which tells no more than it should."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from demo.jobs import Refusal
from demo.text import language_of, say

Updates = dict[Any, Any]

log = logging.getLogger(__name__)


def expected(refusal: Refusal, language: str) -> gr.Error:
    """A toast that names cause and limit."""
    # Gradio shows it as HTML, and part of it may be a stranger's.
    message = escape(say(language, refusal.key, **refusal.values), quote=False)
    return gr.Error(message, print_exception=False)


def unexpected(action: str, request: gr.Request | None) -> gr.Error:
    """A toast that tells nothing of an error that nobody foresaw; the log has it."""
    log.exception("%s failed", action)
    return gr.Error(say(language_of(request), "error_unexpected"), print_exception=False)


def guarded(action: Callable[..., Updates]) -> Callable[..., Updates]:
    """The action, with a toast for errors that nobody foresaw: Gradio shows nothing for them."""

    @functools.wraps(action)
    def run(*inputs: Any) -> Updates:
        try:
            return action(*inputs)
        except gr.Error:
            raise
        except Exception:
            request = next((one for one in inputs if isinstance(one, gr.Request)), None)
            raise unexpected(action.__name__, request) from None

    return run
