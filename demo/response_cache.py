"""Answers that are the same for everyone, made once: the page, its configuration, its scripts.

Gradio makes the page anew for every visitor, 700 kB that take 40 ms of a core and travel as they
are, and compresses every script each time. Here each is made and compressed once, and has an ETag:
a browser that has it already is told so. Pure ASGI. The app must know no logins, or else the first
visitor's page would be everyone's; the guard leaves none open.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import parse_qs

import brotli  # type: ignore[import-untyped]  # what Gradio compresses with
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.guard import API, FOLDERS, route_of

ADDRESSED = {"/", "/config", f"{API}/info"}  # the app's own address is in them
CONSTANT = {"/theme.css", f"{API}/theme.css"}
# What makes the address: `get_request_origin` of gradio.route_utils.
ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
# All that Gradio's routes read of a query; whatever else is in it is the page's own business.
QUERY = {"page", "deep_link", "all_endpoints"}
MOST_BYTES = 64_000_000

COMPRESSED = re.compile(r"text/|[^;]*(javascript|json|xml|wasm)")
DECLINED = re.compile(r";\s*q=0(\.0*)?$")

Key = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    headers: list[tuple[bytes, bytes]]
    etag: str
    body: bytes


class ResponseCache:
    """The middleware. It keeps `most_bytes`; what was not asked for longest goes first."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.bytes = 0
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._making = asyncio.Lock()  # many come at once, when the app has just started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        if key not in self._answers:
            async with self._making:
                if key not in self._answers and not await self._make(key, scope, receive, send):
                    return
        self._answers.move_to_end(key)
        answer = self._answers[key]
        held = Headers(scope=scope).get("if-none-match", "")
        if answer.etag in held or held.strip() == "*":
            unchanged = [(n, v) for n, v in answer.headers if not n.startswith(b"content-")]
            await send({"type": "http.response.start", "status": 304, "headers": unchanged})
            await send({"type": "http.response.body"})
            return
        headers = list(answer.headers)  # others add theirs
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _make(self, key: Key, scope: Scope, receive: Receive, send: Send) -> bool:
        """Ask the app; an answer that is none is sent on instead, and False is returned."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        whole = [(n, v) for n, v in scope["headers"] if n not in (b"range", b"if-none-match")]
        await self.app({**scope, "headers": whole}, receive, keep)
        start, *parts = messages
        if start["status"] != 200:
            for message in messages:
                await send(message)
            return False
        body = b"".join(part.get("body", b"") for part in parts)
        answer = await asyncio.to_thread(_answer, key, start["headers"], body)
        self._answers[key] = answer
        self.bytes += len(answer.body)
        while self.bytes > self.most_bytes and len(self._answers) > 1:
            _, oldest = self._answers.popitem(last=False)
            self.bytes -= len(oldest.body)
        return True


def _key(scope: Scope) -> Key | None:
    """What the answer depends on; None if it is not kept."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    path = route_of(scope)
    encoding = _encoding(Headers(scope=scope).get("accept-encoding", ""))
    if path in CONSTANT or path.startswith(FOLDERS):
        return path, encoding
    query = scope.get("query_string", b"").decode("latin-1")
    if path not in ADDRESSED or QUERY & parse_qs(query, keep_blank_values=True).keys():
        return None
    headers = Headers(scope=scope)
    address = (headers.get(name, "") for name in ADDRESS)
    return path, encoding, scope["path"], scope.get("root_path", ""), scope["scheme"], *address


def _encoding(accepted: str) -> str:
    """Of those that a browser understands, the best; "" if it names none."""
    parts = [part.strip() for part in accepted.lower().split(",")]
    names = {part.partition(";")[0].rstrip() for part in parts if not DECLINED.search(part)}
    return next((name for name in ("br", "gzip") if name in names), "")


def _answer(key: Key, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
    path, encoding, *_ = key
    kind = Headers(raw=headers).get("content-type", "")
    own = MutableHeaders({"content-type": kind})
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    own["etag"] = f"W/{etag}"  # weak: it is the same however it is compressed
    # Names of assets are hashes of what is in them. All else a browser asks for again.
    lasting = path.startswith("/assets/")
    own["cache-control"] = "public, max-age=31536000, immutable" if lasting else "private, no-cache"
    if COMPRESSED.match(kind):
        own["vary"] = "accept-encoding"
        if encoding:
            own["content-encoding"] = encoding
            body = brotli.compress(body, quality=6) if encoding == "br" else gzip.compress(body, 6)
    own["content-length"] = str(len(body))
    return Answer(own.raw, etag, body)
