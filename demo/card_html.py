"""A stranger's model card as HTML that can do no harm: text, tables, links, and no pictures.

What the card has of HTML is shown as text. A picture would tell another host that the page is
open: its description stands in its place. Links lead out of the page, in a tab of their own.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

LONGEST = 30_000  # characters of Markdown: longer than cards are, and soon rendered
OUTER = 2  # levels of headings that the page itself has

_WEB = re.compile(r"https?://", re.IGNORECASE)


def card_html(markdown: str) -> str:
    """The card, cut off where it is longer than LONGEST."""
    if len(markdown) > LONGEST:
        markdown = markdown[:LONGEST] + " …"
    tokens = _PARSER.parse(markdown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + OUTER)}"
        for child in token.children or []:
            if child.type == "link_open":
                _lead_out(child)
    return str(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def _lead_out(link: Token) -> None:
    """To another page of the web only, and without telling it where from."""
    if _WEB.match(str(link.attrs.get("href", ""))):
        link.attrs |= {"target": "_blank", "rel": "noopener noreferrer nofollow"}
    else:
        link.attrs.pop("href", None)  # it was meant for the repo's own page


class _Renderer(RendererHTML):
    def image(
        self,
        tokens: Sequence[Token],
        index: int,
        options: Any,
        env: MutableMapping[str, Any],
    ) -> str:
        return f"<em>[{escapeHtml(tokens[index].content)}]</em>"


_PARSER = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
