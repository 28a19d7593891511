"""The lessons of the Learn tab as HTML: questions, answers, and tables of their figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from demo import tradeoffs
from demo.edit_view import prior_name
from demo.jobs import Description
from demo.lessons import Lesson, Rate
from demo.tabs.compare_view import decibels
from demo.text import say
from demo.tradeoffs import TrainingRun


def coding(result: Lesson, priced: Sequence[Rate], language: str) -> str:
    """Loss, straight-through gradient, rate and use of the code book, in the picture at hand.

    priced: what its codes cost under priors, as far as that is known.
    """
    return "".join(
        (
            _section(
                "loss",
                language,
                error=f"{result.error(result.decoded):.5f}",
                psnr=decibels(result.psnr(result.decoded)),
                commitment=f"{result.rounding.commitment:.4g}",
            ),
            _section("gradient", language, share=f"{result.rounding.relative:.0%}"),
            _runs("quantizer", ("psnr", "distance", "perplexity"), language),
            _section("bits", language, codes=result.codes.size, number=result.num_codes),
            _rates(result, priced, language),
            _section(
                "dead",
                language,
                used=result.use.used,
                number=result.num_codes,
                codes=result.codes.size,
                perplexity=f"{result.use.perplexity:.1f}",
            ),
            _runs("2048 codes", ("used", "perplexity", "psnr"), language),
        )
    )


def drawing(result: Lesson, language: str) -> str:
    """What the codes and their places carry, above the pictures that show it."""
    return _section(
        "collapse",
        language,
        before=decibels(result.psnr(result.decoded)),
        after=decibels(result.psnr(result.shuffled)),
    ) + _section("prior", language)


def training(about: Description, language: str) -> str:
    """What was learnt over many pictures: how β and K trade off, how samples are judged."""
    return "".join(
        (
            _section("tradeoffs", language, steps=f"{tradeoffs.steps():,}"),
            _runs("codes", ("psnr", "bits", "used", "perplexity"), language),
            _runs("beta", ("psnr", "distance", "perplexity"), language),
            _runs("code book", ("psnr", "used", "perplexity"), language),
            _section("nearest", language),
            _searched(about.name, language),
            _section("judge", language),
            _held_out(about, language),
        )
    )


def _section(name: str, language: str, **values: object) -> str:
    question = escape(say(language, f"learn_{name}_question"))
    answer = escape(say(language, f"learn_{name}_answer", **values))
    paragraphs = "".join(f"<p>{part}</p>" for part in answer.split("\n\n"))
    return f"<h3>{question}</h3>{paragraphs}"


def _table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """A table of texts, each row under its name."""
    names = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in rows
    )
    table = f"<table><thead><tr><td></td>{names}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide-table' tabindex='0'>{table}</div>"  # a phone may be too narrow


def _rates(result: Lesson, priced: Sequence[Rate], language: str) -> str:
    head = (say(language, f"learn_column_{c}") for c in ("code", "pixel", "dim", "bytes"))
    rows = []
    for rate in (*result.rates(), *priced):
        key = rate.name if rate.name.startswith("prior_") else f"learn_rate_{rate.name}"
        cells = (
            f"{rate.bits / rate.codes:.2f}" if rate.codes else "–",
            f"{rate.bits_a_pixel(result.pixels):.3f}",
            f"{rate.bits_a_dim(result.pixels):.4f}",
            f"{math.ceil(rate.bits / 8):,}",
        )
        rows.append((say(language, key), cells))
    return _table(head, rows)


# The figures of a training run that a table may have, by the name of its column.
RUN_FIGURES: dict[str, Callable[[TrainingRun], str]] = {
    "psnr": lambda run: f"{run.psnr:.2f} dB",
    "bits": lambda run: f"{run.bits:.2f}",
    "used": lambda run: f"{run.used:,}",
    "perplexity": lambda run: f"{run.perplexity:,.0f}",
    "distance": lambda run: f"{run.distance:.3f}",
}


def _runs(axis: str, figures: Sequence[str], language: str) -> str:
    """The training runs along an axis; nothing where there is no other to compare one with."""
    found = tradeoffs.training_runs(axis)
    if len(found) < 2:
        return ""
    head = [say(language, f"learn_run_{name}") for name in figures]
    rows = [
        (_setting(axis, run.setting, language), [RUN_FIGURES[name](run) for name in figures])
        for run in found
    ]
    return _table(head, rows)


def _searched(checkpoint: str, language: str) -> str:
    """PSNR after more and more passes of search for codes; nothing where it is not known."""
    found = tradeoffs.searched(checkpoint)
    if not found:
        return ""
    passes = next(iter(found.values()))
    head = [say(language, "learn_passes", passes=number) for number in passes]
    rows = [(split, [f"{psnr:.2f} dB" for psnr in one.values()]) for split, one in found.items()]
    return _table(head, rows)


def _setting(axis: str, setting: str, language: str) -> str:
    """A setting in the visitor's language; numbers say of what they are."""
    if axis in ("beta", "codes"):
        return f"{'β' if axis == 'beta' else 'K'} = {setting}"
    return say(language, setting_key(setting))


def setting_key(setting: str) -> str:
    """Of the message that names a setting of the training runs."""
    return "learn_setting_" + setting.lower().replace(", ", "_").replace(" ", "_")


def _held_out(about: Description, language: str) -> str:
    """Bits a code on pictures that nothing was trained on, as the checkpoint's card has them."""
    columns: dict[str, dict[str, Any]] = {}
    for split, figures in about.figures.items():
        bits = figures.get("bits_per_code")
        found = {
            "": figures.get("unigram_bits"),
            **({name: bits.get(name) for name in about.priors} if isinstance(bits, dict) else {}),
        }
        columns[split] = {name: value for name, value in found.items() if _is_figure(value)}
    if not any(columns.values()):
        return ""
    rows = []
    for name in ("", *about.priors):
        label = prior_name(name, language) if name else say(language, "learn_rate_frequencies")
        rows.append(
            (label, [f"{one[name]:.2f}" if name in one else "–" for one in columns.values()])
        )
    return _table(columns, rows)


def _is_figure(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
