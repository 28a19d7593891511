"""What the Models tab tells of a checkpoint in words and tables, what strangers wrote escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from demo.models import Listed, readable
from demo.text import say
from vq.hub.looking import Repo

FIGURES = ("psnr_db", "ssim", "perplexity", "codes_used", "bits_per_code")
MAX_SPLITS = 4  # of a card's figures


def line(one: Listed, language: str) -> str:
    """A checkpoint in the list: its name, where it is, how large or how well known."""
    parts = [one.name]
    if one.place != "hub":
        parts += [say(language, f"models_place_{one.place}"), readable(one.bytes)]
    elif one.found is not None:
        parts.append(say(language, "models_downloads", count=f"{one.found.downloads:,}"))
        parts += [one.found.license] if one.found.license else []
        parts += [say(language, "models_gated")] if one.found.gated else []
    return " · ".join(parts)


def facts_html(repo: Repo, language: str) -> str:
    """What can be known before the weights, as HTML."""
    networks = ", ".join(f"{name} ({kind})" for name, kind in repo.networks.items())
    codes = ""
    if repo.num_codes:
        codes = say(language, "models_codes", number=f"{repo.num_codes:,}", stride=repo.stride)
    rows = {
        "license": repo.license or say(language, "models_license_none"),
        "size": readable(repo.bytes) if repo.bytes else "",
        "codes": codes,
        "networks": networks,
        "downloads": f"{repo.downloads:,}" if repo.downloads else "",
        "modified": repo.modified[:10],
        "revision": " ".join(
            filter(None, (repo.revision if repo.commit else "", repo.commit[:12]))
        ),
    }
    listed = "".join(
        f"<dt>{escape(say(language, f'models_fact_{key}'))}</dt><dd>{escape(value)}</dd>"
        for key, value in rows.items()
        if value
    )
    return f"<dl>{listed}</dl>{figures_html(repo.front.get('figures'), language)}"


def figures_html(figures: Any, language: str) -> str:
    """The figures that a card of ours opens with, one column a set of pictures."""
    if not isinstance(figures, dict):
        return ""
    splits = [(k, v) for k, v in figures.items() if isinstance(v, dict)][:MAX_SPLITS]
    rows: dict[str, list[str]] = {}
    for column, (_, values) in enumerate(splits):
        for name in FIGURES:
            value = values.get(name)
            many = value if isinstance(value, dict) else {"": value}
            for part, number in list(many.items())[:8]:
                if isinstance(number, int | float) and not isinstance(number, bool):
                    label = say(language, f"models_figure_{name}") + (f", {part}" if part else "")
                    rows.setdefault(label, [""] * len(splits))[column] = f"{number:.4g}"
    if not rows:
        return ""
    head = "".join(f"<th scope='col'>{escape(str(name)[:60])}</th>" for name, _ in splits)
    body = "".join(
        f"<tr><th scope='row'>{escape(label[:80])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for label, cells in rows.items()
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
