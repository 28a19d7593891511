"""What happens in the Edit tab: each method of `Editor` is one thing the visitor does.

A method gets the visitor's `Session` and returns updates for the parts of the page. The session is
only replaced at the end of what succeeded, so an error, Stop, or a closed tab leaves it as it was.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_pil_to_cache
from PIL import Image

from demo.codemap import CodeMap, CodeMapError, read_mask
from demo.jobs import MAX_SEED, Refusal, Settings, StudioVerbs
from demo.session import Draft, Session, Snapshot
from demo.text import language_of, say

log = logging.getLogger(__name__)
Updates = dict[Any, Any]

LARGEST_RANDOM_SEED = min(999_999, MAX_SEED)  # short enough to be noted down


@dataclass(frozen=True, eq=False)
class EditParts:
    """The parts of the tab that an action may change."""

    session: gr.State
    canvas: CodeMap
    status: gr.HTML
    seed: gr.Number
    resample: gr.Button
    stop: gr.Button
    result: gr.Column
    decision: gr.Row
    gallery: gr.Gallery
    slider: gr.ImageSlider
    undo: gr.Button
    redo: gr.Button
    download: gr.Button
    file: gr.DownloadButton


def expected(refusal: Refusal, language: str) -> gr.Error:
    """A toast that names cause and limit."""
    # Gradio shows it as HTML, and part of it may be a stranger's.
    message = escape(say(language, refusal.key, **refusal.values), quote=False)
    return gr.Error(message, print_exception=False)


def unexpected(action: str, request: gr.Request | None) -> gr.Error:
    """A toast that tells nothing of an error that nobody foresaw; the log has it."""
    log.exception("%s failed", action)
    return gr.Error(say(language_of(request), "error_unexpected"), print_exception=False)


def guarded(action: Callable[..., Updates]) -> Callable[..., Updates]:
    """The action, with a toast for errors that nobody foresaw: Gradio shows nothing for them."""

    @functools.wraps(action)
    def run(*inputs: Any) -> Updates:
        try:
            return action(*inputs)
        except gr.Error:
            raise
        except Exception:
            request = next((one for one in inputs if isinstance(one, gr.Request)), None)
            raise unexpected(action.__name__, request) from None

    return run


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


class Editor:
    def __init__(self, studio: StudioVerbs, parts: EditParts) -> None:
        self.studio = studio
        self.parts = parts
        self.stride = studio.describe().stride

    def open(
        self, upload: Image.Image | None, sent: Snapshot | None, request: gr.Request
    ) -> Updates:
        """A new picture, or none: a fresh session.

        `sent` is what another tab sent here last: where the picture is that one, its codes are
        taken as they are. Encoding the picture anew would give others.
        """
        language = language_of(request)
        if upload is None:
            return {**self._show(None), **self._status(say(language, "status_start"))}
        if sent is not None and np.array_equal(np.asarray(upload), sent.picture):
            picture, codes = sent.picture, sent.codes
        else:
            picture = self.studio.prepare(upload)
            codes = self.studio.encode(picture)
        session = Session.of(np.asarray(upload), picture, codes)
        rows, columns = session.current.codes.shape
        text = say(
            language,
            "status_opened",
            width=upload.width,
            height=upload.height,
            working_width=picture.shape[1],
            working_height=picture.shape[0],
            rows=rows,
            columns=columns,
            codes=f"{rows * columns:,}",
        )
        return {**self._show(session), **self._status(text)}

    def ready(self, session: Session | None, mask: object, request: gr.Request) -> list[Any]:
        """Whether Resample can start: a verdict on each input; the canvas carries the message."""
        language = language_of(request)
        message = ""
        try:
            self._cells(session, mask)
        except Refusal as refusal:
            message = say(language, refusal.key, **refusal.values)
        return [gr.validate(True, ""), gr.validate(not message, message)]

    def wait(self, session: Session | None, mask: object, request: gr.Request) -> Updates:
        """What is seen until the job begins: it may have to queue behind other visitors'."""
        return {**self._busy(), **self._status(say(language_of(request), "status_waiting"))}

    def resample(
        self,
        session: Session | None,
        mask: object,
        prior: Any,
        mode: Any,
        variations: Any,
        seed: Any,
        random_seed: Any,
        label: Any,
        guidance: Any,
        temperature: Any,
        top_k: Any,
        top_p: Any,
        steps: Any,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Fill the painted cells, step by step on the canvas, and put up what came for decision."""
        language = language_of(request)
        try:
            cells = self._cells(session, mask)
            settings = Settings(
                prior=prior,
                mode=mode,
                variations=variations,
                seed=secrets.randbelow(LARGEST_RANDOM_SEED + 1) if random_seed else seed,
                label=label or None,
                guidance=guidance,
                temperature=temperature,
                top_k=top_k or None,
                top_p=top_p,
                steps=steps,
            )
            assert session is not None  # or there were no cells
            picture, codes = session.current.picture, session.current.codes
            job = self.studio.resample(picture, codes, cells, settings)
        except Refusal as refusal:
            raise expected(refusal, language) from None

        yield {self.parts.seed: settings.seed}
        started = time.monotonic()
        try:
            with closing(job):
                for step in job:
                    text = say(
                        language,
                        "status_step",
                        step=step.step,
                        steps=step.steps,
                        left=f"{np.count_nonzero(step.remaining[0]):,}",
                        cells=f"{np.count_nonzero(cells):,}",
                    )
                    yield {
                        self.parts.canvas: CodeMap.update(
                            codes=step.codes[0], image=step.picture, remaining=step.remaining[0]
                        ),
                        **self._status(text),
                    }
                filled = step.codes
            yield self._status(say(language, "status_finishing"))
            pictures = self.studio.render(picture, filled, cells)
        except Exception:
            raise unexpected("resample", request) from None
        seconds = time.monotonic() - started
        text = say(
            language,
            "status_done" if settings.variations == 1 else "status_done_many",
            cells=f"{np.count_nonzero(cells):,}",
            variations=settings.variations,
            seconds=f"{seconds:.1f}",
            seed=settings.seeds[0],
            first=settings.seeds[0],
            last=settings.seeds[-1],
        )
        proposed = session.propose(Draft(pictures, filled, cells, settings.seeds))
        yield {**self._show(proposed), **self._status(text)}

    def stopped(self, session: Session | None, request: gr.Request) -> Updates:
        """The job was stopped, raised, or found no place in the queue: back to before it."""
        key = "status_start" if session is None else "status_stopped"
        return {**self._show(session), **self._status(say(language_of(request), key))}

    def choose(self, session: Session | None, event: gr.SelectData, request: gr.Request) -> Updates:
        """A click on a variation shows it in place."""
        if (
            session is None
            or session.draft is None
            or not 0 <= event.index < len(session.draft.seeds)
        ):
            return self._show(session)
        session = session.choose(event.index)
        assert session.draft is not None
        text = say(
            language_of(request),
            "status_chosen",
            number=event.index + 1,
            variations=len(session.draft.seeds),
            seed=session.draft.seeds[event.index],
        )
        updates = {**self._show(session), **self._status(text)}
        del updates[self.parts.gallery]  # the visitor's own click has marked it
        return updates

    def keep(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or session.draft is None:
            return self._show(session)
        return self._moved(session.keep(), "status_kept", request, clear_mask=True)

    def discard(self, session: Session | None, request: gr.Request) -> Updates:
        session = session and session.discard()
        return {
            **self._show(session),
            **self._status(say(language_of(request), "status_discarded")),
        }

    def undo(self, session: Session | None, request: gr.Request) -> Updates:
        return self._moved(session and session.undo(), "status_undone", request)

    def redo(self, session: Session | None, request: gr.Request) -> Updates:
        return self._moved(session and session.redo(), "status_redone", request)

    def save(self, session: Session | None, request: gr.Request) -> Updates:
        """What the canvas shows, at the size of the upload, as a PNG file to download."""
        language = language_of(request)
        if session is None:
            raise expected(Refusal("error_no_picture"), language)
        picture = Image.fromarray(session.keep().full_size())
        path = save_pil_to_cache(picture, self.parts.file.GRADIO_CACHE, "codebrush", "png")
        text = say(language, "status_downloaded", width=picture.width, height=picture.height)
        return {self.parts.file: path, **self._status(text)}

    def _cells(self, session: Session | None, mask: object) -> np.ndarray:
        """The painted cells `(h, w)`. Raises `Refusal` if there is none, or no picture."""
        if session is None:
            raise Refusal("error_no_picture")
        rows, columns = session.current.codes.shape
        try:
            cells = read_mask(mask, rows, columns)
        except CodeMapError as error:
            raise Refusal("error_mask", reason=error) from None
        if not cells.any():
            raise Refusal("error_no_cells")
        return cells

    def _status(self, text: str) -> Updates:
        return {self.parts.status: escape(text)}

    def _busy(self) -> Updates:
        """A job runs: only Stop can be pressed, so that nothing else changes the session."""
        off = gr.update(interactive=False)
        parts = self.parts
        return {
            **dict.fromkeys((parts.resample, parts.undo, parts.redo, parts.download), off),
            parts.stop: gr.update(interactive=True),
            parts.canvas: CodeMap.update(disabled=True),
            parts.decision: gr.update(visible=False),
        }

    def _moved(
        self, session: Session | None, key: str, request: gr.Request, clear_mask: bool = False
    ) -> Updates:
        if session is None:
            return self._show(None)
        text = say(
            language_of(request), key, number=session.position, total=len(session.history) - 1
        )
        return {**self._show(session, clear_mask), **self._status(text)}

    def _show(self, session: Session | None, clear_mask: bool = False) -> Updates:
        """The whole tab as the session has it, but for the status line."""
        parts = self.parts
        updates: Updates = {parts.session: session, parts.stop: gr.update(interactive=False)}
        if session is None:
            off = gr.update(interactive=False)
            buttons = (parts.resample, parts.undo, parts.redo, parts.download)
            return {
                **updates,
                **dict.fromkeys(buttons, off),
                parts.result: gr.update(visible=False),
                parts.decision: gr.update(visible=False),
                parts.canvas: CodeMap.update(
                    codes=None,
                    image=None,
                    remaining=None,
                    value=None,
                    picture_id="",
                    disabled=False,
                ),
            }

        draft = session.draft
        picture, codes = session.shown
        canvas = CodeMap.update(
            codes=codes, image=picture, remaining=None, picture_id=session.id, disabled=False
        )
        if clear_mask:
            canvas.update(CodeMap.update(value=None))
        before = session.current.picture if draft else session.history[0].picture
        # One variation is on the canvas already; a gallery is for choosing among several.
        gallery = gr.update(value=None, visible=False)
        if draft is not None and len(draft.seeds) > 1:
            gallery = gr.update(
                value=close_ups(draft.pictures, draft.cells),
                selected_index=draft.chosen,
                visible=True,
            )
        return {
            **updates,
            parts.canvas: canvas,
            parts.resample: gr.update(interactive=True),
            parts.undo: gr.update(interactive=session.can_undo),
            parts.redo: gr.update(interactive=session.can_redo),
            parts.download: gr.update(interactive=True),
            parts.result: gr.update(visible=draft is not None or session.position > 0),
            parts.decision: gr.update(visible=draft is not None),
            parts.gallery: gallery,
            parts.slider: gr.update(value=(before, picture)),
        }
