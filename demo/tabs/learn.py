"""The Learn tab: what readers of the VQ-VAE paper ask, answered on the picture in hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from demo.jobs import StudioVerbs
from demo.lessons import Lesson, Rate, lesson
from demo.session import Session, Snapshot
from demo.shelf import Shelf
from demo.text import INTERFACE as _
from demo.text import language_of, say
from demo.toasts import unexpected


def build(shelf: Shelf, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them."""
    taught = gr.State(None)  # the snapshot on show, so that coming back costs nothing
    with gr.Column(elem_id="learn-empty") as empty:
        gr.Markdown(_("learn_empty"))
        go_edit = gr.Button(_("compare_go_edit"), elem_id="learn-go-edit", min_width=160)
    busy = gr.Markdown(_("learn_busy"), visible=False)
    with gr.Column(visible=False, elem_id="learn") as full:
        first = gr.HTML(elem_id="learn-first", elem_classes="lessons")
        second = gr.HTML(elem_id="learn-second", elem_classes="lessons")
        with gr.Row():
            decoded, shuffled, uniform = (
                gr.Image(
                    label=_(f"learn_{name}"),
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id=f"learn-{name}",
                    min_width=200,
                )
                for name in ("decoded", "shuffled", "blind")
            )

    def teach(
        session: Session | None, shown: Snapshot | None, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        hidden = gr.update(visible=False)
        if session is None:
            yield {taught: None, full: hidden, empty: gr.update(visible=True)}
            return
        original = session.history[0]
        if shown is original:
            return
        language = language_of(request)
        yield {empty: hidden, full: hidden, busy: gr.update(visible=True)}
        try:
            studio = shelf.get(original.model)
            judge = studio.describe().judge
            result = lesson(studio, original.picture, original.codes)
            answers = {
                full: gr.update(visible=True),
                second: _drawing(result, language),
                decoded: result.decoded,
                shuffled: result.shuffled,
                uniform: result.uniform,
            }
            yield {**answers, first: _coding(result, [], language)}
            # Only bits of a prior that goes row by row add up to what a map costs.
            priced = []
            if judge is not None:
                bits = _price(studio, original.codes, judge)
                priced = [Rate(f"prior_{judge}", bits, original.codes.size)]
        except Exception:
            yield {taught: None, busy: hidden, full: hidden, empty: gr.update(visible=True)}
            raise unexpected("learn", request) from None
        # All again: a browser that is short of time may skip what is not the last.
        done = {taught: original, empty: hidden, busy: hidden}
        yield {**answers, **done, first: _coding(result, priced, language)}

    tab.select(
        teach,
        [session, taught],
        [taught, empty, busy, full, first, second, decoded, shuffled, uniform],
        concurrency_id="bits",  # the priors' queue: nobody waits for it to open a picture
        show_progress="hidden",
        api_visibility="private",
    )
    go_edit.click(
        lambda: gr.Tabs(selected="edit"), None, tabs, queue=False, api_visibility="private"
    )


def _price(studio: StudioVerbs, codes: np.ndarray, prior: str) -> float:
    """Bits of a whole map `(h, w)` under a prior that goes row by row."""
    with closing(studio.surprise(codes, prior, None)) as job:
        for bits in job:
            latest = bits
    return float(latest.sum(dtype=np.float64))


def _coding(result: Lesson, priced: list[Rate], language: str) -> str:
    """Loss, straight-through gradient, rate and use of the code book, as HTML."""
    return "".join(
        (
            _section(
                "loss",
                language,
                error=f"{result.error(result.decoded):.5f}",
                psnr=_decibels(result.psnr(result.decoded)),
                commitment=f"{result.commitment:.4g}",
            ),
            _section("gradient", language),
            _section("bits", language, codes=result.codes.size, number=result.num_codes),
            _table(result, priced, language),
            _section(
                "dead",
                language,
                used=result.used,
                number=result.num_codes,
                codes=result.codes.size,
                perplexity=f"{result.perplexity:.1f}",
            ),
        )
    )


def _drawing(result: Lesson, language: str) -> str:
    """What the codes and their places carry, as HTML, above the pictures that show it."""
    return _section("prior", language) + _section(
        "collapse",
        language,
        before=_decibels(result.psnr(result.decoded)),
        after=_decibels(result.psnr(result.shuffled)),
    )


def _section(name: str, language: str, **values: object) -> str:
    question = escape(say(language, f"learn_{name}_question"))
    answer = escape(say(language, f"learn_{name}_answer", **values))
    paragraphs = "".join(f"<p>{part}</p>" for part in answer.split("\n\n"))
    return f"<h3>{question}</h3>{paragraphs}"


def _table(result: Lesson, priced: list[Rate], language: str) -> str:
    columns = ("code", "pixel", "dim", "bytes")
    head = "".join(f"<th>{escape(say(language, f'learn_column_{c}'))}</th>" for c in columns)
    body = ""
    for rate in (*result.rates(), *priced):
        key = rate.name if rate.name.startswith("prior_") else f"learn_rate_{rate.name}"
        cells = (
            f"{rate.bits / rate.codes:.2f}" if rate.codes else "–",
            f"{rate.bits_a_pixel(result.pixels):.3f}",
            f"{rate.bits_a_dim(result.pixels):.4f}",
            f"{math.ceil(rate.bits / 8):,}",
        )
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f"<tr><th scope='row'>{escape(say(language, key))}</th>{values}</tr>"
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _decibels(psnr: float) -> str:
    return f"{psnr:.1f} dB" if math.isfinite(psnr) else "∞"
