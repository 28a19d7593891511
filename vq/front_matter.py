"""What a model card opens with: YAML between two lines of dashes, as on the Hugging Face Hub."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from vq.layout import CARD
from vq.strict_files import CheckpointError

MAX_FRONT_MATTER = 65_536  # characters

_FRONT = re.compile(r"---\n(.*?)^---$\n*", re.DOTALL | re.MULTILINE)


def front_matter(card: str) -> dict[str, Any]:
    """The values a card opens with, fit for JSON, dates as texts; {} where there are none.

    Raises CheckpointError where they are no plain mapping, or too long.
    """
    match = _FRONT.match(card)
    if not match:
        return {}
    if len(match[1]) > MAX_FRONT_MATTER:
        raise CheckpointError(f"{CARD}: more than {MAX_FRONT_MATTER:,} characters of front matter")
    try:
        parsed = yaml.load(match[1], _Loader)
        plain = json.loads(json.dumps(parsed, default=str, allow_nan=False))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise CheckpointError(f"{CARD}: its front matter cannot be read: {reason}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{CARD}: its front matter must be a mapping")
    return plain


def figures(card: str) -> dict[str, dict[str, Any]]:
    """The figures of a model card by split; none where a stranger's card has something else."""
    try:
        found = front_matter(card).get("figures")
    except CheckpointError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(split): of for split, of in found.items() if isinstance(of, dict)}


def without_front_matter(card: str) -> str:
    """The card's text."""
    match = _FRONT.match(card)
    return card[match.end() :] if match else card


class _Loader(yaml.SafeLoader):
    """Without aliases, by which a few lines can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)
