"""The jobs of the Edit tab: fill what is painted, step by step, and put up what came for decision.

A job gets the visitor's `Session` and gives updates for the parts of the page. The session is only
replaced at the end of what succeeded, so an error, Stop, or a closed tab leaves it as it was.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from demo.codemap import CodeMap
from demo.edit_view import EditParts, prior_name
from demo.editor import painted_cells
from demo.jobs import (
    LARGEST_RANDOM_SEED,
    MAX_SEED,
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
from demo.toasts import Updates, expected, failed

FEWEST_ALIKE = 4  # more like one: that is to choose among, even where one at a time was asked for
SIDE_BY_SIDE = "side by side"  # chosen in place of a prior: every prior fills the same hole

Job = Generator[Step, None, None]


class Filling:
    def __init__(self, parts: EditParts, controls: Mapping[str, Any]) -> None:
        """`controls` has the components of `demo.tabs.edit_settings`, by their names."""
        self.parts = parts
        self.controls = controls
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

    def resample(self, asked: dict[Any, Any], request: gr.Request) -> Iterator[Updates]:
        """Fill the painted cells, step by step on the canvas, and put up what came for decision.

        `asked` has what each of the `controls`, the canvas and the session say.
        """
        session: Session | None = asked[self.parts.session]
        try:
            cells = painted_cells(session, asked[self.parts.canvas])
            assert session is not None  # or there were no cells
            studio = self._studio(session)
            settings = self._settings(asked, studio.describe())
            jobs = _jobs(studio, session, session.current.codes, cells, settings)
        except Refusal as refusal:
            raise expected(refusal, language_of(request)) from None
        yield {self.parts.seed: settings[0].seed}
        yield from self._fill(session, jobs, cells, settings, None, request)

    def more_like(self, asked: dict[Any, Any], request: gr.Request) -> Iterator[Updates]:
        """Put up new variations akin to the chosen one, which stays among them.

        They have other seeds than what was up before. With all else that is asked for, a seed gives
        the same only where the chosen one is the same: the field for seeds does not get them.
        """
        session: Session | None = asked[self.parts.session]
        try:
            if session is None or session.draft is None:
                raise Refusal("error_no_variation")
            draft, studio = session.draft, self._studio(session)
            settings = [
                replace(
                    one,
                    mode="vary",
                    variations=max(FEWEST_ALIKE, one.variations),
                    keep=asked[self.controls["likeness"]],
                )
                for one in self._settings(asked, studio.describe())
            ]
            if not asked[self.controls["random_seed"]]:
                last = max(origin.seed for origin in draft.origins)
                settings = [replace(one, seed=(last + 1) % (MAX_SEED + 1)) for one in settings]
            jobs = _jobs(studio, session, draft.codes[draft.chosen], draft.cells, settings)
        except Refusal as refusal:
            raise expected(refusal, language_of(request)) from None
        yield from self._fill(session, jobs, draft.cells, settings, draft, request)

    def _settings(self, asked: dict[Any, Any], about: Description) -> list[Settings]:
        """Those of each prior that is asked for. Raises `Refusal`."""
        said = {name: asked[control] for name, control in self.controls.items()}
        quality = quality_at(said["quality"])
        new = said["random_seed"]
        seed = secrets.randbelow(LARGEST_RANDOM_SEED + 1) if new else said["seed"]
        return [
            Settings(
                prior=name,
                mode=said["mode"],
                variations=said["variations"],
                seed=seed,
                label=said["label"] or None,
                guidance=said["guidance"],
                temperature=said["temperature"],
                top_k=said["top_k"] or None,
                top_p=said["top_p"],
                steps=quality.steps,
                particles=quality.particles,
            )
            for name in _priors(about, said["prior"])
        ]

    def _fill(
        self,
        session: Session,
        jobs: Sequence[Job],
        cells: np.ndarray,
        settings: Sequence[Settings],
        parent: Draft | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Run a job for each of the settings; `parent` has what the variations are akin to."""
        language = language_of(request)
        studio, picture = self._studio(session), session.current.picture
        about = studio.describe()
        started = time.monotonic()
        try:
            filled, recorders = [], []
            for one, job in zip(settings, jobs, strict=True):
                recorders.append(Recorder(picture, cells))
                with closing(job):
                    for step in job:
                        recorders[-1].add(step)
                        yield self._stepped(step, one.prior, about, cells, language)
                filled.append(step.codes)
            yield self.parts.told(say(language, "status_finishing"))
            draft = _draft(studio, picture, filled, cells, settings, recorders, parent)
        except Exception as error:
            raise failed(error, "resample", request) from None
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
            left=f"{np.count_nonzero(step.remaining) // len(step.remaining):,}",
            cells=f"{np.count_nonzero(cells):,}",
        )
        canvas = CodeMap.update(
            codes=step.codes[0], image=step.picture, remaining=step.remaining[0]
        )
        return {self.parts.canvas: canvas, **self.parts.told(text)}


