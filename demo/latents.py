"""What happens in the section of the latents: each method of `LatentSampler` is one thing to do.

The second stage of a checkpoint names a whole map in a few codes. The visitor sets them, takes
those of the picture at work, or has them drawn; several maps are then drawn given the same ones,
so that one sees what they fix and what the decoder makes up.
"""

from __future__ import annotations

import reprlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from demo.jobs import LARGEST_RANDOM_SEED, CodeStep, Refusal, SecondStage, Settings, StudioVerbs
from demo.sampler import Generated, is_look, seen
from demo.session import Made, Origin, Session, Snapshot
from demo.shelf import Shelf
from demo.status_line import StatusLine
from demo.text import language_of, say
from demo.toasts import Updates, expected

MOST = 8  # latents that there are controls for
DRAWS = 4
PRIOR = "map_vae"  # what made the draws, where a prior is named


@dataclass(frozen=True, eq=False)
class Source:
    """A picture as its code map has it, and the map's latents."""

    model: str
    latents: tuple[int, ...]
    picture: np.ndarray


@dataclass(frozen=True, eq=False)
class Drawn:
    """Maps drawn given the same latents; `source` is a picture that has these latents, if any."""

    latents: tuple[int, ...]
    maps: Generated
    source: Source | None

    @property
    def first(self) -> int:
        """The first draw's place in the gallery."""
        return 0 if self.source is None else 1

    def tiles(self, language: str) -> list[tuple[np.ndarray, str]]:
        """What the gallery shows: the picture, the draws, and their mean."""
        maps = self.maps
        codes = maps.codes[0].size
        shown = [] if self.source is None else [self.source.picture]
        said = [say(language, "latents_source", codes=codes)] * len(shown)
        shown += list(maps.tiles)
        said += [say(language, "latents_draw", seed=seed) for seed in maps.seeds]
        if maps.finished.all():
            shown.append(maps.pictures.mean(0).round().astype(np.uint8))
            said.append(say(language, "latents_mean", count=len(maps.seeds)))
        return list(zip(shown, said, strict=True))

    def agreed(self) -> int:
        """At how many places all draws have the same code."""
        return int((self.maps.codes == self.maps.codes[0]).all(0).sum())


@dataclass(frozen=True, eq=False)
class LatentParts:
    """The parts of the section that an action may change."""

    model: gr.Dropdown
    session: gr.State
    section: gr.Column
    intro: gr.Markdown
    codes: Sequence[gr.Slider]
    locks: Sequence[gr.Checkbox]
    rows: Sequence[gr.Row]
    seed: gr.Number
    random_seed: gr.Checkbox
    temperature: gr.Slider
    draw: gr.Button
    roll: gr.Button
    of_picture: gr.Button
    stop: gr.Button
    status: StatusLine
    empty: gr.Column
    full: gr.Column
    gallery: gr.Gallery
    caption: gr.HTML
    send: gr.Button
    source: gr.State  # Source | None
    drawn: gr.State  # Drawn | None
    chosen: gr.State  # index of the draw chosen, or None

    @property
    def everything(self) -> list[Any]:
        """What an action may change."""
        read = ("model", "session")
        parts = [getattr(self, name) for name in self.__dataclass_fields__ if name not in read]
        return [one for part in parts for one in (part if isinstance(part, list) else [part])]

    @property
    def asked(self) -> set[Any]:
        """What a job reads, a dict in one piece."""
        single = {self.model, self.session, self.seed, self.random_seed, self.temperature}
        return {*single, self.source, *self.codes, *self.locks}


