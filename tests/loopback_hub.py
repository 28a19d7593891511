"""A Hub of our own on the loopback interface, for the real huggingface_hub client, with faults.

    with LoopbackHub() as hub:
        hub.add("owner/name", {"README.md": b"..."})
        hub.plant("GET /owner/name/resolve", hang)

It keeps repos in memory, each with its commits, and notes every request. A fault is a function that
gets the handler and the reply as it should be, and answers otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

Files = dict[str, bytes]
GOOD_TOKEN = "hf_loopback"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Repo:
    """A model's repo, or a Space's; files in Git LFS are those that the Hub's own rules name."""

    repo_id: str
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    downloads: int = 0

    def commit(self, files: Files, branch: str = "main") -> str:
        what = json.dumps([self.repo_id, branch, len(self.commits)]).encode()
        sha = hashlib.sha1(what + b"".join(map(git_sha1, files.values()))).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        known = self.branches.get(revision, revision)
        return known if known in self.commits else None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


Fault = Callable[["Handler", Reply], None]


class LoopbackHub:
    """Runs from birth; `url` is for HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.faults: list[tuple[re.Pattern[str], Fault, list[int]]] = []
        self.closing = threading.Event()
        handler = type("HandlerOfThisHub", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self) -> LoopbackHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo_id: str, files: Files, branch: str = "main", **fields: Any) -> Repo:
        """A repo, or another commit of it."""
        repo = self.repos.setdefault(repo_id, Repo(repo_id))
        for name, value in fields.items():
            setattr(repo, name, value)
        repo.commit(files, branch)
        return repo

    def plant(self, where: str, fault: Fault, times: int = 10**6) -> None:
        """The next so many requests whose "METHOD /path" begins as the pattern meet the fault."""
        self.faults.append((re.compile(where), fault, [times]))

    def fault_for(self, request: Request) -> Fault | None:
        for pattern, fault, left in self.faults:
            if left[0] and pattern.match(f"{request.method} {request.path}"):
                left[0] -= 1
                return fault
        return None

    def paths(self, method: str = "") -> list[str]:
        return [r.path for r in self.requests if r.method == method or not method]


# Faults


def status(code: int, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, reply: handler.send(Reply(code, b'{"error": "planted"}', named))


def hang(handler: Handler, reply: Reply) -> None:
    handler.hub.closing.wait(60)
    handler.close_connection = True


def hang_up(handler: Handler, reply: Reply) -> None:
    """Not a word, as where a connection was kept open for too long."""
    handler.close_connection = True


def drip(handler: Handler, reply: Reply) -> None:
    """The right bytes, one at a time."""
    handler.send_head(reply)
    try:
        for i in range(len(reply.body)):
            handler.wfile.write(reply.body[i : i + 1])
            handler.wfile.flush()
            if handler.hub.closing.wait(0.5):
                break
    except OSError:
        pass  # the client was killed
    handler.close_connection = True


def cut(handler: Handler, reply: Reply) -> None:
    """Announces all, sends half, hangs up."""
    handler.send_head(reply)
    handler.wfile.write(reply.body[: len(reply.body) // 2])
    handler.close_connection = True


def shorter(handler: Handler, reply: Reply) -> None:
    """Announces and sends half."""
    handler.send(replace(reply, body=reply.body[: len(reply.body) // 2]))


def altered(handler: Handler, reply: Reply) -> None:
    """One bit is not what it was; the size is."""
    body = bytearray(reply.body)
    if body:
        body[len(body) // 2] ^= 1
    handler.send(replace(reply, body=bytes(body)))


def endless(handler: Handler, reply: Reply) -> None:
    """More and more, of a length that is not said."""
    handler.send_response(200)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    try:
        while not handler.hub.closing.is_set():
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        pass  # the client has had enough


def in_circles(handler: Handler, reply: Reply) -> None:
    other = "x" if handler.path.endswith("&y") else "y"
    path = re.sub(r"[?&][xy]$", "", handler.path)
    handler.send(Reply(302, b"", {"Location": f"{path}{'&' if '?' in path else '?'}{other}"}))


def missing_file(handler: Handler, reply: Reply) -> None:
    handler.send(error(404, "EntryNotFound"))


# The Hub itself


class Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_GET

    def answer(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), parse_qs(parts.query), headers)
        self.hub.requests.append(request)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        reply = self.route(request, body)
        fault = self.hub.fault_for(request)
        try:
            fault(self, reply) if fault else self.send(reply)
        except OSError:
            self.close_connection = True

    def send(self, reply: Reply) -> None:
        self.send_head(reply)
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def route(self, request: Request, body: bytes) -> Reply:
        path = request.path
        user = request.headers.get("authorization") == f"Bearer {GOOD_TOKEN}"
        if path == "/api/models":
            return json_reply(search(self.hub, request.query))
        if path == "/api/whoami-v2":
            return (
                json_reply({"type": "user", "name": "me", "orgs": []}) if user else error(401, "")
            )
        if path == "/api/validate-yaml":
            return json_reply({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return create(self.hub, json.loads(body)) if user else error(401, "")
        match = re.fullmatch(r"/(?:api/(?:models|spaces)/|spaces/)?([\w.-]+/[\w.-]+)(/.*)?", path)
        repo = self.hub.repos.get(match[1]) if match else None
        if match is None or repo is None:
            return error(404 if user else 401, "RepoNotFound")
        if repo.private and not user:
            return error(401, "RepoNotFound")
        return of_repo(repo, match[2] or "", request, body, user)


def of_repo(repo: Repo, rest: str, request: Request, body: bytes, user: bool) -> Reply:
    for pattern, action in ROUTES:
        if match := re.fullmatch(pattern, rest):
            revision = match.groupdict().get("revision") or "main"
            commit = repo.resolve("main" if action is create_branch else revision)
            if commit is None:
                return error(404, "RevisionNotFound")
            if action is resolve:
                if repo.gated and not user:
                    return error(401, "GatedRepo")
                return resolve(repo, commit, match["file"], request)
            if action is not model_info and not user:
                return error(401, "")
            return action(repo, commit, body, revision)
    return error(404, "")


def model_info(repo: Repo, commit: str, body: bytes, revision: str) -> Reply:
    return json_reply(described(repo, commit))


def preupload(repo: Repo, commit: str, body: bytes, revision: str) -> Reply:
    files = [
        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
        for f in json.loads(body)["files"]
    ]
    return json_reply({"files": files})


def commit_files(repo: Repo, commit: str, body: bytes, revision: str) -> Reply:
    files = dict(repo.commits[commit])
    for line in map(json.loads, body.splitlines()):
        if line["key"] == "file":
            files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        elif line["key"] == "deletedFile":
            del files[line["value"]["path"]]
    sha = repo.commit(files, revision)
    # The client takes this apart, and knows only the hosts that were set when it was imported.
    url = f"https://huggingface.co/{repo.repo_id}/commit/{sha}"
    return json_reply({"commitUrl": url, "commitOid": sha})


def resolve(repo: Repo, commit: str, name: str, request: Request) -> Reply:
    files = repo.commits[commit]
    if name not in files:
        return error(404, "EntryNotFound")
    data = files[name]
    digest = hashlib.sha256(data).hexdigest() if is_lfs(name) else git_sha1(data).hex()
    headers = {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
    if is_lfs(name):
        headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(data))}
    if match := re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", "")):
        start = int(match[1])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Reply(206, data[start:], headers)
    return Reply(200, data, headers)


def tree(repo: Repo, commit: str, body: bytes, revision: str) -> Reply:
    files = repo.commits[commit].items()
    return json_reply(
        [
            {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data).hex()}
            for name, data in files
        ]
    )


def create_branch(repo: Repo, commit: str, body: bytes, revision: str) -> Reply:
    if revision in repo.branches:
        return error(409, "")
    repo.branches[revision] = repo.branches["main"]
    return json_reply({})


ROUTES: list[tuple[str, Callable[..., Reply]]] = [
    (r"/resolve/(?P<revision>[^/]+)/(?P<file>.+)", resolve),
    (r"/branch/(?P<revision>.+)", create_branch),
    (r"/preupload/(?P<revision>.+)", preupload),
    (r"/commit/(?P<revision>.+)", commit_files),
    (r"/tree/(?P<revision>.+)", tree),
    (r"(?:/revision/(?P<revision>.+))?", model_info),
]


def create(hub: LoopbackHub, asked: dict[str, Any]) -> Reply:
    repo_id = f"{asked.get('organization') or 'me'}/{asked['name']}"
    answer = {"url": f"{hub.url}/{repo_id}", "name": repo_id, "id": "0"}
    if repo_id in hub.repos:
        return Reply(409, json.dumps({"error": "exists", **answer}).encode())
    private = bool(asked.get("private")) or asked.get("visibility") == "private"
    hub.add(repo_id, {}, private=private)
    return json_reply(answer)


def search(hub: LoopbackHub, query: dict[str, list[str]]) -> list[dict[str, Any]]:
    found = []
    for repo in sorted(hub.repos.values(), key=lambda repo: -repo.downloads):
        model = described(repo, repo.branches["main"])
        wanted = query.get("search", [""])[0].lower() in repo.repo_id.lower()
        if wanted and not repo.private and set(query.get("filter", [])) <= set(model["tags"]):
            found.append(model)
    return found[: int(query.get("limit", ["1000"])[0])]


def described(repo: Repo, commit: str) -> dict[str, Any]:
    files = repo.commits[commit]
    match = re.match(rb"---\n(.*?)\n---", files.get("README.md", b""), re.DOTALL)
    try:
        card = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError:
        card = {}
    library = [card["library_name"]] if "library_name" in card else []
    licence = [f"license:{card['license']}"] if "license" in card else []
    siblings = []
    for name, data in files.items():
        entry: dict[str, Any] = {"rfilename": name, "size": len(data)}
        entry["blobId"] = git_sha1(data).hex()
        if is_lfs(name):
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 134}
        siblings.append(entry)
    return {
        "_id": "0" * 24,
        "id": repo.repo_id,
        "modelId": repo.repo_id,
        "author": repo.repo_id.partition("/")[0],
        "sha": commit,
        "lastModified": "2026-11-22T08:00:00.000Z",
        "createdAt": "2026-11-22T08:00:00.000Z",
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "downloads": repo.downloads,
        "likes": 3,
        "tags": [*card.get("tags", []), *library, *licence],
        "cardData": card,
        "siblings": siblings,
        "spaces": [],
    }


def is_lfs(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".jpg"))


def git_sha1(data: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).digest()


def json_reply(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def error(code: int, name: str) -> Reply:
    headers = {"X-Error-Code": name} if name else {}
    return Reply(code, b'{"error": "an error"}', headers)
