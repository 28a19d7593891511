"""The jobs of the Edit tab: fill what is painted, step by step, and put up what came for decision.

A job gets the visitor's `Session` and gives updates for the parts of the page. The session is only
replaced at the end of what succeeded, so an error, Stop, or a closed tab leaves it as it was.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from demo.codemap import CodeMap
from demo.edit_view import EditParts, prior_name
from demo.editor import painted_cells
from demo.jobs import (
    LARGEST_RANDOM_SEED,
    Description,
    Refusal,
    Settings,
    Step,
    StudioVerbs,
    quality_at,
)
from demo.recording import Recorder
from demo.session import Draft, Origin, Session
from demo.text import language_of, say
from demo.toasts import Updates, expected, unexpected

SIDE_BY_SIDE = "side by side"  # chosen in place of a prior: every prior fills the same hole


class Filling:
    def __init__(self, parts: EditParts) -> None:
        self.parts = parts
        self.shelf = parts.shelf

    def explain(self, model: Any, prior: Any, quality: Any, request: gr.Request) -> Updates:
        """What the chosen quality means for the chosen prior, or priors, in plain words."""
        language = language_of(request)
        chosen, about = quality_at(quality), self.shelf.get(model).describe()
        if not about.priors:
            return {self.parts.quality_note: escape(say(language, "error_no_prior", model=model))}
        sentences = []
        for name in _priors(about, prior):
            key = "quality_steps"
            if name in about.raster:
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

    def ready(self, session: Session | None, mask: object, request: gr.Request) -> list[Any]:
        """Whether Resample can start: a verdict on each input; the canvas carries the message."""
        language = language_of(request)
        message = ""
        try:
            painted_cells(session, mask)
            assert session is not None  # or there were no cells
            if not self._studio(session).describe().priors:
                raise Refusal("error_no_prior", model=session.current.model)
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
            cells = painted_cells(session, mask)
            assert session is not None  # or there were no cells
            studio = self._studio(session)
            about = studio.describe()
            priors = _priors(about, prior)
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
                for name in priors
            ]
            picture, codes = session.current.picture, session.current.codes
            # All of them before any begins: none may be refused once others have done their work.
            jobs = [studio.resample(picture, codes, cells, one) for one in settings]
        except Refusal as refusal:
            raise expected(refusal, language) from None

        yield {self.parts.seed: settings[0].seed}
        started = time.monotonic()
        try:
            filled, recorders = [], []
            for name, job in zip(priors, jobs, strict=True):
                recorders.append(Recorder(picture, cells))
                with closing(job):
                    for step in job:
                        recorders[-1].add(step)
                        yield self._stepped(step, name, about, cells, language)
                filled.append(step.codes)
            yield self.parts.told(say(language, "status_finishing"))
            draft = _draft(studio, picture, filled, cells, settings, recorders)
        except Exception:
            raise unexpected("resample", request) from None
        seconds = time.monotonic() - started
        text = _done(draft, about, language, seconds)
        yield {**self.parts.shown(session.propose(draft), language), **self.parts.told(text)}

    def stopped(self, session: Session | None, request: gr.Request) -> Updates:
        """The job was stopped, raised, or found no place in the queue: back to before it."""
        key = "status_start" if session is None else "status_stopped"
        language = language_of(request)
        return {**self.parts.shown(session, language), **self.parts.told(say(language, key))}

    def _studio(self, session: Session) -> StudioVerbs:
        return self.shelf.get(session.current.model)

    def _stepped(
        self, step: Step, prior: str, about: Description, cells: np.ndarray, language: str
    ) -> Updates:
        text = say(
            language,
            "status_row" if prior in about.raster else "status_step",
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


def _priors(about: Description, choice: Any) -> Sequence[Any]:
    return about.priors if choice == SIDE_BY_SIDE else [choice]


def _draft(
    studio: StudioVerbs,
    picture: np.ndarray,
    filled: Sequence[np.ndarray],
    cells: np.ndarray,
    settings: Sequence[Settings],
    recorders: Sequence[Recorder],
) -> Draft:
    """`filled` has the maps `(V, h, w)` of each prior; those of one seed come side by side."""
    codes = np.stack(filled, axis=1).reshape(-1, *cells.shape)
    pictures = studio.render(picture, codes, cells)
    bits: Sequence[float | None] = [None] * len(codes)
    if studio.describe().judge is not None:
        bits = studio.judge(codes, cells, settings[0].label).tolist()
    found = iter(bits)
    origins = [
        Origin(one.prior, seed, next(found), recorder.recording(i))
        for i, seed in enumerate(settings[0].seeds)
        for one, recorder in zip(settings, recorders, strict=True)
    ]
    return Draft(pictures, codes, cells, tuple(origins))


def _done(draft: Draft, about: Description, language: str, seconds: float) -> str:
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
    if about.judge is None:
        return text
    judge, bits = prior_name(about.judge, language), draft.origins[0].bits
    key = "status_judged_many" if len(seeds) > 1 else "status_judged"
    return f"{text} {say(language, key, judge=judge, bits=f'{bits:,.0f}')}"
