"""Gradio's Blocks, fit for the public: a guard before it, a sweeper behind, files that are its own.

`Guard` looks at requests, `Sweeper` at the disk, `Visitors` at the memory. What only Gradio can
tell is here: which files are in use, and which values of a request name files.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from gradio.route_utils import FnIndexInferError
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.guard import API, FILES, Guard
from demo.jobs import Refusal
from demo.line import FairQueue
from demo.picture_input import uploaded_file
from demo.response_cache import ResponseCache
from demo.sweeper import Sweeper
from demo.text import LANGUAGES, language_of, say
from demo.toasts import expected
from demo.visitors import LightSessions, Visitors

log = logging.getLogger(__name__)

# Where programs ask. What an endpoint itself raises does not come out there.
ASKING = tuple(f"{API}{route}" for route in ("/call/", "/run/", "/queue/join"))

OWN_FILE = re.compile(rf"https?://[^?#]*?/gradio_api{FILES}([^?#]+)")


class Blocks(gr.Blocks):
    """Takes the options of `gr.Blocks`."""

    sweeping: Mapping[str, Any] = {}  # options of the sweeper, if not its own
    sweeper: Sweeper | None = None
    visitors: Visitors

    @property
    def state_holder(self) -> Any:
        """What each visitor holds; Gradio sets its own."""
        return self._state_holder

    @state_holder.setter
    def state_holder(self, holder: Any) -> None:
        self._state_holder = LightSessions.take_over(holder)

    def queue(self, *args: Any, **options: Any) -> Any:
        """`gr.Blocks.queue`, with a `FairQueue`: Gradio makes one of its own class."""
        super().queue(*args, **options)
        FairQueue.take_over(self._queue)
        return self

    def launch(self, *args: Any, **options: Any) -> Any:
        """`gr.Blocks.launch`, guarded.

        Files are swept where GRADIO_TEMP_DIR names a folder, which is then this app's: the one that
        Gradio takes otherwise may have the files of other apps, too.
        """
        self.close_sweeper()
        self.visitors = Visitors()
        if os.environ.get("GRADIO_TEMP_DIR"):
            folder = Path(get_upload_folder())
            self.sweeper = Sweeper(folder, self.files_in_use, **self.sweeping)
            self.sweeper.start()
        app_kwargs = dict(options.pop("app_kwargs", None) or {})  # Gradio adds to it
        app_kwargs["middleware"] = [
            Middleware(Guard, store=self.sweeper, register=self.visitors),
            Middleware(ResponseCache),
            *app_kwargs.get("middleware", ()),
        ]
        app_kwargs["lifespan"] = self._forgetting
        app_kwargs["exception_handlers"] = dict.fromkeys(
            (FnIndexInferError, KeyError, TypeError), _misasked
        )
        return super().launch(*args, **options, app_kwargs=app_kwargs)

    def close(self, *args: Any, **options: Any) -> None:
        self.close_sweeper()
        super().close(*args, **options)

    def close_sweeper(self) -> None:
        if self.sweeper is not None:
            self.sweeper.stop()

    @asynccontextmanager
    async def _forgetting(self, _: Any) -> AsyncIterator[None]:
        """While the app runs, it forgets those who have left. Not in a thread: Gradio has none."""

        async def every_minute() -> None:
            while True:
                await asyncio.sleep(60)
                try:
                    self.forget()
                except Exception:
                    log.exception("forgetting failed")

        task = asyncio.create_task(every_minute())
        yield
        task.cancel()

    def forget(self, now: datetime | None = None) -> None:
        """Once, as if it were `now`."""
        pending = self._queue.pending_event_ids_session
        for visitor in self.visitors.forget(self.state_holder, now):
            if not pending.get(visitor, True):
                del pending[visitor]

    def files_in_use(self) -> set[Path]:
        """Those that come with the page, and those of jobs that wait or run."""
        kept = {
            name for block in self.blocks.values() for name in getattr(block, "keep_in_cache", ())
        }
        queues = list(self._queue.event_queue_per_concurrency_id.values())
        events = [event for queue in queues for event in list(queue.queue)]
        events += [event for job in list(self._queue.active_jobs) if job for event in job]
        for event in events:
            if event.data is not None:
                kept |= {file["path"] for file in _files(event.data.data)}
        return {Path(name).resolve() for name in kept}

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Says so where a request written by hand has too few values: Gradio would give no reason.

        Nor may it name files that were not uploaded here. Gradio would fetch an address.
        """
        if len(inputs) < len(block_fn.inputs):
            few = Refusal(
                "error_too_few",
                name=block_fn.api_name,
                wanted=len(block_fn.inputs),
                got=len(inputs),
            )
            raise expected(few, LANGUAGES[0])
        for name, value in zip_longest(block_fn.input_parameter_names, inputs):
            for file in _files(value):
                if own := OWN_FILE.fullmatch(file["path"]):  # one of this app's, as MCP names it
                    file["path"] = unquote(own[1])
                if uploaded_file(file["path"]) is None:
                    raise expected(Refusal("error_file", name=name or "path"), LANGUAGES[0])
        super().validate_inputs(block_fn, inputs)


async def _misasked(request: Request, error: Exception) -> Response:
    """For a request that names no endpoint, or not what it takes: the server is not at fault."""
    language = language_of(request)
    if request.url.path == f"{API}/cancel" and isinstance(error, KeyError):
        # Two of Gradio's own have closed the job, and the second did not find it any more.
        return JSONResponse({"success": True})
    if not request.url.path.startswith(ASKING):
        raise error
    if isinstance(error, TypeError):
        status, text = 422, say(language, "error_refused", reason=error)
    else:
        status, text = 404, say(language, "error_no_route")
    return JSONResponse({"detail": text, "error": text}, status)


def _files(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that names a file, however deep inside."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            if isinstance(one.get("path"), str):
                yield one
            rest += one.values()
        elif isinstance(one, list | tuple):
            rest += one
