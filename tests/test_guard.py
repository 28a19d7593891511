"""What the guard lets through and what it does not: by itself, and before the whole app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from demo.blocks import _misasked
from demo.guard import Guard, Limits
from tests.fake_studio import STRIDE, FakeStudio
from tests.running_app import running_app

Received = list[dict[str, Any]]
LIMITS = Limits(body=100, upload=1000, address=200, headers=300, seconds=0.2)


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with the number of bytes in the body, or with 400 if it was cut off."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            await answer(send, 400, b"cut off")
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await answer(send, 200, str(size).encode())


async def answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": body})


def ask(
    path: str,
    chunks: list[bytes] | None = None,
    app: Callable[..., Awaitable[None]] = reads_all,
    headers: list[tuple[bytes, bytes]] | None = None,
    query: bytes = b"",
    endless: bool = False,
    root_path: str = "",
    **options: Any,
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the guarded app's answer to a body that comes in `chunks`."""
    chunks = [b""] if chunks is None else chunks
    messages: Received = [
        {"type": "http.request", "body": chunk, "more_body": endless or i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]
    sent: Received = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        return await asyncio.get_running_loop().create_future()  # for ever

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers or [],
        "root_path": root_path,
    }
    guard = Guard(app, **{"limits": LIMITS, **options})
    asyncio.run(guard(scope, receive, send))  # type: ignore[arg-type]
    assert endless or sent[0]["status"] in (200, 414, 431) or not messages
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert names["x-content-type-options"] == "nosniff"
    return sent[0]["status"], names, sent[1]["body"].decode()


JOIN = "/gradio_api/queue/join"
UPLOAD = "/gradio_api/upload"


def test_a_body_within_the_limit_comes_whole() -> None:
    assert ask(JOIN, [b"x" * 60, b"y" * 40])[::2] == (200, "100")
    assert ask(UPLOAD, [b"x" * 400, b"y" * 600])[::2] == (200, "1000")


@pytest.mark.parametrize(
    ("path", "sizes", "limit"), [(JOIN, (60, 41), "0.0001"), (UPLOAD, (999, 2), "0.001")]
)
def test_a_body_above_it_is_cut_off_with_a_message(
    path: str, sizes: tuple[int, ...], limit: str
) -> None:
    seen: list[str] = []

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        async def noting() -> Any:
            message = await receive()
            seen.append(message["type"])
            return message

        await reads_all(scope, noting, send)

    status, _, text = ask(path, [b"x" * size for size in sizes], watching)
    assert status == 413 and f"the limit here is {limit} MB" in json.loads(text)["detail"]
    assert seen == ["http.request", "http.disconnect"]  # what is above it never gets there


def test_a_claim_above_it_is_refused_unread_and_an_odd_one_too() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("the app was asked")

    for claim in (b"101", b"99999999999999999999", b"-1", b"1e9", b""):
        status, _, _ = ask(JOIN, app=never, headers=[(b"content-length", claim)])
        assert status == 413


def test_an_app_that_fails_when_it_is_cut_off_still_gives_the_message() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raise RuntimeError("the visitor has left")

    assert ask(JOIN, [b"x" * 101], fails)[0] == 413


async def broken(*_: Any) -> None:
    raise RuntimeError("secret detail")


def test_an_error_that_nobody_foresaw_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    status, _, text = ask(JOIN, app=broken)
    assert status == 500 and "Something went wrong on the server" in json.loads(text)["error"]
    assert "secret detail" not in text and "secret detail" in caplog.text


def test_who_leaves_in_the_middle_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    async def leaves() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError("nobody is there")

    scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": []}
    asyncio.run(Guard(reads)(scope, leaves, send))  # type: ignore[arg-type]
    assert not caplog.text


def test_what_is_refused_is_read_all_the_same() -> None:
    """While a client sends, it may not listen; and then it would be cut off without a word."""
    left = [b"x" * 150] * 3
    assert ask(JOIN, left, headers=[(b"content-length", b"450")])[0] == 413
    assert ask("/monitoring", left)[0] == 404


def test_a_body_that_does_not_end_is_given_up() -> None:
    status, _, text = ask(JOIN, [b"x"], endless=True)
    assert status == 408 and "0.2 seconds" in text


def test_a_stream_may_last_as_long_as_it_likes() -> None:
    """Only the body has a time limit: an app waits on for the visitor to leave."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(2 * LIMITS.seconds)
        assert not waiting.done()
        waiting.cancel()
        await answer(send, 200, b"late")

    assert ask(JOIN, app=slow)[::2] == (200, "late")


def test_long_addresses_and_headers_are_refused() -> None:
    room = LIMITS.address - len(JOIN)
    assert ask(JOIN, query=b"q" * room)[0] == 200
    assert ask(JOIN, query=b"q" * (room + 1))[0] == 414
    assert ask(JOIN, headers=[(b"a" * 150, b"b" * 150)])[0] == 200
    assert ask(JOIN, headers=[(b"a" * 150, b"b" * 75), (b"c", b"d" * 75)])[0] == 431


class FakeStore:
    """Has room for the third and fourth that come."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.came: list[int] = []

    def let_in(self, size: int) -> bool:
        self.asked.append(size)
        return len(self.asked) > 2

    def arrived(self, size: int) -> None:
        self.came.append(size)