class LatentSampler:
    def __init__(self, shelf: Shelf, parts: LatentParts) -> None:
        self.shelf = shelf
        self.parts = parts

    def follow(self, model: Any, request: gr.Request) -> Updates:
        """Another checkpoint: the section is there if it has a second stage that it can show."""
        parts, language = self.parts, language_of(request)
        about = self.shelf.get(model).describe()
        second = about.second
        if second is None or second.latents > MOST:
            return {parts.section: gr.update(visible=False)}
        rows, columns = second.map_size
        text = say(
            language,
            "latents_intro",
            count=second.latents,
            number=second.num_codes,
            bits=f"{second.bits:g}",
            rows=rows,
            columns=columns,
            map_bits=f"{rows * columns * np.log2(about.num_codes):,.0f}",
        )
        updates: Updates = {
            parts.section: gr.update(visible=True),
            parts.intro: text,
            **self._status(say(language, "status_latents")),
            **dict.fromkeys((parts.source, parts.drawn), None),
            **self._unchosen(full=False),
        }
        controls = zip(parts.rows, parts.codes, parts.locks, strict=True)
        for i, (row, code, lock) in enumerate(controls):
            there = i < second.latents
            updates[row] = gr.update(visible=there)
            updates[code] = gr.update(
                label=say(language, "latents_code", number=i + 1),
                maximum=second.num_codes - 1,
                value=0,
            )
            updates[lock] = gr.update(
                label=say(language, "latents_lock", number=i + 1), value=False
            )
        return updates

    def wait(self, request: gr.Request) -> Updates:
        """What is seen until the job begins: it may have to queue behind other visitors'."""
        return {
            **dict.fromkeys(self._starters, gr.update(interactive=False)),
            self.parts.stop: gr.update(interactive=True),
            **self._status(say(language_of(request), "status_waiting")),
        }

    def draw(self, asked: dict[Any, Any], request: gr.Request) -> Iterator[Updates]:
        """Maps given the codes as they are set."""
        studio, second = self._second(asked)
        codes = whole([asked[code] for code in self.parts.codes[: second.latents]])
        return self._drawing(studio, codes, asked[self.parts.source], asked, request)

    def roll(self, asked: dict[Any, Any], request: gr.Request) -> Iterator[Updates]:
        """Maps given codes at random, but for those that are locked."""
        studio, second = self._second(asked)
        controls = list(zip(self.parts.codes, self.parts.locks, strict=True))[: second.latents]
        codes = whole(
            [
                asked[code] if asked[lock] else secrets.randbelow(second.num_codes)
                for code, lock in controls
            ]
        )
        return self._drawing(studio, codes, None, asked, request)

    def of_picture(self, asked: dict[Any, Any], request: gr.Request) -> Iterator[Updates]:
        """Maps given the codes of the picture at work.

        Where its map has another size, the picture's middle is made to fit.
        """
        studio, second = self._second(asked)
        session: Session | None = asked[self.parts.session]
        if session is None:
            raise Refusal("error_no_picture")
        about = studio.describe()
        picture, codes = session.shown
        if session.current.model != about.name or codes.shape != second.map_size:
            codes = studio.encode(studio.fit(picture))
        latents = studio.encode_latents(codes)
        source = Source(about.name, latents, studio.decode(codes))
        return self._drawing(studio, latents, source, asked, request)

    def _drawing(
        self,
        studio: StudioVerbs,
        latents: tuple[int, ...],
        source: Source | None,
        asked: dict[Any, Any],
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Set the controls to the latents, and draw; the maps grow row by row."""
        parts, language = self.parts, language_of(request)
        new_seed = secrets.randbelow(LARGEST_RANDOM_SEED + 1)
        settings = Settings(
            prior=PRIOR,
            variations=DRAWS,
            seed=new_seed if asked[parts.random_seed] else asked[parts.seed],
            temperature=asked[parts.temperature],
        )
        if source is not None and (source.model, source.latents) != (
            studio.describe().name,
            latents,
        ):
            source = None
        job = studio.decode_latents(latents, settings)
        yield {
            parts.seed: settings.seed,
            parts.source: source,
            **dict(zip(parts.codes, latents, strict=False)),
        }
        started, drawn = time.monotonic(), None
        with closing(job):
            for step in job:
                updates = self._progress(step, language)
                if drawn is None:
                    updates |= self._unchosen(full=True)
                if drawn is None or is_look(step):
                    maps = None if drawn is None else drawn.maps
                    maps = seen(studio, step, settings, settings.seeds, maps)
                    drawn = Drawn(latents, maps, source)
                    updates |= self._show(drawn, language)
                if step.step < step.steps:
                    yield updates
        assert drawn is not None  # a map has rows
        text = say(
            language,
            "status_latents_drawn",
            seconds=f"{time.monotonic() - started:.1f}",
            first=settings.seeds[0],
            last=settings.seeds[-1],
            count=DRAWS,
            agreed=drawn.agreed(),
            total=drawn.maps.codes[0].size,
        )
        yield {**self._show(drawn, language), **self._idle(), **self._status(text)}

    def stopped(self, drawn: Drawn | None, request: gr.Request) -> Updates:
        """The job was stopped, raised, or found no place in the queue: what there is stays."""
        key = "status_latents" if drawn is None else "status_latents_stopped"
        return {**self._idle(), **self._status(say(language_of(request), key))}

    def choose(self, drawn: Drawn | None, event: gr.SelectData, request: gr.Request) -> Updates:
        """A click on a draw chooses it, if it is finished."""
        if drawn is None:
            return {self.parts.chosen: None}
        index, language = event.index - drawn.first, language_of(request)
        good = 0 <= index < DRAWS and bool(drawn.maps.finished[index])
        text = say(language, "latents_no_draw")
        if good:
            text = say(language, "latents_draw", seed=drawn.maps.seeds[index])
        return {
            self.parts.chosen: index if good else None,
            self.parts.caption: escape(text),
            self.parts.send: gr.update(interactive=good),
        }

    def pick(self, drawn: Drawn | None, chosen: int | None, request: gr.Request) -> Snapshot:
        """The chosen draw with its codes. Raises `gr.Error` where none is."""
        if drawn is None or chosen is None or not drawn.maps.finished[chosen]:
            raise expected(Refusal("error_none_chosen"), language_of(request))
        maps = drawn.maps
        made = Made("generated", origin=Origin(maps.prior, maps.seeds[chosen]))
        return Snapshot.untouched(maps.pictures[chosen], maps.codes[chosen], maps.model, made)

    def _second(self, asked: dict[Any, Any]) -> tuple[StudioVerbs, SecondStage]:
        """The checkpoint's studio and second stage. Raises `Refusal` where there is none."""
        studio = self.shelf.get(asked[self.parts.model])
        about = studio.describe()
        if about.second is None:
            raise Refusal("error_no_latents", model=about.name)
        return studio, about.second

    @property
    def _starters(self) -> tuple[gr.Button, ...]:
        return self.parts.draw, self.parts.roll, self.parts.of_picture

    def _progress(self, step: CodeStep, language: str) -> Updates:
        text = say(language, "status_latents_row", step=step.step, steps=step.steps)
        return self._status(text)

    def _status(self, text: str) -> Updates:
        return {self.parts.status: escape(text)}

    def _show(self, drawn: Drawn, language: str) -> Updates:
        tiles = gr.update(value=drawn.tiles(language))
        return {self.parts.drawn: drawn, self.parts.gallery: tiles}

    def _unchosen(self, full: bool) -> Updates:
        return {
            self.parts.chosen: None,
            self.parts.caption: "",
            self.parts.send: gr.update(interactive=False),
            self.parts.empty: gr.update(visible=not full),
            self.parts.full: gr.update(visible=full),
        }

    def _idle(self) -> Updates:
        return {
            **dict.fromkeys(self._starters, gr.update(interactive=True)),
            self.parts.stop: gr.update(interactive=False),
        }


def whole(values: Any) -> tuple[int, ...]:
    """A stranger's latents as whole numbers. Raises `Refusal` where they are not."""
    if not isinstance(values, list | tuple) or len(values) > 64:
        raise Refusal("error_latents", got=reprlib.repr(values))
    for value in values:
        if type(value) is not int and not (type(value) is float and value.is_integer()):
            raise Refusal("error_latents", got=reprlib.repr(value))
    return tuple(int(value) for value in values)
