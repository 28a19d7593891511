"""What happens in the Edit tab: each method of `Editor` is one thing the visitor does.

A method gets the visitor's `Session` and returns updates for the parts of the page. The session is
only replaced at the end of what succeeded, so an error, Stop, or a closed tab leaves it as it was.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_pil_to_cache
from PIL import Image

from demo.codemap import CodeMap, CodeMapError, read_mask
from demo.edit_view import EditParts, Updates, caption, prior_name
from demo.jobs import MAX_SEED, Refusal, Settings, Step, StudioVerbs, code_number, quality_at
from demo.session import Draft, Origin, Session, Snapshot
from demo.text import language_of, say

log = logging.getLogger(__name__)

LARGEST_RANDOM_SEED = min(999_999, MAX_SEED)  # short enough to be noted down
SIDE_BY_SIDE = "side by side"  # chosen in place of a prior: every prior fills the same hole


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


class Editor:
    def __init__(self, studio: StudioVerbs, parts: EditParts) -> None:
        self.studio = studio
        self.parts = parts
        self.about = studio.describe()

    def explain(self, prior: Any, quality: Any, request: gr.Request) -> Updates:
        """What the chosen quality means for the chosen prior, or priors, in plain words."""
        language = language_of(request)
        try:
            chosen = quality_at(quality)
        except Refusal as refusal:
            raise expected(refusal, language) from None
        sentences = []
        for name in self._priors(prior):
            key = "quality_steps"
            if name in self.about.raster:
                key = "quality_particles" if chosen.particles > 1 else "quality_one_particle"
            sentences.append(
                say(
                    language,
                    key,
                    prior=prior_name(str(name), language),
                    steps=chosen.steps,
                    particles=chosen.particles,
                )
            )
        text = f"{say(language, f'quality_{chosen.name}')}. {' '.join(sentences)}"
        return {self.parts.quality_note: escape(text)}

    def open(
        self, upload: Image.Image | None, sent: Snapshot | None, request: gr.Request
    ) -> Updates:
        """A new picture, or none: a fresh session.

        `sent` is what another tab sent here last: where the picture is that one, its codes are
        taken as they are. Encoding the picture anew would give others.
        """
        language = language_of(request)
        parts = self.parts
        if upload is None:
            return {**parts.shown(None, language), **parts.told(say(language, "status_start"))}
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
        return {**parts.shown(session, language), **parts.told(text)}

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
        text = say(language_of(request), "status_waiting")
        return {**self.parts.busy(), **self.parts.told(text)}

    def resample(
        self,
        session: Session | None,
        mask: object,
        prior: Any,
        mode: Any,
        quality: Any,
        variations: Any,
        seed: Any,
        random_seed: Any,
        label: Any,
        guidance: Any,
        temperature: Any,
        top_k: Any,
        top_p: Any,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Fill the painted cells, step by step on the canvas, and put up what came for decision."""
        language = language_of(request)
        try:
            cells = self._cells(session, mask)
            chosen = quality_at(quality)
            seed = secrets.randbelow(LARGEST_RANDOM_SEED + 1) if random_seed else seed
            settings = [
                Settings(
                    prior=name,
                    mode=mode,
                    variations=variations,
                    seed=seed,
                    label=label or None,
                    guidance=guidance,
                    temperature=temperature,
                    top_k=top_k or None,
                    top_p=top_p,
                    steps=chosen.steps,
                    particles=chosen.particles,
                )
                for name in self._priors(prior)
            ]
            assert session is not None  # or there were no cells
            picture, codes = session.current.picture, session.current.codes
            # All of them before any begins: none may be refused once others have done their work.
            jobs = [self.studio.resample(picture, codes, cells, one) for one in settings]
        except Refusal as refusal:
            raise expected(refusal, language) from None

        yield {self.parts.seed: settings[0].seed}
        started = time.monotonic()
        try:
            filled = []
            for name, job in zip(self._priors(prior), jobs, strict=True):
                with closing(job):
                    for step in job:
                        yield self._stepped(step, name, cells, language)
                filled.append(step.codes)
            yield self.parts.told(say(language, "status_finishing"))
            draft = self._draft(picture, filled, cells, settings)
        except Exception:
            raise unexpected("resample", request) from None
        seconds = time.monotonic() - started
        text = self._done(draft, language, seconds)
        yield {**self.parts.shown(session.propose(draft), language), **self.parts.told(text)}

    def stopped(self, session: Session | None, request: gr.Request) -> Updates:
        """The job was stopped, raised, or found no place in the queue: back to before it."""
        key = "status_start" if session is None else "status_stopped"
        language = language_of(request)
        return {**self.parts.shown(session, language), **self.parts.told(say(language, key))}

    def choose(self, session: Session | None, event: gr.SelectData, request: gr.Request) -> Updates:
        """A click on a variation shows it in place."""
        language = language_of(request)
        if (
            session is None
            or session.draft is None
            or not 0 <= event.index < len(session.draft.origins)
        ):
            return self.parts.shown(session, language)
        session = session.choose(event.index)
        assert session.draft is not None
        text = say(
            language,
            "status_chosen",
            number=event.index + 1,
            variations=len(session.draft.origins),
            what=caption(session.draft, event.index, language),
        )
        updates = {**self.parts.shown(session, language), **self.parts.told(text)}
        del updates[self.parts.gallery]  # the visitor's own click has marked it
        return updates

    def keep(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or session.draft is None:
            return self.parts.shown(session, language_of(request))
        return self._moved(session.keep(), "status_kept", request, clear_mask=True)

    def discard(self, session: Session | None, request: gr.Request) -> Updates:
        session = session and session.discard()
        language = language_of(request)
        text = say(language, "status_discarded")
        return {**self.parts.shown(session, language), **self.parts.told(text)}

    def brush(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Updates:
        """A stroke of the code brush: its cells get one code. One step of the history.

        A variation that waits for decision is kept: it is what the visitor painted on.
        """
        language = language_of(request)
        try:
            cells = self._cells(session, event.cells)
            code = code_number(event.code, self.about.num_codes)
        except Refusal as refusal:
            # Not raised: the canvas shows the stroke until it has an answer.
            gr.Warning(escape(say(language, refusal.key, **refusal.values), quote=False))
            return {self.parts.canvas: CodeMap.update(answered=event.number)}
        assert session is not None  # or there were no cells
        session = session.keep()
        current = session.current
        codes = np.where(cells, code, current.codes)
        picture = self.studio.render(current.picture, codes[None], cells)[0]
        session = session.edit(picture, codes, cells)
        updates = self.parts.shown(session, language)
        updates[self.parts.canvas].update(CodeMap.update(answered=event.number))
        text = say(
            language,
            "status_brushed",
            code=code,
            cells=f"{np.count_nonzero(cells):,}",
            number=session.position,
            total=len(session.history) - 1,
        )
        return {**updates, **self.parts.told(text)}

    def undo(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or not session.can_undo:
            return self.parts.shown(session, language_of(request))
        return self._moved(session.undo(), "status_undone", request)

    def redo(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or not session.can_redo:
            return self.parts.shown(session, language_of(request))
        return self._moved(session.redo(), "status_redone", request)

    def save(self, session: Session | None, request: gr.Request) -> Updates:
        """What the canvas shows, at the size of the upload, as a PNG file to download."""
        language = language_of(request)
        if session is None:
            raise expected(Refusal("error_no_picture"), language)
        picture = Image.fromarray(session.keep().full_size())
        path = save_pil_to_cache(picture, self.parts.file.GRADIO_CACHE, "codebrush", "png")
        text = say(language, "status_downloaded", width=picture.width, height=picture.height)
        return {self.parts.file: path, **self.parts.told(text)}

    def _priors(self, choice: Any) -> Sequence[Any]:
        return self.about.priors if choice == SIDE_BY_SIDE else [choice]

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

    def _stepped(self, step: Step, prior: str, cells: np.ndarray, language: str) -> Updates:
        text = say(
            language,
            "status_row" if prior in self.about.raster else "status_step",
            prior=prior_name(prior, language),
            step=step.step,
            steps=step.steps,
            left=f"{np.count_nonzero(step.remaining[0]):,}",
            cells=f"{np.count_nonzero(cells):,}",
        )
        canvas = CodeMap.update(
            codes=step.codes[0], image=step.picture, remaining=step.remaining[0]
        )
        return {self.parts.canvas: canvas, **self.parts.told(text)}

    def _draft(
        self,
        picture: np.ndarray,
        filled: Sequence[np.ndarray],
        cells: np.ndarray,
        settings: Sequence[Settings],
    ) -> Draft:
        """`filled` has the maps `(V, h, w)` of each prior; those of one seed come side by side."""
        codes = np.stack(filled, axis=1).reshape(-1, *cells.shape)
        pictures = self.studio.render(picture, codes, cells)
        bits: Sequence[float | None] = [None] * len(codes)
        if self.about.judge is not None:
            bits = self.studio.judge(codes, cells, settings[0].label).tolist()
        makers = [(one.prior, seed) for seed in settings[0].seeds for one in settings]
        origins = [Origin(*maker, found) for maker, found in zip(makers, bits, strict=True)]
        return Draft(pictures, codes, cells, tuple(origins))

    def _done(self, draft: Draft, language: str, seconds: float) -> str:
        seeds = [origin.seed for origin in draft.origins]
        several = len({origin.prior for origin in draft.origins}) > 1
        key = "status_done_many" if len(seeds) > 1 else "status_done"
        text = say(
            language,
            "status_done_side_by_side" if several else key,
            cells=f"{np.count_nonzero(draft.cells):,}",
            variations=len(seeds),
            seconds=f"{seconds:.1f}",
            seed=seeds[0],
            first=seeds[0],
            last=seeds[-1],
        )
        if self.about.judge is None:
            return text
        judge, bits = prior_name(self.about.judge, language), draft.origins[0].bits
        key = "status_judged_many" if len(seeds) > 1 else "status_judged"
        return f"{text} {say(language, key, judge=judge, bits=f'{bits:,.0f}')}"

    def _moved(
        self, session: Session | None, key: str, request: gr.Request, clear_mask: bool = False
    ) -> Updates:
        language = language_of(request)
        if session is None:
            return self.parts.shown(None, language)
        text = say(language, key, number=session.position, total=len(session.history) - 1)
        return {**self.parts.shown(session, language, clear_mask), **self.parts.told(text)}
