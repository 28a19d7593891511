"""What happens in the Edit tab at once: each method of `Editor` is one thing the visitor does.

A method gets the visitor's `Session` and returns updates for the parts of the page. The session is
only replaced at the end of what succeeded, so an error leaves it as it was. What takes a while is
in `demo.filling`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.codemap import CodeMap, CodeMapError, Patches, read_codes, read_mask
from demo.edit_view import EditParts, caption
from demo.history import NOBODY
from demo.jobs import Description, Refusal
from demo.session import Kind, Made, Session, Snapshot
from demo.text import language_of, say
from demo.toasts import Updates, expected, failed


class Editor:
    def __init__(self, parts: EditParts) -> None:
        self.parts = parts
        self.shelf = parts.shelf

    def open(
        self, upload: Image.Image | None, sent: Snapshot | None, model: Any, request: gr.Request
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
            first = sent
        else:
            first = self._coded(upload, model)
        session = Session.of(np.asarray(upload), first)
        picture, (rows, columns) = first.picture, first.codes.shape
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

    def switch(self, session: Session | None, model: Any, request: gr.Request) -> Updates:
        """The visitor chose another checkpoint: the picture is encoded anew, as one more step.

        A variation that waits for decision is kept, as it is what the visitor sees.
        """
        language = language_of(request)
        about = self.shelf.get(model).describe()
        if session is None:
            return {
                self.parts.canvas: CodeMap.update(
                    palette=about.palette, checkpoint=about.checkpoint
                ),
                **self.parts.told(say(language, "status_start")),
            }
        session = session.keep()
        if session.current.model != model:
            new = self._coded(Image.fromarray(session.current.picture), model)
            session = session.switch(new.picture, new.codes, model)
        rows, columns = session.current.codes.shape
        text = say(
            language,
            "status_switched",
            model=model,
            number=about.num_codes,
            stride=about.stride,
            rows=rows,
            columns=columns,
        )
        return {**self.parts.shown(session, language), **self.parts.told(text)}

    def _coded(self, picture: Image.Image, model: Any) -> Snapshot:
        studio = self.shelf.get(model)
        prepared = studio.prepare(picture)
        return Snapshot.untouched(prepared, studio.encode(prepared), model)

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
        """Cells get codes, one for all by a stroke or one each by a paste: a step of the history.

        A variation that waits for decision is kept: it is what the visitor painted on.
        """
        language = language_of(request)
        answer = CodeMap.update(answered=getattr(event, "number", 0))
        try:
            cells = painted_cells(session, getattr(event, "cells", None))
            assert session is not None  # or there were no cells
            studio = self.shelf.get(session.current.model)
            given = given_codes(event, int(np.count_nonzero(cells)), studio.describe())
            session = session.keep()
            codes = session.current.codes.copy()
            codes[cells] = given
            picture = studio.render(session.current.picture, codes[None], cells)[0]
        except Exception as error:
            # Not raised: the canvas waits for an answer.
            gr.Warning(failed(error, "brush", request).message)
            return {self.parts.canvas: answer}
        code = int(given[0]) if len(given) == 1 else None
        kind: Kind = "pasted" if code is None else "brushed"
        made = Made(kind, cells=int(np.count_nonzero(cells)), code=code)
        session = session.edit(picture, codes, cells, made)
        updates = self.parts.shown(session, language)
        updates[self.parts.canvas].update(answer)
        text = say(
            language,
            "status_pasted" if code is None else "status_brushed",
            code=code,
            cells=f"{made.cells:,}",
            number=session.current.number,
            total=session.history[-1].number,
        )
        return {**updates, **self.parts.told(text)}

    def patches(self, session: Session | None) -> Updates:
        """What the codes decode to one by one: the code brush paints with it before the decoder."""
        if session is None:
            return {self.parts.canvas: gr.skip()}
        studio = self.shelf.get(session.current.model)
        patches = Patches(studio.describe().checkpoint, studio.code_book().patches)
        return {self.parts.canvas: CodeMap.update(patches=patches)}

    def undo(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or not session.can_undo:
            return self.parts.shown(session, language_of(request))
        return self._moved(session.undo(), "status_undone", request)

    def redo(self, session: Session | None, request: gr.Request) -> Updates:
        if session is None or not session.can_redo:
            return self.parts.shown(session, language_of(request))
        return self._moved(session.redo(), "status_redone", request)

    def jump(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Updates:
        """A step of the history was pressed: undo or redo as far as that."""
        if session is None or session.draft is not None:
            return self.parts.shown(session, language_of(request))
        with _known_step(request):
            session = session.jump(getattr(event, "number", None))
        return self._moved(session, "status_jumped", request)

    def compare(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Updates:
        """A step was chosen to compare with, or `NOBODY`."""
        number = getattr(event, "number", None)
        if session is not None:
            with _known_step(request):
                session = session.compare(None if number == NOBODY else number)
        return self.parts.shown(session, language_of(request))

    def _moved(
        self, session: Session | None, key: str, request: gr.Request, clear_mask: bool = False
    ) -> Updates:
        language = language_of(request)
        if session is None:
            return self.parts.shown(None, language)
        number, total = session.current.number, session.history[-1].number
        text = say(language, key, number=number, total=total)
        return {**self.parts.shown(session, language, clear_mask), **self.parts.told(text)}


@contextmanager
def _known_step(request: gr.Request) -> Iterator[None]:
    """What cannot be found in the history becomes a message: the number comes from a stranger."""
    try:
        yield
    except IndexError:
        raise expected(Refusal("error_no_step"), language_of(request)) from None


def painted_cells(session: Session | None, mask: object) -> np.ndarray:
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


def given_codes(event: gr.EventData, cells: int, about: Description) -> np.ndarray:
    """The codes for so many cells, `(cells,)` or `(1,)`. Raises `Refusal` if they are of no use."""
    got = getattr(event, "checkpoint", None)
    if got != about.checkpoint:
        values = {"got": reprlib.repr(got), "checkpoint": about.checkpoint}
        raise Refusal("error_other_checkpoint", **values)
    try:
        return read_codes(getattr(event, "codes", None), cells, about.num_codes)
    except CodeMapError as error:
        raise Refusal("error_refused", reason=error) from None
