"""What stands between the network and Gradio: limits that its own routes do not have. Pure ASGI.

A request passes if it is for something that the page, a client or an MCP client uses, and if its
address, headers and body are within `Limits`. Bodies are counted while they stream, whatever length
they claim. What the app serves is not to be taken for anything else than it says, and visitors'
files are shown as pictures or not at all.

Nothing here keeps the page from running in a frame: that is how a Space shows it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.text import language_from, say
from vq.pictures import MAX_BYTES

API = "/gradio_api"
# Gradio has more: recordings, monitoring, proxies, deep links, run history, streams, logins.
PAGES = {"/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"}
FOLDERS = ("/assets/", "/static/")
ROUTES = {
    *("/info", "/openapi.json", "/theme.css", "/app_id", "/startup-events"),
    *("/queue/join", "/queue/data", "/queue/status", "/cancel", "/reset"),
    *("/upload", "/upload_progress"),
}
ROUTE_FOLDERS = ("/heartbeat/", "/run/", "/call/")
UPLOAD = f"{API}/upload"
HEARTBEAT = f"{API}/heartbeat/"
FILES = "/file="
MCP = "/mcp"

log = logging.getLogger(__name__)

# What a visitor's browser may show of what it was served; all else it may only save.
SHOWN = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".mp4": "video/mp4",
}
SAVED = "application/octet-stream"
# Gradio repeats a request's own headers where it asks for a part of a file.
FILE_HEADERS = {
    *("content-length", "content-range", "content-disposition", "accept-ranges", "etag"),
    *("last-modified", "cache-control"),
}


# Of a body that is refused, how much is read and thrown away.
DRAINED = 100_000_000
DRAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """Of one request: bytes, and seconds until its body has come."""

    body: int = 2_000_000  # the largest code map with its hole is 300 kB
    upload: int = MAX_BYTES + 2**20  # a picture, and the form around it
    address: int = 8_000
    headers: int = 32_000
    seconds: float = 300.0


@dataclass(frozen=True)
class Fault:
    """Why a request is refused: an HTTP status, and a message of `demo/text` with its values."""

    status: int
    key: str
    limit: float = 0


class Store(Protocol):
    """Where uploads go; `demo.sweeper.Sweeper` is the real one."""

    def let_in(self, size: int) -> bool:
        """Whether there is room for so many bytes more. They are counted until `arrived`."""
        ...

    def arrived(self, size: int) -> None: ...


class Register(Protocol):
    """Who has the page open; `demo.visitors.Visitors` is the real one."""

    def enter(self, visitor: str) -> None: ...

    def leave(self, visitor: str) -> None: ...


class Guard:
    """The middleware. `store` refuses uploads that it has no room for.

    `register` is told of every connection that an open page keeps.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits = Limits(),
        store: Store | None = None,
        register: Register | None = None,
    ) -> None:
        self.app = app
        self.limits = limits
        self.store = store
        self.register = register

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = route_of(scope)
        uploads = path in (UPLOAD, f"{API}{MCP}") or path.startswith(f"{API}{MCP}/")
        body = _Body(receive, self.limits.upload if uploads else self.limits.body, self.limits)
        fault = self._fault(scope, path, body.most)
        if fault is not None:
            await _refuse(fault, scope, body, send)
        elif self.register and path.startswith(HEARTBEAT):
            visitor = path.removeprefix(HEARTBEAT)
            self.register.enter(visitor)
            try:
                await self._pass(scope, body, send, path)
            finally:
                self.register.leave(visitor)
        elif path != UPLOAD or self.store is None:
            await self._pass(scope, body, send, path)
        else:
            size = int(Headers(scope=scope).get("content-length", body.most))
            if not await asyncio.to_thread(self.store.let_in, size):
                await _refuse(Fault(503, "error_no_room"), scope, body, send)
                return
            try:
                await self._pass(scope, body, send, path)
            finally:
                await asyncio.to_thread(self.store.arrived, size)

    async def _pass(self, scope: Scope, body: _Body, send: Send, path: str) -> None:
        """Hand a request on, as long as its body is within the limits."""
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if body.fault is not None and not begun:
                return  # whatever the app says of a request that was cut off
            if message["type"] == "http.response.start":
                begun = True
                _harden(message, path)
            await send(message)

        try:
            await self.app(scope, body.receive, answer)
        except ClientDisconnect:  # left in the middle of an upload: nothing to tell anyone
            pass
        except Exception:
            if begun:
                raise
            if body.fault is None:
                log.exception("%s failed", path)
                body.fault = Fault(500, "error_unexpected")
        if body.fault is not None and not begun:
            await _refuse(body.fault, scope, body, send)

    def _fault(self, scope: Scope, path: str, most: int) -> Fault | None:
        """What is wrong with a request before its body is looked at."""
        address = len(scope.get("raw_path") or path) + len(scope.get("query_string", b""))
        if address > self.limits.address:
            return Fault(414, "error_address", self.limits.address / 1000)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self.limits.headers:
            return Fault(431, "error_headers", self.limits.headers / 1000)
        if not _is_used(path):
            return Fault(404, "error_no_route")
        claimed = Headers(scope=scope).get("content-length", "0")
        if not claimed.isdecimal() or int(claimed) > most:
            return Fault(413, "error_too_large", most / 1e6)
        return None


