"""The whole app around a studio, served on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from demo.jobs import StudioVerbs
    from demo.models import Library
    from demo.shelf import Shelf


def until(there: Callable[[], object], seconds: float = 60) -> None:
    """Wait for what the server does by itself, after the page or the client has its answer."""
    for _ in range(round(seconds / 0.1)):
        if there():
            return
        threading.Event().wait(0.1)
    raise AssertionError("it did not come")


@contextmanager
def running_app(
    studio: StudioVerbs | Shelf, folder: Path, library: Library | None = None, **options: Any
) -> Iterator[str]:
    """Its address, while it runs; `folder` is for its files, `options` are those of a launch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        from demo import page
        from demo.shelf import Shelf

        demo = page.build(studio if isinstance(studio, Shelf) else Shelf.of(studio), library)
        # As on a Space, which has no `mcp`, whether or not it is installed here.
        plain = {"server_name": "127.0.0.1", "quiet": True, "mcp_server": False}
        options = {**page.LAUNCH, **plain, **options}
        _, address, _ = demo.launch(**options, prevent_thread_lock=True)
        yield address
        demo.close()
