"""What a stranger may send to make trouble: each attack, and whether it ended as it should.

An attack ends well if it is refused with a status below 500 or a message of the app's own. It ends
badly with a server error, a traceback, an error without a word, or an answer.
"""

from __future__ import annotations

import io
import json
import secrets
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

from tests.picture_files import jpeg_with_scans, png_bomb, png_of_size, webp_black

Attack = Callable[[httpx.Client], "httpx.Response | None"]
API = "/gradio_api"


def upload_and_encode(name: str, data: bytes) -> Attack:
    def attack(http: httpx.Client) -> httpx.Response | None:
        form = {"files": (name, data, "image/png")}
        path = http.post(f"{API}/upload", files=form).json()[0]
        return call("encode", [{"path": path, "meta": {"_type": "gradio.FileData"}}, None])(http)

    return attack


def call(endpoint: str, data: object) -> Attack:
    def attack(http: httpx.Client) -> httpx.Response:
        joined = http.post(f"{API}/call/{endpoint}", json={"data": data})
        if joined.status_code != 200:
            return joined
        return http.get(f"{API}/call/{endpoint}/{joined.json()['event_id']}")

    return attack


def post(path: str, content: bytes, kind: str = "application/json") -> Attack:
    return lambda http: http.post(path, content=content, headers={"content-type": kind})


def get(path: str) -> Attack:
    return lambda http: http.get(path)


def broken_off(http: httpx.Client) -> None:
    """An upload that ends in the middle; nobody is there for an answer."""
    place = urlsplit(str(http.base_url))
    with socket.create_connection((place.hostname or "", place.port or 80), timeout=30) as line:
        line.sendall(
            f"POST {API}/upload HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 900000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'.encode()
            + secrets.token_bytes(100_000)
        )


def endless_upload(http: httpx.Client) -> httpx.Response:
    def chunks() -> object:
        yield b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n'
        for _ in range(400):
            yield bytes(100_000)

    form = {"content-type": "multipart/form-data; boundary=b"}
    return http.post(f"{API}/upload", content=chunks(), headers=form)  # type: ignore[arg-type]


def another_session(http: httpx.Client) -> httpx.Response:
    """The page's own events, by number, with nonsense, in a session of somebody's."""
    number = secrets.randbelow(40)
    body = {"data": [None, "x", {"path": "/etc/passwd"}, -1, 10**30], "fn_index": number}
    return http.post(f"{API}/queue/join", json={**body, "session_hash": secrets.token_hex(4)})


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(file, "JPEG", progressive=True)
    return file.getvalue()


CODES = {"codes": np.zeros((4, 4), int).tolist()}
DEEP = b'{"data": [' + b"[" * 50_000 + b"]" * 50_000 + b"]}"
ATTACKS: dict[str, Attack] = {
    "webp bomb": upload_and_encode("a.webp", webp_black(13_000, 13_000)),
    "png bomb": upload_and_encode("a.png", png_bomb(13_000, 13_000)),
    "png of no end": upload_and_encode("a.png", png_of_size(2**31 - 1, 2**31 - 1)),
    "jpeg of 9,000 scans": upload_and_encode("a.jpg", jpeg_with_scans(_jpeg(), 9000)),
    "cut jpeg": upload_and_encode("a.jpg", _jpeg()[:-100]),
    "page as picture": upload_and_encode("a.png", b"<script>alert(1)</script>"),
    "file of the server": call("encode", [{"path": "/etc/passwd"}, None]),
    "address": call("encode", [{"path": "http://127.0.0.1:1/a.png"}, None]),
    "codes out of range": call("decode", [{"codes": [[-1, 10**12]]}]),
    "ragged codes": call("decode", [{"codes": [[1], [1, 2]]}]),
    "codes of a million": call("decode", [{"codes": [[0] * 1000] * 300}]),
    "wrong types": call("resample", [CODES, "hole", {}, [], None, "x"]),
    "too many pictures": call("generate", [10**9] + [None] * 10),
    "endpoint that is not there": call("nothing", []),
    "body of 3 MB": post(f"{API}/call/decode", json.dumps({"data": ["x" * 3_000_000]}).encode()),
    "deep body": post(f"{API}/call/decode", DEEP),
    "no json": post(f"{API}/queue/join", b"\xff\xfe{{{"),
    "cancel of another": post(f"{API}/cancel", b'{"session_hash":"a","fn_index":1,"event_id":"b"}'),
    "fetch for me": get(f"{API}/file=http://127.0.0.1:1/"),
    "file by path": get(f"{API}/file=/etc/passwd"),
    "monitoring": get("/monitoring"),
    "recording": post(f"{API}/process_recording", b"x", "multipart/form-data; boundary=b"),
    "long address": get("/" + "x" * 9000),
    "endless upload": endless_upload,
    "broken-off upload": broken_off,
    "another's session": another_session,
}
# These have nothing to refuse, and do nothing.
HARMLESS = {"cancel of another", "another's session"}


def ended(name: str, http: httpx.Client) -> str:
    """How an attack ended: "refused", or what went wrong."""
    try:
        answer = ATTACKS[name](http)
    except httpx.HTTPError as error:
        return f"{name}: {type(error).__name__}"
    if answer is None:
        return "refused"
    text = answer.text
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"{name}: status {answer.status_code}"
    if "Traceback" in text or '"error": null' in text or "data: null" in text:
        return f"{name}: {text[:200]}"
    if answer.status_code < 400 and "event: error" not in text and name not in HARMLESS:
        return f"{name}: answered: {text[:200]}"
    return "refused"
