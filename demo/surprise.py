"""The view "Surprise" of the Edit tab: what every code costs under the chosen prior, in bits.

It takes seconds to minutes, so the bits go to the canvas as they come, and what is complete is kept
until there are other codes on the canvas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from demo.codemap import CodeMap, Heat
from demo.drawing import ERROR_LIMIT, error_colours
from demo.edit_view import class_of, prior_name
from demo.filling import SIDE_BY_SIDE
from demo.jobs import Description
from demo.session import Session
from demo.shelf import Shelf
from demo.text import language_of
from demo.toasts import Updates, failed

HEAT_COLOURS = error_colours(np.linspace(0, ERROR_LIMIT, 64))


@dataclass(frozen=True, eq=False)
class Kept:
    """The bits `(h, w)` of the codes `(h, w)` under everyone who was asked."""

    codes: np.ndarray
    bits: Mapping[str, np.ndarray]  # by judge


class Surprise:
    """`kept` is the state in which a visitor's `Kept` is held."""

    def __init__(self, shelf: Shelf, canvas: CodeMap, kept: gr.State) -> None:
        self.shelf = shelf
        self.canvas = canvas
        self.kept = kept
        # What each visitor asked for last: it ends what was asked before.
        self._last: dict[str | None, object] = {}

    def judge(self, model: Any, prior: Any, label: Any) -> Updates:
        """The visitor has chosen another prior or label: bits by the last are shown no more."""
        about = self.shelf.get(model).describe()
        if not about.priors:
            return {self.canvas: CodeMap.update(judge="", heat_palette=None)}
        judge = _judge(about, prior, label)
        return {self.canvas: CodeMap.update(judge=judge, heat_palette=HEAT_COLOURS)}

    def show(
        self,
        session: Session | None,
        kept: Kept | None,
        prior: Any,
        label: Any,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Lay the bits of the codes on the canvas over them, while they come."""
        if session is None:
            # A generator that gives nothing, or an empty dictionary, fails or empties its outputs.
            yield {self.kept: kept}
            return
        codes = session.shown[1]
        studio = self.shelf.get(session.current.model)
        about = studio.describe()
        if not about.priors:
            yield {self.kept: kept}
            return
        if kept is None or not np.array_equal(kept.codes, codes):
            kept = Kept(codes, {})
        judge = _judge(about, prior, label)
        language = language_of(request)
        name = prior_name(str(_prior(about, prior)), language)
        if label:
            name = f"{name}, {class_of(str(label), language)}"

        def heat(bits: np.ndarray) -> Updates:
            top = _top(about)
            return {self.canvas: CodeMap.update(heat=Heat(codes, bits, judge, name, top))}

        if judge in kept.bits:
            yield heat(kept.bits[judge])
            return
        visitor, turn = request.session_hash, object()
        self._last[visitor] = turn
        try:
            with closing(studio.surprise(codes, _prior(about, prior), label or None)) as job:
                yield heat(np.full(codes.shape, np.nan, np.float32))
                for bits in job:
                    if self._last.get(visitor) is not turn:
                        return
                    yield heat(bits)
            yield {self.kept: replace(kept, bits={**kept.bits, judge: bits})}
        except Exception as error:
            yield {self.canvas: CodeMap.update(heat=None)}
            raise failed(error, "surprise", request) from None
        finally:
            if self._last.get(visitor) is turn:
                del self._last[visitor]


def _top(about: Description) -> float:
    """Bits of the last colour: 8 times less likely than a guess among all codes would be."""
    return math.ceil(math.log2(about.num_codes)) + 3


def _prior(about: Description, choice: Any) -> Any:
    """Side by side it is the judge of what the priors make, if there is one."""
    return choice if choice != SIDE_BY_SIDE else about.judge or about.priors[0]


def _judge(about: Description, prior: Any, label: Any) -> str:
    return f"{about.name}/{_prior(about, prior)}/{label or ''}"
