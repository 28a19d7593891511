"""The Compare tab: one picture in the codes of several checkpoints, as JPEG and as WebP."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any, TypeVar

import gradio as gr

from demo import contenders
from demo.choices import CheckboxGroup
from demo.codecs import CODECS
from demo.comparison import ComparisonViewer
from demo.contenders import Choice, Results
from demo.jobs import Refusal
from demo.session import Session
from demo.shelf import MAX_LOADED, Shelf
from demo.tabs.compare_view import MEASURES, chart, figures, views
from demo.tabs.edit import STATUS_TEMPLATE
from demo.text import CATALOGUES, language_of, say
from demo.text import INTERFACE as _
from demo.toasts import Updates, expected, failed

Item = TypeVar("Item")

log = logging.getLogger(__name__)


def build(shelf: Shelf, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them."""
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
        status = gr.HTML(html_template=STATUS_TEMPLATE, elem_id="compare-status")
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

    def compare(
        session: Session | None,
        known: Results | None,
        kept: dict[int, str] | None,
        names: Any,
        chosen_codecs: Any,
        by: Any,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """What was chosen, each way as soon as it is there."""
        if session is None:
            yield {results: None, empty: gr.update(visible=True), full: gr.update(visible="hidden")}
            return
        language, started = language_of(request), time.monotonic()
        try:
            choice = _choice(shelf, names, chosen_codecs)
            _among("measure", [by], MEASURES)
        except Refusal as refusal:
            raise expected(refusal, language) from None
        picture = session.history[0].picture
        if known is not None and known.original is picture:
            now = replace(known, choice=choice, failed={})
            if now.choice == known.choice and not known.failed and kept is not None:
                yield {results: known}  # a generator that gives nothing empties its outputs
                return
        else:
            now, kept = Results(picture, choice), {id(picture): viewer.file_of(picture)}
        kept = dict(kept or {})

        def show(text: str) -> Updates:
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
                plot: chart(now, by, language),
            }

        size = {"width": picture.shape[1], "height": picture.shape[0]}
        total = len(choice.checkpoints) + len(choice.codecs)

        def progress() -> Updates:
            done = len(now.shown) + len(now.failed)
            return show(say(language, "status_comparing", **size, done=done, total=total))

        try:
            yield progress()
            for name in choice.checkpoints:
                if name not in now.by_codes:
                    now = _with_codes(shelf, now, name, language)
                    yield progress()
            for codec in choice.codecs:
                key = codec, now.budget
                if now.budget and key not in now.by_codec:
                    one = contenders.by_codec(shelf.default, picture, *key)
                    now = now.having(by_codec={key: one})
                    yield progress()
            if missing := [codec for codec in CODECS if codec not in now.curves]:
                yield {status: escape(say(language, "status_curves"))}
                new = {codec: contenders.curve(shelf.default, picture, codec) for codec in missing}
                now = now.having(curves=new)
            for name in choice.checkpoints:
                if name in now.by_codes and name not in now.prior_bits:
                    yield {status: escape(say(language, "status_pricing", name=name))}
                    use = now.by_codes[name].use
                    assert use is not None  # it is a code map
                    bits = contenders.prior_bits(shelf.get(name), use.codes)
                    now = now.having(prior_bits={name: bits})
        except Exception as error:
            raise failed(error, "compare", request) from None
        seconds = f"{time.monotonic() - started:.1f}"
        yield show(say(language, "status_compared", **size, seconds=seconds))

    def redraw(known: Results | None, by: Any, request: gr.Request) -> Updates:
        """The chart by another measure of quality."""
        try:
            _among("measure", [by], MEASURES)
        except Refusal as refusal:
            raise expected(refusal, language_of(request)) from None
        return {plot: gr.skip() if known is None else chart(known, by, language_of(request))}

    def offer(names: Any) -> Any:
        """The checkpoints that there are by now; those that are gone are no longer chosen."""
        here = list(shelf.names)
        kept = [name for name in names if name in here] if isinstance(names, list) else []
        return gr.update(choices=here, value=kept or here[:1])

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    asked: dict[str, Any] = {
        "fn": compare,
        "inputs": [session, results, files, checkpoints, codecs, measure],
        "outputs": [results, files, empty, full, status, viewer, table, plot],
        "trigger_mode": "always_last",
        "concurrency_id": "compare",
        "concurrency_limit": 2,
        **quiet,
    }
    tab.select(offer, checkpoints, checkpoints, queue=False, **quiet).then(**asked)
    gr.on([checkpoints.input, codecs.input], **asked)
    measure.input(redraw, [results, measure], plot, queue=False, **quiet)
    go_edit.click(lambda: gr.Tabs(selected="edit"), None, tabs, queue=False, **quiet)


def _with_codes(shelf: Shelf, now: Results, name: str, language: str) -> Results:
    """With a checkpoint's contender, or what went wrong: the others go on."""
    try:
        return now.having(by_codes={name: contenders.by_codes(shelf.get(name), now.original)})
    except Refusal as refusal:
        return now.having(failed={name: say(language, refusal.key, **refusal.values)})
    except Exception:
        log.exception("comparing %s failed", name)
        return now.having(failed={name: say(language, "compare_failed")})


def _choice(shelf: Shelf, names: Any, codecs: Any) -> Choice:
    """What a visitor chose. Raises `Refusal` for what cannot be."""
    checkpoints = _among("checkpoints", names, shelf.names)
    if len(checkpoints) > MAX_LOADED:
        raise Refusal("error_too_many", name="checkpoints", most=MAX_LOADED, got=len(checkpoints))
    return Choice(checkpoints, _among("codecs", codecs, CODECS))


def _among(name: str, values: Any, known: tuple[Item, ...]) -> tuple[Item, ...]:
    """Those of `known` that were chosen, in their order. Raises `Refusal` if one is not known."""
    for value in values if isinstance(values, list) else [values]:
        if value not in known:
            raise Refusal(
                "error_choice", name=name, got=repr(value)[:40], known=", ".join(map(str, known))
            )
    return tuple(one for one in known if one in values)
