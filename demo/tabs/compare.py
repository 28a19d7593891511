"""The Compare tab: what a picture loses in codes, and what the same bytes buy as JPEG or WebP."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from demo.drawing import error_map
from demo.jobs import Coded, Comparison
from demo.session import Session, Snapshot
from demo.shelf import Shelf
from demo.text import INTERFACE as _
from demo.text import language_of, say
from demo.toasts import unexpected


def build(shelf: Shelf, session: gr.State, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lay the tab out in the current context; `tab` is its own, `tabs` all of them."""
    compared = gr.State(None)  # the snapshot on show, so that coming back costs nothing
    with gr.Column(elem_id="compare-empty") as empty:
        gr.Markdown(_("compare_empty"))
        go_edit = gr.Button(_("compare_go_edit"), elem_id="go-edit", min_width=160)
    busy = gr.Markdown(_("compare_busy"), visible=False)
    with gr.Column(visible=False, elem_id="comparison") as full:
        gr.Markdown(_("compare_intro"))
        with gr.Row(elem_classes="columns"):
            with gr.Column(min_width=320):
                slider = gr.ImageSlider(
                    label=_("compare_slider"),
                    format="png",
                    max_height=520,  # a fixed height would misalign the two
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="compare-slider",
                )
            with gr.Column(min_width=320):
                error = _picture("compare_error", "compare-error")
        table = gr.HTML(elem_id="compare-table")
        with gr.Row(elem_classes="columns"):
            with gr.Column(min_width=320):
                jpeg = _picture("compare_jpeg", "compare-jpeg")
            with gr.Column(min_width=320):
                webp = _picture("compare_webp", "compare-webp")

    def compare(
        session: Session | None, shown: Snapshot | None, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        if session is None:
            yield {
                compared: None,
                empty: gr.update(visible=True),
                full: gr.update(visible=False),
            }
            return
        original = session.history[0]
        if shown is original:
            return
        hidden = gr.update(visible=False)
        yield {empty: hidden, full: hidden, busy: gr.update(visible=True)}
        started = time.monotonic()
        try:
            result = shelf.get(original.model).compare(original.picture)
        except Exception:
            yield {compared: None, busy: hidden, empty: gr.update(visible=True)}
            raise unexpected("compare", request) from None
        seconds = time.monotonic() - started
        by_name = {other.name: other for other in result.others}
        yield {
            compared: original,
            busy: hidden,
            full: gr.update(visible=True),
            slider: (result.original, result.codes.picture),
            error: error_map(result.original, result.codes.picture),
            table: _table(result, original.codes.shape, seconds, language_of(request)),
            jpeg: by_name["jpeg"].picture,
            webp: by_name["webp"].picture,
        }

    tab.select(
        compare,
        [session, compared],
        [compared, empty, busy, full, slider, error, table, jpeg, webp],
        concurrency_id="short",
        show_progress="hidden",
        api_visibility="private",
    )
    go_edit.click(
        lambda: gr.Tabs(selected="edit"), None, tabs, queue=False, api_visibility="private"
    )


def _picture(key: str, elem_id: str) -> gr.Image:
    return gr.Image(
        label=_(key),
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        elem_id=elem_id,
    )


def _table(result: Comparison, map_shape: tuple[int, ...], seconds: float, language: str) -> str:
    """Rate and quality of every way of coding, as HTML, with notes on how it was done."""
    pixels = result.original.shape[0] * result.original.shape[1]
    columns = ("size", "rate", "smaller", "psnr", "ssim")
    head = "".join(f"<th>{escape(say(language, f'compare_column_{c}'))}</th>" for c in columns)

    def row(name: str, bits: float, psnr: float, ssim: float) -> str:
        cells = (
            say(language, "compare_bytes", bytes=f"{math.ceil(bits / 8):,}"),
            f"{bits / pixels:.3g}",
            f"{result.original_bits / bits:.1f}×",
            f"{psnr:.1f} dB" if math.isfinite(psnr) else "∞",
            f"{ssim:.3f}",
        )
        values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        return f"<tr><th scope='row'>{escape(say(language, f'compare_{name}'))}</th>{values}</tr>"

    coded = (result.codes, *result.others)
    body = row("original", result.original_bits, math.inf, 1.0)
    body += "".join(row(c.name, c.bits, c.psnr, c.ssim) for c in coded)
    size = result.original.shape
    notes = [
        say(
            language,
            "compare_note_codes",
            rows=map_shape[0],
            columns=map_shape[1],
            bits_per_code=f"{result.codes.bits / (map_shape[0] * map_shape[1]):g}",
            bits=f"{result.codes.bits:,.0f}",
        ),
        say(language, "compare_note_error"),
        *(note for other in result.others if (note := _note(other, size, language))),
        say(language, "status_compared", width=size[1], height=size[0], seconds=f"{seconds:.1f}"),
    ]
    listed = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>{listed}"


def _note(coded: Coded, size: tuple[int, ...], language: str) -> str:
    """What had to be done to make the file so small; empty where nothing had."""
    width, height = coded.coded_size
    if coded.fits and (height, width) == size[:2]:
        return ""
    return say(
        language,
        "compare_note_reduced" if coded.fits else "compare_note_too_large",
        codec=say(language, f"compare_{coded.name}"),
        width=width,
        height=height,
    )
