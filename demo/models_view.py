"""What the Models tab does, as updates of its parts."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from html import escape
from typing import Any, TypeVar

import gradio as gr

from demo.card_html import card_html
from demo.jobs import Refusal
from demo.models import Library, Listed, parsed, readable, refusal_of
from demo.models_html import facts_html, line
from demo.text import language_of, say
from demo.toasts import Updates, unexpected
from vq.hub.cache import REPO_ID
from vq.hub.looking import Repo
from vq.hub.pulling import is_offline

TELL_EVERY = 0.4  # seconds between two words on how far a job is
OFFLINE = {"hub_offline", "hub_unreachable", "hub_hang", "hub_slow"}
# On a Space what was pulled is everybody's: no visitor takes it away from the others.
MAY_REMOVE = os.environ.get("SYSTEM") != "spaces"

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class ModelsView:
    """The parts of the tab, and the library that they show."""

    library: Library
    model: gr.Dropdown
    used: gr.State
    tabs: gr.Tabs
    search_button: gr.Button
    found: gr.Radio
    results: gr.State  # what `found` lists
    status: gr.HTML
    bar: gr.HTML
    badge: gr.HTML
    facts: gr.HTML
    card: gr.HTML
    pull_button: gr.Button
    use_button: gr.Button
    remove_button: gr.Button
    stop: gr.Button

    @property
    def parts(self) -> list[Any]:
        return [getattr(self, one.name) for one in fields(self) if one.name != "library"]

    def opened(self, name: str | None, request: gr.Request) -> Updates:
        """The visitor comes here: what is at hand is listed, and nobody is asked."""
        language = language_of(request)
        if name is not None:
            return self._offline(is_offline(), language)
        return {
            **self._list(self.library.listed(), language),
            **self._offline(is_offline(), language),
        }

    def search(self, words: str, kind: Any, model: str, request: gr.Request) -> Iterator[Updates]:
        """Repos that hold the words in their names; one of exactly that name is looked into."""
        language, words = language_of(request), words.strip()
        repo_id, revision = parsed(words)
        if REPO_ID.fullmatch(repo_id):
            name = repo_id if revision == "main" else f"{repo_id}@{revision}"
            at_hand = self.library.listed(repo_id)
            if name not in {one.name for one in at_hand}:
                at_hand.append(Listed(name, "hub"))
            listed = self._list(at_hand, language, name)
            for updates in self.look(name, model, request):
                yield {**listed, **updates}
            return
        job = self.library.search(words, "diffusers" if kind == "diffusers" else "codebrush")
        found = yield from self._working(job, "status_models_searching", request)
        if isinstance(found, Refusal):  # what is at hand is there all the same
            here = self._list(self.library.listed(words), language)
            yield {**self._nothing(), **here, **self._refused(found, language)}
            return
        yield {
            **self._nothing(),
            **self._at_rest(),
            **self._list(found, language),
            **self._told(say(language, "status_models_found", count=len(found))),
            **self._offline(False, language),
        }

    def look(self, name: str | None, model: str, request: gr.Request) -> Iterator[Updates]:
        """What a checkpoint is, before it is pulled."""
        if name is None:
            yield self._at_rest()  # to give nothing would empty all
            return
        job, language = self.library.look(name), language_of(request)
        repo = yield from self._working(job, "status_models_looking", request, name=name)
        if isinstance(repo, Refusal):
            yield {**self._nothing(), **self._refused(repo, language)}
        else:
            yield {**self._at_rest(), **self._shown(repo, name, model, language)}

    def pull(
        self, name: str | None, before: list[Listed], request: gr.Request
    ) -> Iterator[Updates]:
        """Bring a checkpoint, and say how far that is."""
        if name is None:
            yield self._at_rest()
            return
        language, started, told, stage = language_of(request), time.monotonic(), 0.0, ""
        # Until it has ended, nothing else can be chosen.
        busy = {
            self.pull_button: gr.update(visible=False),
            self.stop: gr.update(visible=True),
            self.found: gr.update(interactive=False),
            self.search_button: gr.update(interactive=False),
        }
        yield busy
        try:
            with closing(self.library.pull(name)) as job:
                for progress in job:
                    seconds = time.monotonic() - started
                    if progress.stage == stage and seconds - told < TELL_EVERY:
                        continue
                    updates: Updates = {}
                    if progress.stage != stage:  # said once, as it is read out
                        key = f"status_models_{progress.stage}"
                        updates = self._told(say(language, key, name=name))
                    stage, told = progress.stage, seconds
                    bar = self._progress(progress.done, progress.total, seconds)
                    yield {**busy, **updates, **bar}
            seconds = time.monotonic() - started
            yield {
                **busy,
                **self._free(),
                **self._at_rest(),
                **self._offline(False, language),
                self.use_button: gr.update(visible=True, interactive=True),
                self.remove_button: gr.update(visible=MAY_REMOVE),
                self.model: self.library.choices(),
                **self._list(self.library.again(before), language, name),
                **self._told(
                    say(language, "status_models_pulled", name=name, seconds=f"{seconds:.1f}")
                ),
            }
        except Refusal as refusal:
            yield {
                **self._free(),
                **self._refused(refusal, language),
                self.pull_button: gr.update(visible=True),
            }
        except Exception:
            yield {**self._free(), **self._at_rest(), self.pull_button: gr.update(visible=True)}
            raise unexpected("pull", request) from None

    def stopped(self, name: str | None, request: gr.Request) -> Updates:
        """The visitor has stopped a job: what was there before it is there still."""
        language = language_of(request)
        return {
            **self._free(),
            **self._at_rest(),
            self.pull_button: gr.update(visible=name is not None and not self._is_here(name)),
            **self._told(say(language, "status_models_stopped")),
        }

    def use(self, name: str | None, request: gr.Request) -> Updates:
        """Work with a checkpoint from now on: the picture stays, and is encoded anew."""
        if name is None:
            return self._at_rest()
        self.library.shelf.get(name)  # a refusal, if it is not sound, before anything changes
        return {
            self.model: self.library.choices(name),
            self.used: secrets.token_hex(8),
            self.tabs: gr.Tabs(selected="edit"),
            self.use_button: self._in_use(True),
        }

    def remove(
        self, name: str | None, model: str, before: list[Listed], request: gr.Request
    ) -> Updates:
        """Take what was pulled away. Whoever worked with it here goes on with the first."""
        language = language_of(request)
        if name is None or self.library.is_own(name) or not MAY_REMOVE:
            return self._at_rest()
        self.library.remove(name)
        updates: Updates = {self.model: self.library.choices()}
        if model == name:
            first = self.library.shelf.names[0]
            updates = {self.model: self.library.choices(first), self.used: secrets.token_hex(8)}
        return {
            **self._nothing(),
            **self._at_rest(),
            **self._list(self.library.again(before), language),
            **updates,
            **self._told(say(language, "status_models_removed", name=name)),
        }

    def _working(
        self,
        job: Generator[int, None, Answer],
        key: str,
        request: gr.Request,
        **values: str,
    ) -> Generator[Updates, None, Answer | Refusal]:
        """Say that a job runs, and for how long, unless it is done at once; returns its answer.

        The caller's last update says all: a browser that is short of time may skip those before.
        """
        language, started, told = language_of(request), time.monotonic(), -TELL_EVERY
        busy = {
            **self._nothing(),
            **self._told(say(language, key, **values)),
            self.stop: gr.update(visible=True),
        }
        try:
            with closing(job):
                while True:
                    try:
                        next(job)
                    except StopIteration as end:
                        answer: Answer = end.value
                        break
                    seconds = time.monotonic() - started
                    if seconds - told > TELL_EVERY:
                        told = seconds
                        yield {**busy, **self._progress(0, 0, seconds)}
        except Refusal as refusal:
            return refusal
        except Exception:
            yield {**self._nothing(), **self._at_rest()}
            raise unexpected(key, request) from None
        return answer

    def _shown(self, repo: Repo, name: str, model: str, language: str) -> Updates:
        here = repo.is_pulled
        if repo.problem is None:
            text = say(language, "status_models_here" if here else "status_models_there", name=name)
        else:
            no = refusal_of(repo.problem)
            text = say(language, no.key, **no.values)
        return {
            self.facts: facts_html(repo, language),
            self.card: self._card(repo.card),
            self.pull_button: gr.update(visible=not here and repo.problem is None),
            self.use_button: {**self._in_use(name == model), "visible": here},
            self.remove_button: gr.update(
                visible=here and MAY_REMOVE and not self.library.is_own(name)
            ),
            **self._told(text),
            **({} if here else self._offline(False, language)),
        }

    @staticmethod
    def _card(text: str) -> str:
        if not text.strip():
            return ""
        # To be scrolled by keyboard, it must be possible to get there by keyboard.
        return f"<div class='model-card' tabindex='0'>{card_html(text)}</div>"

    def _list(self, listed: list[Listed], language: str, chosen: str | None = None) -> Updates:
        choices = [(line(one, language), one.name) for one in listed]
        update = gr.update(choices=choices, value=chosen, interactive=True)
        return {self.found: update, self.results: listed}

    def _told(self, text: str) -> Updates:
        return {self.status: escape(text)}

    def _refused(self, refusal: Refusal, language: str) -> Updates:
        updates = {**self._at_rest(), **self._told(say(language, refusal.key, **refusal.values))}
        return {**updates, **self._offline(refusal.key in OFFLINE, language)}

    def _nothing(self) -> Updates:
        """Nothing is chosen."""
        hidden = gr.update(visible=False)
        buttons = (self.pull_button, self.use_button, self.remove_button)
        return {self.facts: "", self.card: "", **dict.fromkeys(buttons, hidden)}

    def _at_rest(self) -> Updates:
        """No job runs."""
        return {self.bar: "", self.stop: gr.update(visible=False)}

    def _free(self) -> Updates:
        """Something else can be chosen again."""
        return dict.fromkeys((self.found, self.search_button), gr.update(interactive=True))

    def _offline(self, is_so: bool, language: str) -> Updates:
        text = f"<p>{escape(say(language, 'models_offline'))}</p>"
        return {self.badge: gr.update(value=text, visible=is_so)}

    def _progress(self, done: int, total: int, seconds: float) -> Updates:
        share = f"max='{total}' value='{done}'" if total else ""
        parts = [f"{readable(done)} / {readable(total)}"] if total else []
        parts += [f"{seconds:.0f} s"] if seconds >= 1 else []
        bar = f"<progress {share} aria-hidden='true'></progress>"
        text = f"<p>{bar}<span>{' · '.join(parts)}</span></p>"
        return {self.bar: text}

    def _in_use(self, is_so: bool) -> Any:
        return gr.update(interactive=not is_so)

    def _is_here(self, name: str) -> bool:
        return name in {one.name for one in self.library.listed()}