def _priors(about: Description, choice: Any) -> Sequence[Any]:
    return about.priors if choice == SIDE_BY_SIDE else [choice]


def _jobs(
    studio: StudioVerbs,
    session: Session,
    codes: np.ndarray,
    cells: np.ndarray,
    settings: Sequence[Settings],
) -> list[Job]:
    """All of them before any begins: none may be refused once others have done their work."""
    return [studio.resample(session.current.picture, codes, cells, one) for one in settings]


def _draft(
    studio: StudioVerbs,
    picture: np.ndarray,
    filled: Sequence[np.ndarray],
    cells: np.ndarray,
    settings: Sequence[Settings],
    recorders: Sequence[Recorder],
    parent: Draft | None,
) -> Draft:
    """`filled` has the maps `(V, h, w)` of each prior; those of one seed come side by side.

    The variation that they are akin to comes first, or whoever likes none of them had lost it.
    """
    codes = np.stack(filled, axis=1).reshape(-1, *cells.shape)
    origins = [
        Origin(
            one.prior,
            seed,
            recording=recorder.recording(i),
            akin=None if parent is None else parent.origins[parent.chosen].seed,
        )
        for i, seed in enumerate(settings[0].seeds)
        for one, recorder in zip(settings, recorders, strict=True)
    ]
    if parent is not None:
        codes = np.concatenate([parent.codes[parent.chosen][None], codes])
        origins.insert(0, parent.origins[parent.chosen])
    if studio.describe().judge is not None:
        bits = studio.judge(codes, cells, settings[0].label).tolist()
        origins = [replace(origin, bits=found) for origin, found in zip(origins, bits, strict=True)]
    pictures = studio.render(picture, codes, cells)
    return Draft(pictures, codes, cells, tuple(origins), chosen=0 if parent is None else 1)


def _done(draft: Draft, about: Description, language: str, seconds: float) -> str:
    new = draft.origins[draft.chosen :]  # without what they are akin to
    seeds = [origin.seed for origin in new]
    key = "status_done_many" if len(seeds) > 1 else "status_done"
    if len({origin.prior for origin in new}) > 1:
        key = "status_done_side_by_side"
    if new[0].akin is not None:
        key = "status_done_alike"
    text = say(
        language,
        key,
        cells=f"{np.count_nonzero(draft.cells):,}",
        variations=len(seeds),
        seconds=f"{seconds:.1f}",
        seed=seeds[0],
        first=seeds[0],
        last=seeds[-1],
        akin=new[0].akin,
    )
    if about.judge is None:
        return text
    judge, bits = prior_name(about.judge, language), new[0].bits
    key = "status_judged_many" if len(seeds) > 1 else "status_judged"
    return f"{text} {say(language, key, judge=judge, bits=f'{bits:,.0f}')}"
