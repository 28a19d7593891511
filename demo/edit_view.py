"""What the Edit tab shows: its parts, and the updates that bring them to where the session is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.codemap import CodeMap
from demo.history import NOBODY, HistoryStrip, Step
from demo.session import Draft, Made, Session
from demo.shelf import Shelf
from demo.text import CATALOGUES, say
from demo.toasts import Updates


@dataclass(frozen=True, eq=False)
class EditParts:
    """The parts of the tab that an action may change, and the shelf with what they show."""

    shelf: Shelf
    model: gr.Dropdown
    session: gr.State
    canvas: CodeMap
    strip: HistoryStrip
    status: gr.HTML
    seed: gr.Number
    quality_note: gr.HTML
    resample: gr.Button
    stop: gr.Button
    result: gr.Column
    decision: gr.Row
    gallery: gr.Gallery
    slider: gr.ImageSlider
    undo: gr.Button
    redo: gr.Button
    download: gr.Button
    save_filling: gr.Button
    save_codes: gr.Button
    save_mask: gr.Button
    file: gr.DownloadButton

    def told(self, text: str) -> Updates:
        return {self.status: escape(text)}

    @property
    def saves(self) -> tuple[gr.Button, ...]:
        """The buttons that give out a file."""
        return self.download, self.save_filling, self.save_codes, self.save_mask

    def busy(self) -> Updates:
        """A job runs: only Stop can be pressed, so that nothing else changes the session."""
        off = gr.update(interactive=False)
        return {
            **dict.fromkeys((self.resample, self.undo, self.redo, *self.saves), off),
            self.stop: gr.update(interactive=True),
            self.canvas: CodeMap.update(disabled=True),
            self.strip: HistoryStrip.locked(),
            self.decision: gr.update(visible=False),
        }

    def shown(self, session: Session | None, language: str, clear_mask: bool = False) -> Updates:
        """The whole tab as the session has it, but for the status line."""
        updates: Updates = {self.session: session, self.stop: gr.update(interactive=False)}
        if session is None:
            return {**updates, **self._nothing()}
        draft = session.draft
        picture, codes = session.shown
        model = session.current.model
        about = self.shelf.get(model).describe()
        canvas = CodeMap.update(
            codes=codes,
            palette=about.palette,
            checkpoint=about.checkpoint,
            image=picture,
            remaining=None,
            picture_id=session.id,
            disabled=False,
        )
        if clear_mask:
            canvas.update(CodeMap.update(value=None))
        # One variation is on the canvas already; a gallery is for choosing among several.
        gallery = gr.update(value=None, visible=False)
        if draft is not None and len(draft.origins) > 1:
            captions = [caption(draft, index, language) for index in range(len(draft.origins))]
            gallery = gr.update(
                value=list(zip(close_ups(draft.pictures, draft.cells), captions, strict=True)),
                selected_index=draft.chosen,
                visible=True,
            )
        return {
            **updates,
            self.model: model,
            self.canvas: canvas,
            self.strip: HistoryStrip.showing(
                [
                    Step(one.number, step_name(one.made, language), one.picture)
                    for one in session.history
                ],
                session.current.number,
                NOBODY if session.reference is None else session.reference.number,
                waiting=draft is not None,
            ),
            self.resample: gr.update(interactive=True),
            self.undo: gr.update(interactive=session.can_undo),
            self.redo: gr.update(interactive=session.can_redo),
            **dict.fromkeys(self.saves, gr.update(interactive=True)),
            self.save_filling: gr.update(interactive=session.recording is not None),
            self.result: gr.update(visible=session.before is not None),
            self.decision: gr.update(visible=draft is not None),
            self.gallery: gallery,
            self.slider: self._compared(session, language),
        }

    def _compared(self, session: Session, language: str) -> dict[str, Any]:
        """What is compared, and which side is which."""
        if session.before is None:
            return gr.update()
        before, after = session.before.picture, session.shown[0]
        if before.shape != after.shape:  # of checkpoints with different strides
            small = Image.fromarray(before).resize(after.shape[1::-1], Image.Resampling.BICUBIC)
            before = np.asarray(small)
        made, number = session.current.made, session.current.number
        if session.draft is not None:
            made, number = session.draft.made, number + 1
        sides = {
            "left": numbered(session.before.number, session.before.made, language),
            "right": numbered(number, made, language),
        }
        return gr.update(
            value=(before, after),
            label=say(language, "before_after_sides", **sides),
        )

    def _nothing(self) -> Updates:
        """There is no picture."""
        off = gr.update(interactive=False)
        return {
            **dict.fromkeys((self.resample, self.undo, self.redo, *self.saves), off),
            self.result: gr.update(visible=False),
            self.decision: gr.update(visible=False),
            self.strip: HistoryStrip.showing([], NOBODY),
            self.canvas: CodeMap.update(
                codes=None,
                image=None,
                remaining=None,
                heat=None,
                value=None,
                picture_id="",
                disabled=False,
            ),
        }


def prior_name(prior: str, language: str) -> str:
    """A prior in the visitor's language if there is a message for it, else as it is."""
    return CATALOGUES[language].get(f"prior_{prior}", prior)


def class_of(label: str, language: str) -> str:
    """A class, likewise."""
    return CATALOGUES[language].get("class_" + label.replace(" ", "_"), label)


def step_name(made: Made, language: str) -> str:
    """What a step of the history was."""
    values: dict[str, object] = {"cells": f"{made.cells:,}", "code": made.code, "model": made.model}
    if made.origin is not None:
        values |= {"prior": prior_name(made.origin.prior, language), "seed": made.origin.seed}
    name = say(language, f"step_{made.kind}", **values)
    if made.origin is not None and made.origin.akin is not None:
        name += ", " + say(language, "caption_akin", seed=made.origin.akin)
    return name


def numbered(number: int, made: Made, language: str) -> str:
    """What a step was, with its number; there is but one number 0."""
    name = step_name(made, language)
    return say(language, "history_step", number=number, name=name) if number else name


def caption(draft: Draft, index: int, language: str) -> str:
    """What tells a variation from the others: its prior if they have several, seed, bits."""
    origin = draft.origins[index]
    words = [say(language, "caption_seed", seed=origin.seed)]
    if len({other.prior for other in draft.origins}) > 1:
        words.insert(0, prior_name(origin.prior, language))
    if origin.akin is not None:
        words.append(say(language, "caption_akin", seed=origin.akin))
    if origin.bits is not None:
        words.append(say(language, "caption_bits", bits=f"{origin.bits:,.0f}"))
    return " · ".join(words)


def close_ups(pictures: np.ndarray, cells: np.ndarray) -> list[np.ndarray]:
    """Variations `(V, H, W, 3)` cut to a square around the painted cells."""
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    height, width = pictures.shape[1:3]
    stride = height // cells.shape[0]
    painted = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = min(height, width, int(1.6 * painted * stride) + 4 * stride)
    top = (rows[0] + rows[-1] + 1) * stride // 2 - side // 2
    left = (columns[0] + columns[-1] + 1) * stride // 2 - side // 2
    top, left = min(max(0, top), height - side), min(max(0, left), width - side)
    return list(pictures[:, top : top + side, left : left + side])
