"""The Compare tab: one picture in the codes of several checkpoints, as JPEG and as WebP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import gradio as gr

from demo.choices import CheckboxGroup
from demo.codecs import CODECS
from demo.comparison import ComparisonViewer
from demo.contenders import Choice, Results
from demo.contest import contest
from demo.jobs import Refusal
from demo.session import Session
from demo.shelf import MAX_LOADED, Shelf
from demo.status_line import StatusLine
from demo.tabs.compare_view import MEASURES, chart, figures, views
from demo.text import CATALOGUES, language_of
from demo.text import INTERFACE as _
from demo.toasts import Updates, failed, guarded

Item = TypeVar("Item")


@dataclass
class Wish:
    """What a visitor wants to see; no choice while they are elsewhere.

    It changes while a comparison is at work, which ends between two steps where it is no longer
    what is wished. Gradio's own cancelling would lose what is chosen anew: the browser drops an
    event that waits for one that is cancelled.
    """

    choice: Choice | None = None
    measure: str = MEASURES[0]


def leave(wish: Wish) -> None:
    """The visitor goes to another tab."""
    wish.choice = None


def build(shelf: Shelf, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> gr.State:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them.

    Returns the visitor's `Wish`, to `leave` with. What is known by then stays, and the comparison
    goes on with the rest when they come back.
    """
    wish = gr.State(Wish())  # every visitor gets a copy
    results = gr.State(None)  # so that coming back costs nothing
    files = gr.State(None)  # where the browser finds the pictures: by their ids, kept by `results`
    with gr.Column(elem_id="compare-empty") as empty:
        gr.Markdown(_("compare_empty"))
        go_edit = gr.Button(_("compare_go_edit"), elem_id="go-edit", min_width=160)
    # Hidden, not invisible: the viewer would lose its properties.
    with gr.Column(visible="hidden", elem_id="compared") as full:
        gr.Markdown(_("compare_intro"))
        with gr.Row():
            checkpoints = CheckboxGroup(
                list(shelf.names),
                value=list(shelf.names[:MAX_LOADED]),
                label=_("compare_checkpoints"),
                elem_id="compare-checkpoints",
                min_width=300,
                scale=2,
            )
            codecs = CheckboxGroup(
                [(_(f"compare_{codec}"), codec) for codec in CODECS],
                value=list(CODECS),
                label=_("compare_codecs"),
                info=_("compare_codecs_info"),
                elem_id="compare-codecs",
                min_width=220,
            )
        search = gr.Checkbox(
            label=_("compare_search"), info=_("compare_search_info"), elem_id="compare-search"
        )
        status = StatusLine(elem_id="compare-status")
        viewer = ComparisonViewer(text=CATALOGUES, elem_id="comparison")
        gr.Markdown(_("compare_figures"), elem_classes="compare-heading")
        table = gr.HTML(elem_id="compare-table")
        gr.Markdown(_("compare_chart"), elem_classes="compare-heading")
        measure = gr.Radio(
            [(_(f"compare_measure_{one}"), one) for one in MEASURES],
            value=MEASURES[0],
            label=_("compare_measure"),
            elem_id="compare-measure",
        )
        plot = gr.HTML(elem_id="compare-chart")
        gr.Markdown(_("compare_chart_about"))

    def ask(
        wish: Wish,
        session: Session | None,
        known: Results | None,
        names: Any,
        chosen_codecs: Any,
        search: Any,
        request: gr.Request,
    ) -> Any:
        """The visitor has come, or chosen anew; from now on, what is on the shelf is offered.

        A new picture's own checkpoint is among the chosen, even where that is new, too.
        """
        if session is None:
            return gr.skip()
        sent = names if isinstance(names, list) else [names]
        first = session.history[0]
        own = None if known is not None and known.original is first.picture else first.model
        wish.choice = choice = _choice(shelf, sent, chosen_codecs, search, own)
        offer: dict[str, Any] = {"choices": list(shelf.names)}
        # Not without need: a press meanwhile would be undone.
        if set(map(str, sent)) != set(choice.checkpoints):
            offer["value"] = list(choice.checkpoints)
        return {
            checkpoints: gr.update(**offer),
            empty: gr.update(visible=False),
            full: gr.update(visible=True),
        }

    def compare(
        wish: Wish,
        session: Session | None,
        known: Results | None,
        kept: dict[int, str] | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """What was chosen, each way as soon as it is there."""
        if session is None:
            yield {results: None, empty: gr.update(visible=True), full: gr.update(visible="hidden")}
            return
        language, picture, choice = language_of(request), session.history[0].picture, wish.choice
        if known is None or known.original is not picture:
            known, kept = Results(picture), {id(picture): viewer.file_of(picture)}
        if choice is None or (choice == known.choice and known.complete):
            # They have left again, or all is on show. A generator that gives nothing empties its
            # outputs.
            yield {results: known, files: kept}
            return
        kept = dict(kept or {})

        def show(now: Results, text: str) -> Updates:
            for one in now.shown.values():
                if id(one.picture) not in kept:
                    kept[id(one.picture)] = viewer.file_of(one.picture)
            return {
                results: now,
                files: dict(kept),
                empty: gr.update(visible=False),
                full: gr.update(visible=True),
                status: escape(text),
                viewer: viewer.showing(views(now, kept, language)),
                table: figures(now, language),
                plot: chart(now, wish.measure, language),
            }

        shown = None
        try:
            with closing(contest(shelf, known, choice, language)) as job:
                for now, text in job:
                    yield {status: escape(text)} if now is shown else show(now, text)
                    shown = now
                    if wish.choice is not choice:
                        return
        except Exception as error:
            raise failed(error, "compare", request) from None

    def redraw(wish: Wish, known: Results | None, by: Any, request: gr.Request) -> Any:
        """The chart by another measure of quality."""
        (wish.measure,) = _among("measure", [by], MEASURES)
        return gr.skip() if known is None else chart(known, by, language_of(request))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    at_once: dict[str, Any] = {"queue": False, **quiet}
    gr.on(
        [tab.select, checkpoints.input, codecs.input, search.input],
        guarded(ask),
        [wish, session, results, checkpoints, codecs, search],
        [checkpoints, empty, full],
        trigger_mode="always_last",
        **at_once,
    ).success(
        compare,
        [wish, session, results, files],
        [results, files, empty, full, status, viewer, table, plot],
        trigger_mode="always_last",  # the one at work ends now, and has put down what it knows
        concurrency_id="compare",
        concurrency_limit=2,
        **quiet,
    )
    measure.input(guarded(redraw), [wish, results, measure], plot, **at_once)
    go_edit.click(lambda: gr.Tabs(selected="edit"), None, tabs, **at_once)
    return wish


def _choice(shelf: Shelf, names: list[Any], codecs: Any, search: Any, own: str | None) -> Choice:
    """What a visitor chose, and the checkpoint `own`; what is no longer on the shelf is left out.

    Raises `Refusal` for what cannot be.
    """
    checkpoints = [name for name in shelf.names if name in names or name == own]
    if own is not None and own not in names and len(checkpoints) > MAX_LOADED:
        checkpoints.remove(next(name for name in reversed(checkpoints) if name != own))
    if len(checkpoints) > MAX_LOADED:
        raise Refusal("error_too_many", name="checkpoints", most=MAX_LOADED, got=len(checkpoints))
    return Choice(tuple(checkpoints), _among("codecs", codecs, CODECS), search is True)


def _among(name: str, values: Any, known: tuple[Item, ...]) -> tuple[Item, ...]:
    """Those of `known` that were chosen, in their order. Raises `Refusal` if one is not known."""
    for value in values if isinstance(values, list) else [values]:
        if value not in known:
            raise Refusal(
                "error_choice", name=name, got=repr(value)[:40], known=", ".join(map(str, known))
            )
    return tuple(one for one in known if one in values)