def test_uploads_wait_for_room_on_the_disk() -> None:
    store = FakeStore()
    claimed = [(b"content-length", b"7")]
    assert ask(UPLOAD, headers=claimed, store=store)[0] == 503
    assert ask(UPLOAD, store=store)[0] == 503  # of unknown size: as large as may be
    assert ask(UPLOAD, headers=claimed, store=store)[0] == 200
    assert ask(UPLOAD, app=broken, store=store)[0] == 500
    assert ask(JOIN, store=store)[0] == 200
    assert store.asked == [7, LIMITS.upload, 7, LIMITS.upload]
    assert store.came == [7, LIMITS.upload]


def test_messages_are_in_the_language_of_the_request() -> None:
    _, _, text = ask("/nothing", headers=[(b"accept-language", b"ko-KR,ko;q=0.9")])
    assert "이 주소에는" in json.loads(text)["error"]


def test_a_mounted_app_is_guarded_the_same() -> None:
    assert ask(f"/demo{JOIN}", root_path="/demo")[0] == 200
    assert ask("/demo/monitoring", root_path="/demo")[0] == 404
    assert ask("/demonstration", root_path="/demo")[0] == 404


# ------------------------------------------------------------------ before the whole app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module")
def http(folder: Path) -> Iterator[httpx.Client]:
    with (
        running_app(FakeStudio(), folder) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/gradio_api/info"),
        *("/gradio_api/openapi.json", "/gradio_api/app_id", "/gradio_api/queue/status"),
        *("/static/img/logo.svg", "/manifest.json", "/config/"),
    ],
)
def test_what_the_page_needs_is_there(http: httpx.Client, path: str) -> None:
    found = http.get(path)
    assert found.status_code == 200
    assert found.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", f"/{name}") for name in ("monitoring", "monitoring/summary", "monitoring/x")),
        *(("GET", f"/{name}") for name in ("pwa_icon", "pwa_icon/100000", "openapi.json")),
        *(("GET", f"/{name}") for name in ("logout", "svelte/x", "docs")),
        ("POST", "/login"),
        *(("GET", f"/gradio_api/{name}") for name in ("user", "token", "dev/reload", "runs")),
        *(("GET", f"/gradio_api/{name}") for name in ("deep_link?session_hash=x", "login_check")),
        ("GET", "/gradio_api/proxy=http://x.hf.space/"),
        ("GET", "/gradio_api/custom_component/x/client/y/z"),
        ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"),
        ("GET", "/gradio_api/run-history/buckets"),
        *(("POST", f"/gradio_api/{name}") for name in ("process_recording", "vibe-edit")),
        *(("POST", f"/gradio_api/{name}") for name in ("component_server", "api/encode")),
        ("GET", "/gradio_api/file=http://127.0.0.1:1/x.png"),
        ("GET", "/gradio_api/file=https%3A%2F%2Fexample.org%2Fx.png"),
        ("GET", "/gradio_api/file=http%253A//example.org"),
        ("GET", "/gradio_api/file=//example.org/x.png"),
        ("GET", "/gradio_api/file/etc/passwd"),
    ],
)
def test_what_nobody_uses_is_not(http: httpx.Client, method: str, path: str) -> None:
    refused = http.request(method, path)
    assert refused.status_code == 404
    assert refused.json()["error"] == "There is nothing at this address."


def test_no_other_app_file_is_given(http: httpx.Client) -> None:
    for name in ("/etc/passwd", "app.py", "/proc/self/environ", "../../etc/passwd"):
        assert http.get(f"/gradio_api/file={name}").status_code in (403, 404)


def upload(http: httpx.Client, name: str, content: bytes, kind: str) -> str:
    answer = http.post("/gradio_api/upload", files={"files": (name, content, kind)})
    path: str = answer.json()[0]
    return path


@pytest.mark.parametrize("part", [{}, {"range": "bytes=0-7"}])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", None),
        ("a.svg", None),
        ("a.xml", None),
        ("a.js", None),
        ("a.txt", None),
        ("a.json", None),
        ("a", None),
        ("a.png.html", None),
        ("a b.PNG", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
    ],
)
def test_a_visitors_file_is_a_picture_or_to_be_saved(
    http: httpx.Client, name: str, kind: str | None, part: dict[str, str]
) -> None:
    """Whatever it was said to be, and for a part of it, too: then Gradio repeats the request's."""
    content = b"<script>alert(1)</script>"
    path = upload(http, name, content, "text/html")
    hostile = {"content-type": "text/html", "x-evil": "1", "set-cookie": "a=b"}
    served = http.get(f"/gradio_api/file={path}", headers={**part, **(hostile if part else {})})
    assert served.content == (content[:8] if part else content)
    assert served.headers.get_list("content-type") == [kind or "application/octet-stream"]
    assert served.headers["content-disposition"].split(";")[0] == (
        "inline" if kind else "attachment"
    )
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    assert served.headers["cache-control"] == "private, max-age=3600, immutable"
    assert not {"x-evil", "set-cookie"} & set(served.headers)