class _Body:
    """A request's body. Past a limit, the app is told that the visitor has left."""

    def __init__(self, receive: Receive, most: int, limits: Limits) -> None:
        self.most = most
        self.fault: Fault | None = None
        self._receive = receive
        self._left = most
        self._seconds = limits.seconds
        self._until = asyncio.get_running_loop().time() + limits.seconds
        self._complete = False

    async def receive(self) -> Message:
        if self._complete and self.fault is None:
            return await self._receive()
        if self.fault is None:
            try:
                async with asyncio.timeout_at(self._until):
                    message = await self._next()
            except TimeoutError:
                self.fault = Fault(408, "error_too_slow", self._seconds)
            else:
                if self._left >= 0:
                    return message
                self.fault = Fault(413, "error_too_large", self.most / 1e6)
        return {"type": "http.disconnect"}

    async def drain(self) -> None:
        """Read what nobody wants: a client that is still sending might not hear the answer."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._complete and self._left > -DRAINED:
                    await self._next()
        except TimeoutError:
            pass

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        else:
            self._complete = True
        return message


def route_of(scope: Scope) -> str:
    """The path as the app's routes know it: without where the app is mounted, or a last slash."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path if path == "/" or FILES in path else path.removesuffix("/")


def _is_used(path: str) -> bool:
    if path in PAGES or path.startswith(FOLDERS):
        return True
    if not path.startswith(API):
        return False
    route = path[len(API) :]
    if route.startswith(FILES):
        return _names_a_file(route[len(FILES) :])
    return (
        route in ROUTES
        or route.startswith(ROUTE_FOLDERS)
        or route == MCP
        or route.startswith(f"{MCP}/")
    )


def _names_a_file(name: str) -> bool:
    """Not an address, which Gradio would fetch for whoever asks, also behind another escape."""
    plain = unquote(name)
    return "://" not in plain and not plain.startswith(("//", "\\\\", "/\\", "\\/"))


def _harden(message: Message, path: str) -> None:
    """The headers of an answer: nothing in it is guessed at, and files cannot do anything."""
    message["headers"] = list(message.get("headers", []))
    headers = MutableHeaders(raw=message["headers"])
    if path.startswith(f"{API}{FILES}") and message["status"] in (200, 206):
        kept = {name: value for name, value in headers.items() if name in FILE_HEADERS}
        kind = SHOWN.get(PurePosixPath(path).suffix.lower())
        _, _, name = kept.get("content-disposition", "").partition(";")
        kept["content-disposition"] = f"{'inline' if kind else 'attachment'};{name}".rstrip(";")
        kept["content-type"] = kind or SAVED
        kept["content-security-policy"] = "default-src 'none'; sandbox"
        # A file's folder is named after what is in it.
        kept["cache-control"] = "private, max-age=3600, immutable"
        message["headers"][:] = [(n.encode(), v.encode("latin-1")) for n, v in kept.items()]
    headers["x-content-type-options"] = "nosniff"


async def _refuse(fault: Fault, scope: Scope, body: _Body, send: Send) -> None:
    if fault.status != 408:
        await body.drain()
    wishes = Headers(scope=scope).get("accept-language", "")
    text = say(language_from(wishes), fault.key, limit=f"{fault.limit:.3g}")
    headers = {"x-content-type-options": "nosniff"}
    # Gradio's clients read either.
    answer = JSONResponse({"detail": text, "error": text}, fault.status, headers)
    await answer(scope, body.receive, send)
