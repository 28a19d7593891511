"""The process that talks to the Hub: `python -m vq.hub.client`, started by `vq.hub.process`.

The real huggingface_hub client runs here, where nothing that a Hub does can hurt: whoever started
the process kills it at the deadline, and it ends by itself when its standard input does, so that
no orphan goes on downloading. One JSON object a line:

    in    {"verb": "info", "repo_id": ..., "revision": ...}
          {"verb": "get", "repo_id": ..., "commit": ..., "files": {path: [size, kind, digest]},
           "folder": ...}
          {"verb": "search", "query": ..., "tags": [...], "limit": ...}
    out   {"bytes": n}, now and then: how many came for this verb so far
          {"answer": ...} or {"error": reason, "values": {...}}, see `vq.hub.errors`
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, hf_hub_download, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

MAX_ATTEMPTS = 3  # at the same address
MAX_REFUSED = 2  # connections, before it is said that there is no Hub
MAX_WAIT = 3.0  # seconds of Retry-After that are waited for
MAX_ANSWER = 8_000_000  # bytes of what is no file: a listing, a page of search results
MAX_EXTRA = 1_000_000  # bytes above the sizes listed: error pages, what a cut file sent twice
REPORT_EVERY = 0.1  # seconds


class Stop(Exception):
    """Nothing more comes of it: the reason and its values, as `vq.hub.errors` has them."""

    def __init__(self, reason: str, **values: Any) -> None:
        super().__init__(reason)
        self.reason, self.values = reason, values


class Watch:
    """Hooks on every request: counts what comes, and stops what would be retried for ever."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self.begin(MAX_ANSWER)

    def client(self) -> httpx2.Client:
        """What huggingface_hub makes its requests with; after a failure it asks for a new one."""
        hooks = {"request": [self.before], "response": [self.after]}
        return Client(self, event_hooks=hooks, follow_redirects=True, timeout=None)

    def begin(self, allowance: int) -> None:
        """Start over, for another verb that may receive so many bytes."""
        self.allowance, self.received, self.reported = allowance, 0, 0.0
        self.refused = 0  # connections
        self.attempts: Counter[tuple[str, str]] = Counter()

    def before(self, request: httpx2.Request) -> None:
        key = request.method, str(request.url)
        if self.attempts[key] == MAX_ATTEMPTS:
            reason, values = self.outcomes[key]
            raise Stop(reason, **values)
        self.attempts[key] += 1
        self.outcomes[key] = "hang", {}

    def after(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status == 429:
            wait = _retry_after(response)
            if wait is None or wait > MAX_WAIT:
                raise Stop("rate_limited", wait="a few" if wait is None else round(wait))
            outcome: tuple[str, dict[str, Any]] = "rate_limited", {"wait": round(wait)}
        elif status >= 500:
            outcome = "server_error", {"status": status}
        elif response.is_redirect:
            outcome = "redirects", {}
        else:
            outcome = "truncated", {}  # why else would it be asked for again?
        self.outcomes[response.request.method, str(response.request.url)] = outcome
        stream = response.stream
        assert isinstance(stream, httpx2.SyncByteStream)
        response.stream = Counted(stream, self)

    def count(self, chunk: bytes) -> None:
        self.received += len(chunk)
        if self.received > self.allowance:
            raise Stop("too_large", size=self.received, limit=self.allowance)
        if time.monotonic() - self.reported > REPORT_EVERY:
            self.reported = time.monotonic()
            say({"bytes": self.received})


class Client(httpx2.Client):
    def __init__(self, watch: Watch, **options: Any) -> None:
        super().__init__(**options)
        self.watch = watch

    def send(self, *arguments: Any, **options: Any) -> httpx2.Response:
        try:
            try:
                return super().send(*arguments, **options)
            except httpx2.RemoteProtocolError:
                # A connection that was kept open had meanwhile been closed by the other side.
                return super().send(*arguments, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            self.watch.refused += 1
            if self.watch.refused == MAX_REFUSED:
                raise Stop("unreachable") from None
            raise


class Counted(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, watch: Watch) -> None:
        self.stream, self.watch = stream, watch

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            self.watch.count(chunk)
            yield chunk

    def close(self) -> None:
        self.stream.close()


def info(api: HfApi, repo_id: str, revision: str) -> dict[str, Any]:
    """The repo at a revision: its commit, what its page says, and every file."""
    found = api.model_info(repo_id, revision=revision, files_metadata=True, timeout=10)
    files = {}
    for file in found.siblings or []:
        digest = ("sha256", file.lfs.sha256) if file.lfs else ("git", file.blob_id)
        size = file.lfs.size if file.lfs else file.size
        files[file.rfilename] = [size, *digest]
    return {"commit": found.sha, "files": files, **_summary(found)}


def get(
    api: HfApi, repo_id: str, commit: str, files: dict[str, tuple[int, str, str]], folder: str
) -> None:
    """Bring files into a folder, each exactly as it was listed."""
    for name, (size, kind, digest) in files.items():
        try:
            path = hf_hub_download(
                repo_id, name, revision=commit, local_dir=folder, token=api.token
            )
        except Exception as error:
            reason, values = explain(error)
            if reason == "too_large":
                reason = "corrupt"  # more comes than was listed
            raise Stop(reason, **{"file": name, **values}) from None
        if Path(path).stat().st_size != size or digest_of(Path(path), kind) != digest:
            raise Stop("corrupt", file=name)


def search(api: HfApi, query: str, tags: list[str], limit: int) -> list[dict[str, Any]]:
    """Public repos, those most used first."""
    found = api.list_models(search=query or None, filter=tags, sort="downloads", limit=limit)
    return [{"repo_id": model.id, **_summary(model)} for model in found]


VERBS: dict[str, Callable[..., Any]] = {"info": info, "get": get, "search": search}


def digest_of(path: Path, kind: str) -> str:
    """What the Hub lists: SHA-256 of a large file, the SHA-1 of git's blob of another."""
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if kind != "sha256":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def explain(error: BaseException) -> tuple[str, dict[str, Any]]:
    """The reason and its values for whatever the client raised."""
    match error:
        case Stop():
            return error.reason, error.values
        case GatedRepoError():
            return "gated", {}
        case RepositoryNotFoundError():
            return "private" if error.response.status_code == 401 else "missing", {}
        case RevisionNotFoundError():
            return "no_revision", {}
        case RemoteEntryNotFoundError():
            return "no_file", {}
        case HfHubHTTPError() if error.response.status_code == 429:
            return "rate_limited", {"wait": "a few"}
        case HfHubHTTPError() if error.response.status_code >= 500:
            return "server_error", {"status": error.response.status_code}
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return "denied", {}
        case LocalEntryNotFoundError() if error.__cause__ is not None:
            return explain(error.__cause__)
        case httpx2.TooManyRedirects():
            return "redirects", {}
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return "unreachable", {}
        case httpx2.TimeoutException():
            return "hang", {}
        case httpx2.RemoteProtocolError() | httpx2.ReadError():
            return "truncated", {}
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "no_space", {}
        case OSError(errno=None):  # "Consistency check failed": another size than announced
            return "truncated", {}
    return "failed", {"cause": f"{type(error).__name__}: {error}"[:200]}


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    token = sys.stdin.readline().strip()
    threading.Thread(target=listen, daemon=True).start()
    watch = Watch()
    set_client_factory(watch.client)
    api = HfApi(token=token or False, library_name="codebrush")
    while True:
        arguments = json.loads(requests.get())
        verb = arguments.pop("verb")
        sizes = [size for size, _, _ in arguments.get("files", {}).values()]
        watch.begin(sum(sizes) + MAX_EXTRA if sizes else MAX_ANSWER)
        try:
            say({"answer": VERBS[verb](api, **arguments)})
        except Exception as error:
            reason, values = explain(error)
            say({"error": reason, "values": values})


def _summary(model: Any) -> dict[str, Any]:
    card = model.card_data.to_dict() if model.card_data else {}
    tags = [tag for tag in model.tags or [] if isinstance(tag, str)]
    licences = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    return {
        "gated": bool(model.gated),
        "private": bool(model.private),
        "tags": tags[:50],
        "license": str(card.get("license") or (licences or [""])[0])[:100],
        "downloads": model.downloads or 0,
        "likes": model.likes or 0,
        "modified": model.last_modified.isoformat() if model.last_modified else "",
    }


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


if __name__ == "__main__":
    main()
