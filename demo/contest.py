"""Works out what a visitor chose to compare, one way of coding after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from demo.codecs import CODECS
from demo.contenders import Choice, Results, by_codec, by_codes, curve, prior_bits
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
        total = len(choice.checkpoints) + len(choice.codecs)
        return done("status_comparing", done=len(now.shown) + len(failed), total=total)

    yield comparing()
    for name in choice.checkpoints:
        if name not in now.by_codes:
            with _alone(name, failed, language):
                now = now.having(by_codes={name: by_codes(shelf.get(name), picture)})
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
    for name in choice.checkpoints:
        if name not in now.by_codes or name in now.prior_bits:
            continue
        use, bits = now.by_codes[name].use, None
        assert use is not None  # it is a code map
        yield now, say(language, "status_pricing", name=name, percent=0)
        with (
            _alone(name, failed, language),
            closing(prior_bits(shelf.get(name), use.codes)) as job,
        ):
            for share, price in job:
                bits, percent = price, round(100 * share)
                yield now, say(language, "status_pricing", name=name, percent=percent)
            now = now.having(prior_bits={name: bits})
    yield done("status_compared", seconds=f"{time.monotonic() - started:.1f}")


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
