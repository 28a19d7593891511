"""A stranger's card, shown: its words, and nothing that acts."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from demo.card_html import LONGEST, card_html


class Tags(HTMLParser):
    """Every element with its attributes, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


HARMLESS = {
    *("p", "em", "strong", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "br"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "text <b onclick=alert(1)>b</b> <iframe src=//evil>",
    "![p](https://evil.example/p.png)",
    "![p][1]\n\n[1]: https://evil.example/p.png",
    "[![p](https://evil.example/p.png)](https://evil.example)",
    "[a](javascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](/gradio_api/file=/etc/passwd)",
    "[a](#tabs)",
    "[a][1]\n\n[1]: vbscript:x",
    "<javascript:alert(1)>",
    '[a](https://x.example/"onmouseover="alert(1))',
    '[a](https://x.example "\\" onclick=\\"alert(1)")',
    "```<script>\nx\n```",
    "```html onload=alert(1)\n<script>\n```",
    "| <img src=x> | b |\n| - | - |\n| `<i>` | ![](//e) |",
    "&lt;script&gt; &#60;img src=x&#62;",
    "<!-- --><style>*{display:none}</style>",
    "[" * 5_000,
    "> " * 3_000 + "deep",
]


@pytest.mark.parametrize("card", HOSTILE, ids=lambda card: card[:24])
def test_nothing_acts_and_nothing_is_fetched(card: str) -> None:
    for tag, attributes in Tags(card_html(card)).found:
        assert tag in HARMLESS
        assert attributes.keys() <= {"href", "target", "rel", "title", "class", "style", "start"}
        assert str(attributes.get("style", "text-align:")).startswith("text-align:")
        if "href" in attributes:
            assert str(attributes["href"]).startswith(("https://", "http://"))
            assert attributes["target"] == "_blank"
            assert "noopener" in str(attributes["rel"])


def test_what_a_card_says_is_there() -> None:
    html = card_html(
        "# Title\n\n*All* of [the paper](https://arxiv.org/abs/1711.00937).\n\n"
        "![A sea](samples.jpg)\n\n| a |\n| - |\n| 1 |\n\n```python\nimport vq\n```\n"
    )
    assert "<h3>Title</h3>" in html
    assert "<em>All</em>" in html
    assert 'href="https://arxiv.org/abs/1711.00937"' in html
    assert "<em>[A sea]</em>" in html
    assert "<td>1</td>" in html and "import vq" in html


def test_headings_go_down_to_the_last_there_is() -> None:
    assert "<h6>deep</h6>" in card_html("###### deep")


def test_a_long_card_is_cut_off() -> None:
    html = card_html("word " * LONGEST)
    assert len(html) < 2 * LONGEST and html.rstrip().endswith("…</p>")
