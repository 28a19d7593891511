"""Fixtures for tests in a real browser: `url`, and `open_page`, which lets no fault go by."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

    from tests.fake_studio import FakeStudio

    OpenPage = Callable[..., Page]

# Before gradio and huggingface_hub are imported: they read these once, and would call home.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["NO_PROXY"] = "127.0.0.1,localhost"

# Nothing here is timed: how long a test takes depends on what else the machine does.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM_OPTIONS = [
    "--no-sandbox",  # containers run tests as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # No other host can be reached. Playwright could also see to that, but makes every page slow.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 60_000  # milliseconds; several test runs may share a small machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, from $CHROMIUM or the path.

    It ends with the module: Playwright keeps an event loop running, other tests start their own.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it, or name its program in $CHROMIUM")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(url, expected_errors=(), **context_options) -> Page``, as often as one likes.

    Requests to any other host fail. The test fails at its end if there was one, or an uncaught
    exception, or an error on the console that contains none of `expected_errors`.
    """
    with watched_pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def open_shared_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page` for pages that several tests use in turn; faults show when the last has ended."""
    with watched_pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def studio() -> FakeStudio:
    """A studio without models, for all tests of a module."""
    from tests.fake_studio import FakeStudio

    return FakeStudio()


@pytest.fixture(scope="module")
def url(studio: FakeStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app around `studio`."""
    from tests.running_app import running_app

    with running_app(studio, tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture(scope="module")
def map_url() -> Iterator[str]:
    """The address of a page with a code map alone (`tests.codemap_page`)."""
    from tests import codemap_page

    page = codemap_page.build()
    _, address, _ = page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", ssr_mode=False
    )
    yield address
    page.close()


@contextmanager
def watched_pages(browser: Browser) -> Iterator[OpenPage]:
    faults: list[str] = []
    contexts = []

    def open_page(url: str, expected_errors: Sequence[str] = (), **options: Any) -> Page:
        defaults = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"}
        context = browser.new_context(**{**defaults, "reduced_motion": "reduce", **options})
        contexts.append(context)

        def watch(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.netloc != urlsplit(url).netloc and parts.scheme not in ("data", "blob"):
                faults.append(f"request to another host: {request.url}")

        def listen(message: ConsoleMessage) -> None:
            expected = any(part in message.text for part in expected_errors)
            if message.type == "error" and not expected:
                faults.append(f"console: {message.text}")

        context.set_default_timeout(PATIENCE)
        context.on("request", watch)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on("console", listen)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)
