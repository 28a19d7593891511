"""Works out what a visitor chose to compare, one way of coding after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from demo.codecs import CODECS
from demo.contenders import (
    SEARCHED,
    Choice,
    Results,
    by_codec,
    by_codes,
    by_searched_codes,
    curve,
    prior_bits,
    searched,
)
from demo.jobs import Refusal
from demo.shelf import Shelf
from demo.text import say

log = logging.getLogger(__name__)


def contest(
    shelf: Shelf, known: Results, choice: Choice, language: str
) -> Generator[tuple[Results, str], None, None]:
    """What is known of the picture, `known` to begin with, and what is being done, in words.

    At every step: whoever closes it has lost nothing. What fails is told in `Results.failed`, in
    the visitor's language, and takes nothing along; the next contest tries it again.
    """
    picture, started = known.original, time.monotonic()
    size = {"width": picture.shape[1], "height": picture.shape[0]}
    now, failed = replace(known, choice=choice, failed={}), dict[str, str]()

    def done(key: str, **values: Any) -> tuple[Results, str]:
        return replace(now, failed=dict(failed)), say(language, key, **size, **values)

    def comparing() -> tuple[Results, str]:
        total = len(choice.maps) + len(choice.codecs)
        return done("status_comparing", done=len(now.shown) + len(failed), total=total)

    yield comparing()
    for name in choice.checkpoints:
        if name not in now.by_codes:
            with _alone(name, failed, language):
                now = now.having(by_codes={name: by_codes(shelf.get(name), picture)})
            yield comparing()
    for name in choice.checkpoints if choice.search else ():
        if searched(name) in now.by_codes:
            continue
        with (
            _alone(searched(name), failed, language),
            closing(by_searched_codes(shelf.get(name), picture)) as search,
        ):
            for share, found in search:
                if found is not None:
                    now = now.having(by_codes={searched(name): found})
                percent = round(100 * share)
                yield now, say(language, "status_searching", name=name, percent=percent)
        yield comparing()
    for codec in choice.codecs:
        key = codec, now.budget  # of the checkpoints above
        if now.budget and key not in now.by_codec:
            with _alone(codec, failed, language):
                now = now.having(by_codec={key: by_codec(shelf.default, picture, *key)})
            yield comparing()
    for codec in CODECS:
        if codec not in now.curves:
            yield now, say(language, "status_curves")
            with _alone(codec, failed, language):
                now = now.having(curves={codec: curve(shelf.default, picture, codec)})
    for name in choice.maps:
        if name not in now.by_codes or name in now.prior_bits:
            continue
        use, bits = now.by_codes[name].use, None
        assert use is not None  # it is a code map
        label = name_of(name, language)
        yield now, say(language, "status_pricing", name=label, percent=0)
        with (
            _alone(name, failed, language),
            closing(prior_bits(shelf.get(name.removesuffix(SEARCHED)), use.codes)) as job,
        ):
            for share, price in job:
                bits, percent = price, round(100 * share)
                yield now, say(language, "status_pricing", name=label, percent=percent)
            now = now.having(prior_bits={name: bits})
    yield done("status_compared", seconds=f"{time.monotonic() - started:.1f}")


def name_of(name: str, language: str) -> str:
    """A codec by the name that people know; a checkpoint has its own."""
    if name in CODECS:
        return say(language, f"compare_{name}")
    if name.endswith(SEARCHED):
        return say(language, "compare_searched", name=name.removesuffix(SEARCHED))
    return name


@contextmanager
def _alone(name: str, failed: dict[str, str], language: str) -> Iterator[None]:
    """Put down what goes wrong with this one, and go on."""
    try:
        yield
    except Refusal as refusal:
        failed[name] = say(language, refusal.key, **refusal.values)
    except Exception:
        log.exception("comparing %s failed", name)
        failed[name] = say(language, "compare_failed")
