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
from demo.explorer.component import packed_checkpoint
from demo.jobs import Refusal
from demo.session import Session
from demo.shelf import Shelf
from demo.text import CATALOGUES, language_of
from demo.text import INTERFACE as _
from demo.toasts import expected, failed, guarded


@dataclass(frozen=True, eq=False)
class Shown:
    """What the visitor's explorer has: a code book, and these codes `(h, w)`, or none."""

    id: str
    model: str
    codes: np.ndarray | None


def build(
    shelf: Shelf,
    model: gr.Dropdown,
    switched: gr.events.Dependency,
    session: gr.State,
    tabs: gr.Tabs,
    tab: gr.Tab,
) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them.

    `model` is where the visitor chooses a checkpoint, and `switched` when that is done.
    """
    about = shelf.default.describe()
    shown = gr.State(None)
    gr.Markdown(_("codes_intro"))
    explorer = CodeExplorer(
        text=CATALOGUES, palette=about.palette, priors=about.priors, elem_id="explorer"
    )

    @functools.lru_cache(maxsize=8)
    def packed(name: str, _id: str) -> dict[str, Any]:
        studio = shelf.get(name)
        return packed_checkpoint(studio.describe(), studio.code_book())

    def show(session: Session | None, model: Any, now: Shown | None) -> dict[Any, Any]:
        """The picture as the Edit tab has it now, and the code book where it is another."""
        codes = None
        if session is not None:
            model, codes = session.current.model, session.shown[1]
        same_book = now is not None and now.model == model
        if now is not None and same_book and _same(now.codes, codes):
            return {shown: now}
        studio = shelf.get(model)
        checkpoint = None if same_book else packed(model, studio.describe().checkpoint)
        decoded = None if codes is None else studio.decode(codes)
        new = Shown(secrets.token_hex(8), model, codes)
        return {shown: new, explorer: CodeExplorer.with_picture(codes, decoded, new.id, checkpoint)}

    def show_again(session: Session | None, model: Any, now: Shown | None) -> dict[Any, Any]:
        """As `show`, where the visitor has been here."""
        return {shown: now} if now is None else show(session, model, now)

    def score(
        now: Shown | None, event: gr.EventData, request: gr.Request
    ) -> Iterator[dict[str, Any]]:
        """The bits of the codes under the prior that the visitor chose, as they become known."""
        if now is None or now.codes is None:
            raise expected(Refusal("error_no_picture"), language_of(request))
        prior = str(getattr(event, "prior", ""))
        try:
            studio = shelf.get(now.model)
            with closing(studio.surprise(now.codes, prior, None)) as job:
                for bits in job:
                    yield CodeExplorer.with_bits(now.id, prior, bits)
        except Exception as error:
            raise failed(error, "bits", request) from None

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    for event, action in ((tab.select, show), (switched.then, show_again)):
        event(
            guarded(action),
            [session, model, shown],
            [shown, explorer],
            concurrency_id="short",
            **quiet,
        )
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
