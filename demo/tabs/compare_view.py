"""What the Compare tab shows of its results: views, a table of figures, the chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from demo.comparison import View
from demo.contenders import Contender, Results
from demo.contest import name_of
from demo.rate_chart import Point, Series, Words, rate_chart
from demo.text import say

MEASURES = ("psnr", "ssim")
ORIGINAL = "original"


def views(results: Results, files: Mapping[int, str], language: str) -> list[View]:
    """The original and everything chosen, what is still to come included; files by picture's id."""
    shown = results.shown
    found = [View(ORIGINAL, say(language, "compare_original"), files[id(results.original)])]
    for name in (*results.choice.maps, *results.choice.codecs):
        label = name_of(name, language)
        if name in shown:
            file = files[id(shown[name].picture)]
            found.append(View(name, label, file, _line(shown[name], results, language)))
        else:
            note = results.failed.get(name, "")
            found.append(View(name, label, None, note, failed=bool(note)))
    return found


def _line(one: Contender, results: Results, language: str) -> str:
    return say(
        language,
        "compare_figures_line",
        psnr=decibels(one.psnr),
        ssim=f"{one.ssim:.3f}",
        rate=f"{one.bits / results.pixels:.3g}",
    )


def figures(results: Results, language: str) -> str:
    """Rate and quality of everything chosen, as HTML, with notes on how it was done."""
    columns = (
        *("size", "uniform", "entropy", "prior", "psnr", "ssim", "used", "perplexity", "seconds"),
    )
    head = "".join(
        f"<th scope='col'>{escape(say(language, f'compare_column_{c}'))}</th>" for c in columns
    )
    body = "".join(_row(name, one, results, language) for name, one in results.shown.items())
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(results, language))
    return (
        f"<div class='wide-table' tabindex='0'><table><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>{notes}"
    )


def _row(name: str, one: Contender, results: Results, language: str) -> str:
    pixels, use, bits = results.pixels, one.use, results.prior_bits.get(name)
    cells = (
        say(language, "compare_bytes", bytes=f"{math.ceil(one.bits / 8):,}"),
        f"{one.bits / pixels:.3f}",
        "–" if use is None else f"{one.entropy_bits / pixels:.3f}",
        "–" if use is None or bits is None else f"{bits / pixels:.3f}",
        decibels(one.psnr),
        f"{one.ssim:.3f}",
        "–" if use is None else say(language, "compare_used", used=use.used, number=use.num_codes),
        "–" if use is None else f"{use.perplexity:.1f}",
        f"{one.seconds:.2f}",
    )
    values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row'>{escape(name_of(name, language))}</th>{values}</tr>"


def _notes(results: Results, language: str) -> list[str]:
    notes = []
    for name, one in results.shown.items():
        size = {"width": one.coded_size[0], "height": one.coded_size[1]}
        label = name_of(name, language)
        if one.changed is not None:
            share = f"{100 * one.changed:.1f}"
            notes.append(say(language, "compare_note_searched", name=label, percent=share))
        elif one.use is not None:
            rows, columns = one.use.codes.shape
            notes.append(
                say(
                    language,
                    "compare_note_codes",
                    name=label,
                    rows=rows,
                    columns=columns,
                    bits_per_code=f"{one.bits / one.use.codes.size:g}",
                    bits=f"{one.bits:,.0f}",
                )
            )
            if one.resized:
                notes.append(say(language, "compare_note_resized", name=label, **size))
        elif not one.fits:
            notes.append(say(language, "compare_note_too_large", codec=label, **size))
        elif one.resized:
            notes.append(say(language, "compare_note_reduced", codec=label, **size))
    if results.reference is not None:
        notes.append(say(language, "compare_note_frequency"))
        if any(results.prior_bits.get(name) for name in results.shown):
            notes.append(say(language, "compare_note_prior"))
        if results.choice.codecs:
            notes.append(say(language, "compare_note_budget", name=results.reference))
    return notes


def chart(results: Results, measure: str, language: str) -> str:
    """The picture's rate and distortion: checkpoints as points, codecs as curves."""
    pixels, series = results.pixels, []
    for name in results.choice.maps:
        one = results.by_codes.get(name)
        if one is None:
            continue
        rates = {"uniform": one.bits, "entropy": one.entropy_bits}
        if (bits := results.prior_bits.get(name)) is not None:
            rates["prior"] = bits
        points = tuple(
            Point(
                rate / pixels,
                getattr(one, measure),
                say(language, f"chart_{kind}"),
                filled=kind == "uniform",
            )
            for kind, rate in rates.items()
        )
        series.append(Series(name_of(name, language), points))
    for codec, curve in results.curves.items():
        points = tuple(
            Point(
                point.bits / pixels,
                getattr(point, measure),
                say(language, "chart_quality", quality=point.quality),
            )
            for point in curve
        )
        series.append(Series(name_of(codec, language), points, curve=True))
    words = Words(
        say(language, "compare_chart"),
        say(language, "chart_rate"),
        say(language, f"chart_{measure}"),
        say(language, "chart_table"),
        say(language, "chart_way"),
        lambda rate, value: say(language, "chart_told", rate=rate, value=value),
        decibels if measure == "psnr" else lambda value: f"{value:.3f}",
    )
    return rate_chart(series, words)


def decibels(psnr: float) -> str:
    return f"{psnr:.1f} dB" if math.isfinite(psnr) else "∞"
