"""What becomes of errors: a toast in the visitor's language, which tells no more than it should."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, TypeVar

import gradio as gr

from demo.jobs import Refusal
from demo.text import language_of, say

Updates = dict[Any, Any]
Answer = TypeVar("Answer")

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


def failed(error: Exception, action: str, request: gr.Request | None) -> gr.Error:
    """A toast for whatever ended an action, foreseen or not."""
    if isinstance(error, Refusal):
        return expected(error, language_of(request))
    return unexpected(action, request)


def guarded(action: Callable[..., Answer]) -> Callable[..., Answer]:
    """The action, with a toast for its errors: Gradio shows nothing for those nobody foresaw."""

    @functools.wraps(action)
    def run(*inputs: Any) -> Answer:
        request = next((one for one in inputs if isinstance(one, gr.Request)), None)
        try:
            return action(*inputs)
        except gr.Error:
            raise
        except Exception as error:
            raise failed(error, action.__name__, request) from None

    return run


def guarded_steps(action: Callable[..., Iterator[Answer]]) -> Callable[..., Iterator[Answer]]:
    """`guarded` for an action that gives its updates step by step."""

    @functools.wraps(action)
    def run(*inputs: Any) -> Iterator[Answer]:
        request = next((one for one in inputs if isinstance(one, gr.Request)), None)
        try:
            yield from action(*inputs)
        except gr.Error:
            raise
        except Exception as error:
            raise failed(error, action.__name__, request) from None

    return run
