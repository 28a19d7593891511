"""The Learn tab: what readers of the VQ-VAE paper ask, answered on the picture in hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from demo import lesson_view
from demo.contenders import prior_bits
from demo.lessons import Lesson, Rate, drawn_by_prior, lesson
from demo.session import Session, Snapshot
from demo.shelf import Shelf
from demo.text import INTERFACE as _
from demo.text import language_of
from demo.toasts import failed


@dataclass(frozen=True, eq=False)
class Taught:
    """What is on show: of which snapshot, and whether the priors have been asked."""

    original: Snapshot
    lesson: Lesson
    complete: bool = False


def build(shelf: Shelf, model: gr.Dropdown, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them.

    `model` is where the visitor chooses a checkpoint.
    """
    taught = gr.State(None)  # so that coming back costs nothing
    with gr.Column(elem_id="learn-empty") as empty:
        gr.Markdown(_("learn_empty"))
        go_edit = gr.Button(_("compare_go_edit"), elem_id="learn-go-edit", min_width=160)
    busy = gr.Markdown(_("learn_busy"), visible=False)
    with gr.Column(visible=False, elem_id="learn") as full:
        first = gr.HTML(elem_id="learn-first", elem_classes="lessons")
        second = gr.HTML(elem_id="learn-second", elem_classes="lessons")
        with gr.Row():
            decoded, shuffled, uniform, drawn = (
                gr.Image(
                    label=_(f"learn_{name}"),
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id=f"learn-{name}",
                    min_width=160,
                )
                for name in ("decoded", "shuffled", "blind", "drawn")
            )
    # Of all pictures, and so there without one.
    third = gr.HTML(elem_id="learn-third", elem_classes="lessons")

    def teach(
        session: Session | None, model: Any, shown: Taught | None, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        """All that is there at once."""
        hidden, language = gr.update(visible=False), language_of(request)
        try:
            if session is None:
                learnt = lesson_view.training(shelf.get(model).describe(), language)
                yield {taught: None, full: hidden, empty: gr.update(visible=True), third: learnt}
                return
            original = session.history[0]
            if shown is not None and shown.original is original:
                yield {taught: shown}  # a generator that gives nothing empties its outputs
                return
            yield {empty: hidden, full: hidden, busy: gr.update(visible=True)}
            studio = shelf.get(original.model)
            result = lesson(studio, original.picture, original.codes)
        except Exception as error:
            yield {taught: None, busy: hidden, full: hidden, empty: gr.update(visible=True)}
            raise failed(error, "learn", request) from None
        yield {
            taught: Taught(original, result),
            empty: hidden,
            full: gr.update(visible=True),
            first: lesson_view.coding(result, [], language),
            second: lesson_view.drawing(result, language),
            third: lesson_view.training(studio.describe(), language),
            decoded: result.decoded,
            shuffled: result.shuffled,
            uniform: result.uniform,
            drawn: gr.update(value=None, visible=bool(studio.describe().priors)),
        }

    def ask_priors(shown: Taught | None, request: gr.Request) -> dict[Any, Any]:
        """What takes a prior some seconds. An event of its own: of values that one event sends
        again while the browser still works on the first, it may show neither.
        """
        hidden = gr.update(visible=False)
        if shown is None or shown.complete:
            return {busy: hidden}
        try:
            studio = shelf.get(shown.original.model)
            answers: dict[Any, Any] = {busy: hidden, taught: replace(shown, complete=True)}
            sample = drawn_by_prior(studio)
            if sample is not None:
                answers[drawn] = sample
            # Only bits of a prior that goes row by row add up to what a map costs.
            if (judge := studio.describe().judge) is not None:
                codes = shown.original.codes
                priced = [
                    Rate(f"prior_{judge}", bits, codes.size)
                    for _share, bits in prior_bits(studio, codes)
                    if bits is not None  # all of the map is read
                ]
                answers[first] = lesson_view.coding(shown.lesson, priced, language_of(request))
        except Exception as error:
            raise failed(error, "learn", request) from None
        return answers

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(
        teach,
        [session, model, taught],
        [taught, empty, busy, full, first, second, third, decoded, shuffled, uniform, drawn],
        concurrency_id="bits",  # the priors' queue: nobody waits for it to open a picture
        **quiet,
    ).success(
        ask_priors, taught, [taught, busy, drawn, first], concurrency_id="bits", **quiet
    ).failure(lambda: gr.update(visible=False), None, busy, queue=False, **quiet)
    go_edit.click(
        lambda: gr.Tabs(selected="edit"), None, tabs, queue=False, api_visibility="private"
    )
