"""The Codes tab: the picture's code map in several colourings, and the code book beside it."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from demo.explorer import CodeExplorer
from demo.explorer.component import packed_book
from demo.jobs import Refusal, StudioVerbs
from demo.session import Session
from demo.text import CATALOGUES, language_of
from demo.text import INTERFACE as _
from demo.toasts import expected, unexpected


@dataclass(frozen=True, eq=False)
class Shown:
    """What the visitor's explorer has: the code book, and these codes `(h, w)`, or none."""

    id: str
    codes: np.ndarray | None


def build(studio: StudioVerbs, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them."""
    about = studio.describe()
    shown = gr.State(None)
    gr.Markdown(_("codes_intro"))
    explorer = CodeExplorer(
        text=CATALOGUES, palette=about.palette, priors=about.priors, elem_id="explorer"
    )

    @functools.cache
    def book() -> dict[str, Any]:
        return packed_book(studio.code_book())

    def show(
        session: Session | None, shown_now: Shown | None, request: gr.Request
    ) -> dict[Any, Any]:
        """The picture as the Edit tab has it now, and at the first visit the code book."""
        codes = None if session is None else session.shown[1]
        if shown_now is not None and _same(shown_now.codes, codes):
            return {}
        try:
            packed = book() if shown_now is None else None
            decoded = None if codes is None else studio.decode(codes)
        except Exception:
            raise unexpected("codes", request) from None
        new = Shown(secrets.token_hex(8), codes)
        return {shown: new, explorer: CodeExplorer.with_picture(codes, decoded, new.id, packed)}

    def score(
        shown_now: Shown | None, event: gr.EventData, request: gr.Request
    ) -> Iterator[dict[str, Any]]:
        """The bits of the codes under the prior that the visitor chose, as they become known."""
        if shown_now is None or shown_now.codes is None:
            raise expected(Refusal("error_no_picture"), language_of(request))
        prior = str(getattr(event, "prior", ""))
        try:
            with closing(studio.surprise(shown_now.codes, prior, None)) as job:
                for bits in job:
                    yield CodeExplorer.with_bits(shown_now.id, prior, bits)
        except Refusal as refusal:
            raise expected(refusal, language_of(request)) from None
        except Exception:
            raise unexpected("bits", request) from None

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(show, [session, shown], [shown, explorer], concurrency_id="short", **quiet)
    explorer.score(
        score,
        shown,
        explorer,
        trigger_mode="multiple",
        concurrency_id="bits",
        concurrency_limit=1,
        **quiet,
    ).failure(CodeExplorer.without_bits, None, explorer, queue=False, **quiet)
    explorer.leave(lambda: gr.Tabs(selected="edit"), None, tabs, queue=False, **quiet)


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)