def test_large_requests_are_refused_as_they_stream(http: httpx.Client, folder: Path) -> None:
    def field(chunks: int) -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n'
        for _ in range(chunks):
            yield b"x" * 100_000

    form = {"content-type": "multipart/form-data; boundary=b"}
    long = {"data": ["x" * 2_100_000]}
    for refused in (
        *(http.post("/gradio_api/call/decode", json=long) for _ in range(5)),
        http.post("/gradio_api/call/decode", content=iter([json.dumps(long).encode()])),
        http.post("/gradio_api/upload", content=field(300), headers=form),
        http.post("/gradio_api/upload", files={"files": ("a.png", b"x" * 22_000_000)}),
    ):
        assert refused.status_code == 413
        assert "too large" in refused.json()["detail"]
    # The largest picture that the reader takes fits.
    assert upload(http, "large.png", b"x" * 20_000_000, "image/png").endswith("large.png")


def test_a_frame_on_another_site_may_show_the_page(http: httpx.Client) -> None:
    page = http.get("/", headers={"origin": "https://huggingface.co"})
    assert page.status_code == 200 and "x-frame-options" not in page.headers
    assert "content-security-policy" not in page.headers


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        *("http://127.0.0.1:1/x.png", "https://example.org/x.png", "//example.org/x.png"),
        *("data:image/png;base64,AAAA", "/etc/passwd", "app.py", "", "a\0b"),
    ],
)
def test_a_picture_must_have_been_uploaded(
    http: httpx.Client, path: str, marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("the server went to fetch it")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetched)
    file: dict[str, Any] = {"path": path}
    if marked:
        file["meta"] = {"_type": "gradio.FileData"}
    text = call(http, "encode", [file, None])
    assert "event: error" in text and "picture must be a file that was uploaded" in text
    assert "event: error" in call(http, "decode", [{"codes": [[0]], "deep": [[{"x": file}]]}])


def test_a_picture_may_be_named_by_its_address_here(http: httpx.Client, tmp_path: Path) -> None:
    """As MCP clients do; nothing is fetched, so whose address it is makes no difference."""
    picture = np.random.default_rng(0).integers(0, 256, (4 * STRIDE, 8 * STRIDE, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "x y.png")
    path = upload(http, "x y.png", (tmp_path / "x y.png").read_bytes(), "image/png")
    for host in (str(http.base_url).rstrip("/"), "https://someone-space.hf.space"):
        address = f"{host}/gradio_api/file={path.replace(' ', '%20')}"
        file = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        text = call(http, "encode", [file, None])
        codes = json.loads(text.partition("data: ")[2])[0]["codes"]
        assert codes == FakeStudio().encode(picture).tolist()


def test_depth_is_no_way_to_break_it(http: httpx.Client) -> None:
    for depth, refused in ((900, False), (100_000, True)):
        body = '{"data": [' + "[" * depth + "]" * depth + "]}"
        answer = http.post(
            "/gradio_api/call/decode", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == (400 if refused else 200)
        assert "Traceback" not in answer.text
        if not refused:
            event = answer.json()["event_id"]
            assert "must be a code map" in http.get(f"/gradio_api/call/decode/{event}").text


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("call/nothing", {"data": []}, 404, "There is nothing"),
        ("call/v2/nothing", {}, 404, "There is nothing"),
        ("run/nothing", {"data": []}, 404, "There is nothing"),
        ("queue/join", {"data": [], "fn_index": 9999, "session_hash": "x"}, 404, "nothing"),
        ("call/v2/decode", {}, 422, "No value provided for required argument: codes"),
        ("call/v2/decode", {"x": 1}, 422, "`x` is not a valid"),
        ("run/decode", {"data": [{"codes": [[0]]}]}, 404, "join the queue"),
    ],
)
def test_a_request_for_nothing_is_told_so(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    refused = http.post(f"/gradio_api/{path}", json=body)
    assert refused.status_code == status and message in refused.json()["detail"]


def call(http: httpx.Client, endpoint: str, data: list[Any]) -> str:
    """What an endpoint says in the end."""
    event = http.post(f"/gradio_api/call/{endpoint}", json={"data": data}).json()["event_id"]
    return http.get(f"/gradio_api/call/{endpoint}/{event}").text


def test_a_job_that_is_closed_twice_is_closed() -> None:
    """Gradio closes a job both where it is cancelled and where it ends, at times at once."""
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/cancel", "headers": []}
    answer = asyncio.run(_misasked(Request(scope), KeyError("the job")))
    assert answer.status_code == 200 and json.loads(bytes(answer.body)) == {"success": True}
    with pytest.raises(KeyError):
        asyncio.run(_misasked(Request({**scope, "path": "/gradio_api/reset"}), KeyError("a bug")))
