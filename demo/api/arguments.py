"""What programs send and get: files, code maps and holes. It comes from strangers: all is checked.

A code map is a JSON object `{"checkpoint": id, "rows": h, "cols": w, "codes": [[...], ...]}`.
"""

from __future__ import annotations

import asyncio
import inspect
import reprlib
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args

import gradio as gr
import numpy as np
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from demo.codemap.packing import MAX_SIDE
from demo.jobs import Description, Refusal, StudioVerbs
from demo.picture_input import uploaded_file
from demo.shelf import Shelf
from demo.text import language_of
from demo.toasts import expected, unexpected
from vq.pictures import PictureError, read_picture

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


@contextmanager
def answering(request: gr.Request) -> Iterator[None]:
    """Whatever goes wrong inside becomes a message for the caller, in their language."""
    try:
        yield
    except Refusal as refusal:
        raise expected(refusal, language_of(request)) from None
    except PictureError as error:
        refused = Refusal("error_refused", reason=error)
        raise expected(refused, language_of(request)) from None
    except Exception:
        raise unexpected("api", request) from None


def stepwise(
    endpoint: Callable[Given, Generator[None, None, Answer]],
) -> Callable[Given, Coroutine[Any, Any, Answer]]:
    """An endpoint, for Gradio to await, of a generator that yields at every step.

    All of it runs in a thread of its own. Where the caller cancels, the generator is closed at its
    next step, and its place in the queue is given back when it has ended.
    """

    async def run(*given: Given.args, **named: Given.kwargs) -> Answer:
        cancelled = threading.Event()

        def work() -> Answer:
            with closing(endpoint(*given, **named)) as job:
                while not cancelled.is_set():
                    try:
                        next(job)
                    except StopIteration as end:
                        answer: Answer = end.value
                        return answer
            raise asyncio.CancelledError

        done = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([done])
            raise

    # Gradio reads what an endpoint takes and gives from its signature.
    signature = inspect.signature(endpoint)
    (*_, answer) = get_args(signature.return_annotation)
    run.__name__, run.__doc__ = endpoint.__name__, endpoint.__doc__
    run.__annotations__ = {**endpoint.__annotations__, "return": answer}
    run.__signature__ = signature.replace(return_annotation=answer)  # type: ignore[attr-defined]
    return run


def last_of(job: Generator[Item, None, None]) -> Generator[None, None, Item]:
    """Work a job off, and return the last that it gave; yields at every step."""
    with closing(job):
        for item in job:
            last = item
            yield
    return last


def uploaded(file: Any, name: str) -> Path:
    """Where a file argument lies. Raises `Refusal` if it was not uploaded to this app."""
    path = uploaded_file(file.get("path") if isinstance(file, dict) else None)
    if path is None:
        raise Refusal("error_file", name=name)
    return path


def read_upload(file: Any) -> Image.Image:
    """The picture of a file argument. Raises `Refusal` or `PictureError`."""
    return read_picture(uploaded(file, "picture"))


def png(picture: Image.Image, name: str) -> gr.FileData:
    """A picture as an answer: a PNG file to download."""
    path = save_pil_to_cache(picture, get_upload_folder(), name, "png")
    return gr.FileData(path=path, orig_name=f"{name}.png", mime_type="image/png")


def code_map(codes: np.ndarray, about: Description) -> dict[str, Any]:
    """Codes `(h, w)` as they travel."""
    rows, cols = codes.shape
    return {"checkpoint": about.checkpoint, "rows": rows, "cols": cols, "codes": codes.tolist()}


def chosen(shelf: Shelf, model: Any) -> StudioVerbs:
    """The studio of the checkpoint of that name, or the default. Raises `Refusal`."""
    return shelf.default if model is None else shelf.get(model)


def prior_of(studio: StudioVerbs, prior: str | None, *, whole: bool = False) -> str:
    """The prior of that name, or the studio's first, or that for whole pictures.

    Raises `Refusal` where it has none at all.
    """
    about = studio.describe()
    if not about.priors:
        raise Refusal("error_no_prior", model=about.name)
    if prior is not None:
        return prior
    return (about.whole if whole else None) or about.priors[0]


def read_code_map(value: Any, shelf: Shelf) -> tuple[StudioVerbs, np.ndarray]:
    """The studio of a code map's checkpoint, and its codes `(h, w)` int64.

    `checkpoint`, `rows` and `cols` may be left out; the default checkpoint is taken then. Raises
    `Refusal` where no checkpoint has these codes.
    """
    if not isinstance(value, dict) or "codes" not in value:
        raise Refusal("error_codes_missing", name="codes", got=reprlib.repr(value))
    studio = shelf.holding(value["checkpoint"]) if "checkpoint" in value else shelf.default
    codes = _table(value["codes"], "codes", studio.describe().num_codes - 1)
    for name, side in zip(("rows", "cols"), codes.shape, strict=True):
        if (said := value.get(name, side)) != side:
            raise Refusal("error_table_size", name=name, got=reprlib.repr(said), size=side)
    return studio, codes


def read_hole(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The hole `(h, w)` bool of a code map, from rows of 0 and 1 or of booleans."""
    hole = _table(value, "hole", 1)
    if hole.shape != shape:
        raise Refusal(
            "error_hole_size", rows=hole.shape[0], cols=hole.shape[1], h=shape[0], w=shape[1]
        )
    if not hole.any():
        raise Refusal("error_empty_hole")
    return hole.astype(bool)


def _table(value: Any, name: str, largest: int) -> np.ndarray:
    """Rows of equal length of whole numbers from 0 to `largest`, int64; looked at before copied."""
    limits = {"name": name, "max": MAX_SIDE, "largest": largest}
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIDE:
        raise Refusal("error_table", **limits, got=reprlib.repr(value))
    for row in value:
        if not isinstance(row, list) or not 1 <= len(row) <= MAX_SIDE or len(row) != len(value[0]):
            raise Refusal("error_table", **limits, got=reprlib.repr(row))
        for one in row:
            # True and False are 1 and 0 in a hole, and no codes.
            wanted = type(one) is int or (largest == 1 and type(one) is bool)
            if not wanted or not 0 <= one <= largest:
                raise Refusal("error_table", **limits, got=reprlib.repr(one))
    return np.array(value, np.int64)
