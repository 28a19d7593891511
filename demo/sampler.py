"""What happens in the Generate tab: each method of `Sampler` is one thing the visitor does.

A job gives its pictures as they come. What was there when it ends, however it ends, stays: it is in
the visitor's `Generated` already.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_pil_to_cache
from PIL import Image

from demo.edit_view import class_of
from demo.jobs import LARGEST_RANDOM_SEED, CodeStep, Refusal, Settings, StudioVerbs, picture_count
from demo.session import Made, Origin, Snapshot
from demo.shelf import Shelf
from demo.text import language_of, say
from demo.toasts import Updates, expected, failed
from vq.pictures import picture_grid
from vq.priors import label_of

LOOKS = 6  # times that pictures at work are decoded and shown, the last included
UNFILLED = 128  # grey, in a saved picture; on the page what has no code yet is see-through


@dataclass(frozen=True, eq=False)
class Generated:
    """Pictures `(N, H, W, 3)` as far as they are, their codes, and what remains `(N, h, w)`.

    `prior` made them all, each from its seed and of its class; `model` names its checkpoint
    (`demo.shelf`).
    """

    model: str
    pictures: np.ndarray
    codes: np.ndarray
    remaining: np.ndarray
    prior: str
    seeds: tuple[int, ...]
    labels: tuple[str | None, ...]  # class names

    @property
    def finished(self) -> np.ndarray:
        """Which pictures have all their codes: bool `(N,)`."""
        return np.asarray(~self.remaining.any((1, 2)))

    @property
    def tiles(self) -> np.ndarray:
        """The pictures with an alpha channel `(N, H, W, 4)`: 0 where nothing is filled yet."""
        stride = self.pictures.shape[1] // self.remaining.shape[1]
        opaque = np.where(self.remaining, 0, 255).astype(np.uint8)
        alpha = opaque.repeat(stride, 1).repeat(stride, 2)
        return np.concatenate([self.pictures, alpha[..., None]], 3)


@dataclass(frozen=True, eq=False)
class GenerateParts:
    """The parts of the tab that an action may change."""

    generated: gr.State  # Generated | None
    chosen: gr.State  # index of the picture chosen, or None
    empty: gr.Column
    full: gr.Column
    gallery: gr.Gallery
    caption: gr.HTML
    status: gr.HTML
    seed: gr.Number
    generate: gr.Button
    stop: gr.Button
    send: gr.Button
    save: gr.Button
    save_all: gr.Button
    file: gr.DownloadButton


class Sampler:
    def __init__(self, shelf: Shelf, parts: GenerateParts) -> None:
        self.shelf = shelf
        self.parts = parts

    def wait(self, request: gr.Request) -> Updates:
        """What is seen until the job begins: it may have to queue behind other visitors'."""
        return {
            self.parts.generate: gr.update(interactive=False),
            self.parts.stop: gr.update(interactive=True),
            **self._status(say(language_of(request), "status_waiting")),
        }

    def generate(
        self,
        model: Any,
        prior: Any,
        count: Any,
        label: Any,
        steps: Any,
        seed: Any,
        random_seed: Any,
        temperature: Any,
        guidance: Any,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Whole pictures, in a grid that fills as they come."""
        language = language_of(request)
        try:
            count = picture_count(count)
            settings = Settings(
                prior=prior,
                seed=secrets.randbelow(LARGEST_RANDOM_SEED + 1) if random_seed else seed,
                label=label or None,
                guidance=guidance,
                temperature=temperature,
                steps=steps,
            )
            studio = self.shelf.get(model)
            job = studio.generate(count, settings)
        except Refusal as refusal:
            raise expected(refusal, language) from None

        yield {self.parts.seed: settings.seed}
        raster = settings.prior in studio.describe().raster
        started = time.monotonic()
        seeds = tuple(settings.seed + i for i in range(count))
        generated: Generated | None = None
        try:
            with closing(job):
                for step in job:
                    updates = self._status(self._progress(step, raster, language))
                    if generated is None:
                        updates |= self._unchosen()
                    if generated is None or is_look(step):
                        generated = seen(studio, step, settings, seeds, generated)
                        updates |= self._show(generated)
                    yield updates
        except Exception as error:
            raise failed(error, "generate", request) from None
        seconds = f"{time.monotonic() - started:.1f}"
        text = say(
            language,
            "status_generated",
            count=count,
            seconds=seconds,
            first=seeds[0],
            last=seeds[-1],
        )
        yield {**self._idle(), **self._status(text)}

    def stopped(self, generated: Generated | None, request: gr.Request) -> Updates:
        """The job was stopped, raised, or found no place in the queue: what there is stays."""
        language = language_of(request)
        if generated is None:
            return {**self._idle(), **self._status(say(language, "status_generate"))}
        done, count = np.count_nonzero(generated.finished), len(generated.seeds)
        text = say(language, "status_generate_stopped", finished=done, count=count)
        return {**self._idle(), **self._status(text)}

    def choose(
        self,
        generated: Generated | None,
        chosen: int | None,
        event: gr.SelectData,
        request: gr.Request,
    ) -> Updates:
        """A click on a picture chooses it, if it is finished."""
        if generated is None or not 0 <= event.index < len(generated.seeds):
            return {self.parts.chosen: chosen}
        finished = bool(generated.finished[event.index])
        label, language = generated.labels[event.index], language_of(request)
        key = "generate_chosen" if label is None else "generate_chosen_label"
        text = say(
            language,
            key if finished else "generate_unfinished",
            number=event.index + 1,
            count=len(generated.seeds),
            label="" if label is None else class_of(label, language),
            seed=generated.seeds[event.index],
        )
        return {
            self.parts.chosen: event.index if finished else None,
            self.parts.caption: escape(text),
            **dict.fromkeys((self.parts.send, self.parts.save), gr.update(interactive=finished)),
        }

    def pick(
        self, generated: Generated | None, chosen: int | None, request: gr.Request
    ) -> Snapshot:
        """The chosen picture with its codes. Raises `gr.Error` where none is."""
        if generated is None or chosen is None or not generated.finished[chosen]:
            raise expected(Refusal("error_none_chosen"), language_of(request))
        made = Made("generated", origin=Origin(generated.prior, generated.seeds[chosen]))
        return Snapshot.untouched(
            generated.pictures[chosen], generated.codes[chosen], generated.model, made
        )

    def save(self, generated: Generated | None, chosen: int | None, request: gr.Request) -> Updates:
        """The chosen picture as a PNG file to download."""
        picture = Image.fromarray(self.pick(generated, chosen, request).picture)
        assert generated is not None and chosen is not None  # or there was no picture
        return self._file(picture, f"codebrush-{generated.seeds[chosen]}")

    def save_all(self, generated: Generated | None, request: gr.Request) -> Updates:
        """The whole grid, as it is shown, as one PNG file to download."""
        if generated is None:
            raise expected(Refusal("error_none_generated"), language_of(request))
        name = f"codebrush-{generated.seeds[0]}-{generated.seeds[-1]}"
        return self._file(picture_grid(generated.pictures, columns=4), name)

    def _file(self, picture: Image.Image, name: str) -> Updates:
        path = save_pil_to_cache(picture, self.parts.file.GRADIO_CACHE, name, "png")
        return {self.parts.file: path}

    def _progress(self, step: CodeStep, raster: bool, language: str) -> str:
        return say(
            language,
            "status_generate_row" if raster else "status_generate_step",
            first=step.at_work[0] + 1,
            last=step.at_work[-1] + 1,
            count=len(step.codes),
            step=step.step,
            steps=step.steps,
        )

    def _status(self, text: str) -> Updates:
        return {self.parts.status: escape(text)}

    def _show(self, generated: Generated) -> Updates:
        return {
            self.parts.generated: generated,
            self.parts.gallery: gr.update(value=list(generated.tiles)),
        }

    def _unchosen(self) -> Updates:
        """A new grid begins."""
        parts = self.parts
        return {
            parts.chosen: None,
            parts.caption: "",
            parts.empty: gr.update(visible=False),
            parts.full: gr.update(visible=True),
            **dict.fromkeys((parts.send, parts.save), gr.update(interactive=False)),
        }

    def _idle(self) -> Updates:
        return {
            self.parts.generate: gr.update(interactive=True),
            self.parts.stop: gr.update(interactive=False),
        }


def is_look(step: CodeStep) -> bool:
    """Whether to decode and show: at every step that would take longer than the steps."""
    return step.step % math.ceil(step.steps / LOOKS) == 0 or step.step == step.steps


def seen(
    studio: StudioVerbs,
    step: CodeStep,
    settings: Settings,
    seeds: tuple[int, ...],
    before: Generated | None,
) -> Generated:
    """The step in pictures; only those at work are decoded, the others are as before."""
    decoded = {i: studio.decode(step.codes[i]) for i in step.at_work}
    if before is None:
        shape = decoded[step.at_work[0]].shape
        pictures = np.full((len(seeds), *shape), UNFILLED, np.uint8)
    else:
        pictures = before.pictures.copy()
    stride = pictures.shape[1] // step.codes.shape[1]
    for i, picture in decoded.items():
        unfilled = step.remaining[i].repeat(stride, 0).repeat(stride, 1)[..., None]
        pictures[i] = np.where(unfilled, UNFILLED, picture)
    about = studio.describe()
    labels = tuple(label_of(about.labels, settings.label, seed) for seed in seeds)
    return Generated(
        about.name, pictures, step.codes, step.remaining, settings.prior, seeds, labels
    )
