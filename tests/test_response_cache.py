"""Answers made once: by the middleware alone; and before the app, where they stay Gradio's."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
from starlette.responses import Response

from demo.response_cache import ADDRESSED, QUERY, ResponseCache
from tests.fake_studio import FakeStudio
from tests.running_app import running_app


class Counted:
    """An app that answers with its own address, and counts how often it is asked."""

    def __init__(self, status: int = 200, kind: str = "text/html", size: int = 1000) -> None:
        self.asked = 0
        self.status, self.kind, self.size = status, kind, size

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        named = dict(scope["headers"]).get(b"host", b"").decode() + scope["path"]
        answer = Response(named.ljust(self.size), self.status, media_type=self.kind)
        await answer(scope, receive, send)


def client(app: ResponseCache, **headers: str) -> httpx.AsyncClient:
    headers = {"accept-encoding": "identity"} | headers
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://here", headers=headers
    )


def get(app: ResponseCache, *paths: str, **headers: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        async with client(app, **headers) as http:
            return [await http.get(path) for path in paths]

    return asyncio.run(ask())


def test_an_answer_is_made_once_however_many_come_at_once() -> None:
    app = Counted()
    cached = ResponseCache(app)

    async def together() -> list[httpx.Response]:
        async with client(cached) as http:
            return list(await asyncio.gather(*(http.get("/") for _ in range(8))))

    answers = asyncio.run(together())
    assert app.asked == 1
    assert {answer.text for answer in answers} == {"here/".ljust(1000)}


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=0.5, *", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("deflate", None),
        ("identity", None),
    ],
)
def test_it_is_compressed_as_the_browser_asks(accepted: str, used: str | None) -> None:
    async def raw() -> tuple[httpx.Headers, bytes]:
        async with (
            client(ResponseCache(Counted()), **{"accept-encoding": accepted}) as http,
            http.stream("GET", "/") as answer,
        ):
            return answer.headers, b"".join([part async for part in answer.aiter_raw()])

    headers, body = asyncio.run(raw())
    assert headers.get("content-encoding") == used
    assert int(headers["content-length"]) == len(body) and headers["vary"] == "accept-encoding"
    open_ = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[used]
    assert open_(body).decode() == "here/".ljust(1000)


def test_pictures_and_fonts_stay_as_they_are() -> None:
    for kind in ("image/png", "font/woff2", "application/octet-stream"):
        answer = get(ResponseCache(Counted(kind=kind)), "/static/x", **{"accept-encoding": "br"})[0]
        assert "content-encoding" not in answer.headers and len(answer.content) == 1000


def test_who_has_it_already_is_told_so() -> None:
    app = Counted()
    cached = ResponseCache(app)
    first = get(cached, "/")[0]
    for held in (first.headers["etag"], f'"other", {first.headers["etag"]}', "*"):
        again = get(cached, "/", **{"if-none-match": held, "accept-encoding": "br"})[0]
        assert again.status_code == 304 and not again.content
        assert again.headers["etag"] == first.headers["etag"]
    other = get(cached, "/", **{"if-none-match": 'W/"other"'})[0]
    assert other.status_code == 200 and other.text == first.text


def test_only_names_that_are_hashes_are_not_asked_for_again() -> None:
    page, asset, static = get(ResponseCache(Counted()), "/", "/assets/a-1.js", "/static/a.js")
    assert "immutable" in asset.headers["cache-control"]
    assert {page.headers["cache-control"], static.headers["cache-control"]} == {"private, no-cache"}


@pytest.mark.parametrize("path", ["/gradio_api/file=/x", "/gradio_api/queue/data", "/other"])
def test_all_else_is_asked_for_every_time(path: str) -> None:
    app = Counted()
    get(ResponseCache(app), path, path)
    assert app.asked == 2


@pytest.mark.parametrize("status", [404, 500, 302, 206])
def test_what_is_no_answer_is_passed_on_and_not_kept(status: int) -> None:
    app = Counted(status)
    answers = get(ResponseCache(app), "/assets/x.js", "/assets/x.js")
    assert [answer.status_code for answer in answers] == [status] * 2 and app.asked == 2


def test_a_part_is_never_taken_for_the_whole() -> None:
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(name for name, _ in scope["headers"])
        await Response("whole")(scope, receive, send)

    answer = get(ResponseCache(app), "/assets/x", **{"range": "bytes=0-1", "if-none-match": "y"})[0]
    assert answer.text == "whole" and not {b"range", b"if-none-match"} & set(seen)


def test_what_is_long_not_asked_for_makes_room() -> None:
    app = Counted(size=100)
    cached = ResponseCache(app, most_bytes=250)
    get(cached, "/assets/a", "/assets/b", "/assets/a", "/assets/c")  # and b goes
    assert app.asked == 3 and cached.bytes == 200
    get(cached, "/assets/a", "/assets/c")
    assert app.asked == 3
    get(cached, "/assets/b")
    assert app.asked == 4 and cached.bytes == 200


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(FakeStudio(), tmp_path_factory.mktemp("app")) as url:
        yield url


# What proxies say of the address that was asked.
WAYS: list[dict[str, str]] = [
    {},
    {"host": "codebrush.example"},
    {"x-forwarded-host": "one.example"},
    {"x-forwarded-host": "one.example", "x-forwarded-proto": "https"},
    {"x-forwarded-host": "two.example, inner.example", "x-forwarded-proto": "https,http"},
    {"x-gradio-server": "http://three.example"},
]


def test_it_is_what_gradio_answers_at_every_address(app: str) -> None:
    roots = set()
    with httpx.Client(base_url=app, timeout=60) as http:
        for path in ("/", "/config"):
            for headers in WAYS:
                # An empty name is none to Gradio, but the cache passes it on.
                made = http.get(f"{path}?deep_link=", headers=headers)
                assert "etag" not in made.headers
                for query in ("", "?__theme=dark&seed=3", ""):
                    kept = http.get(f"{path}{query}", headers=headers)
                    assert "etag" in kept.headers and kept.status_code == 200
                    if path == "/":
                        assert kept.text == made.text
                    else:  # it says that the link is invalid
                        assert kept.json() | {"deep_link_state": 0} == made.json() | {
                            "deep_link_state": 0
                        }
                        roots.add(kept.json()["root"])
    assert len(roots) == len(WAYS)


def test_behind_a_path_of_a_proxy(tmp_path: Path) -> None:
    with running_app(FakeStudio(), tmp_path, root_path="/brush") as url:
        for _ in range(2):
            assert httpx.get(f"{url}config").json()["root"] == f"{url}brush"


def test_questions_are_kept_apart_by_all_that_gradio_reads_of_them() -> None:
    from gradio.routes import App

    from demo import page
    from demo.shelf import Shelf

    routes = App.create_app(page.build(Shelf.of(FakeStudio()))).routes
    read = {
        field.alias
        for route in routes
        if getattr(route, "path", None) in ADDRESSED
        for field in route.dependant.query_params
    }
    assert read and read <= QUERY


def test_the_description_of_the_endpoints_is_kept_too(app: str) -> None:
    short, again, long = (
        httpx.get(f"{app}gradio_api/info{query}") for query in ("", "", "?all_endpoints=True")
    )
    assert short.json() == again.json() and short.headers["etag"] == again.headers["etag"]
    assert "etag" not in long.headers
