"""python -m tests.space_check: the tree as a Hugging Face Space would see it, before it is pushed.

    python -m tests.space_check                     # what is wrong with it, and whether it starts
    python -m tests.space_check --list              # exactly the files that would be pushed
    python -m tests.space_check --push OWNER/NAME   # push them, with the token of `hf auth login`

What is pushed are the files that git knows, as they are. They are copied to a folder of their own
and started there as a Space would, without a network.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, SpaceHardware
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LARGEST_FILE = 10_000_000  # bytes; the Hub wants larger ones in LFS
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
# Of https://huggingface.co/docs/hub/spaces-config-reference, those that a Gradio Space has.
FIELDS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("app_file", "suggested_hardware", "fullWidth", "header", "short_description", "thumbnail"),
    *("models", "datasets", "tags", "pinned", "license", "preload_from_hub", "disable_embedding"),
    *("startup_duration_timeout", "custom_headers", "hf_oauth"),
}
NEEDED = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "license"}
# Of https://huggingface.co/docs/hub/spaces-zerogpu: what runs there must be among these.
ZERO_GPU_PYTHON = {"3.10.13", "3.12.12"}
ZERO_GPU_TORCH = {"2.8.0", "2.9.1", "2.10.0", "2.11.0"}
# What a Space has before it installs requirements.txt; and one on ZeroGPU, with a stand-in for the
# package that it brings.
STARTED_WITH = {"SYSTEM": "spaces", "SPACE_ID": "owner/codebrush", "SPACE_HOST": "127.0.0.1"}
ZERO_GPU = {"SPACES_ZERO_GPU": "true"}
STAND_IN = ROOT / "tests" / "zerogpu"
NO_NETWORK = """
import os, socket
resolve, connect = socket.getaddrinfo, socket.socket.connect
def here(host):
    if host not in ("127.0.0.1", "localhost", "0.0.0.0", "::1", None, ""):
        with open(os.environ["ASKED_FOR"], "a") as file:
            file.write(f"{host}\\n")
        raise OSError(f"there is no network, and {host} was asked for")
def getaddrinfo(host, *more, **named):
    here(host.decode() if isinstance(host, bytes) else host)
    return resolve(host, *more, **named)
def connected(self, address):
    here(address[0] if isinstance(address, tuple) else None)
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = getaddrinfo, connected
"""


def pushed(root: Path = ROOT) -> list[str]:
    """The files that would be pushed: those that git knows."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return sorted(name for name in done.stdout.decode().split("\0") if name)


def copy(root: Path, folder: Path) -> None:
    for name in pushed(root):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)


def problems(folder: Path) -> list[str]:
    """Everything that the Hub or a Space would object to in a folder as it would be pushed."""
    found = [*_front_matter(folder), *_requirements(folder)]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_symlink():
            found.append(f"{name} is a link, which the Hub does not keep")
        elif path.is_file() and (size := path.stat().st_size) > LARGEST_FILE:
            found.append(f"{name} has {size / 1e6:.1f} MB; above 10 MB it must be in LFS")
    return found


def front_matter(folder: Path) -> dict[str, Any]:
    """Raises ValueError where there is none."""
    text = (folder / "README.md").read_text("utf-8") if (folder / "README.md").exists() else ""
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    try:
        loaded = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError as error:
        raise ValueError(f"README.md: the front matter is not YAML: {error}") from None
    if not isinstance(loaded, dict):
        raise ValueError("README.md has no front matter")
    return loaded


def _front_matter(folder: Path) -> list[str]:
    try:
        matter = front_matter(folder)
    except ValueError as error:
        return [str(error)]
    found = [f"front matter lacks {name}" for name in sorted(NEEDED - matter.keys())]
    found += [f"{name} is no field of a Gradio Space" for name in sorted(matter.keys() - FIELDS)]

    def wrong(name: str, good: bool, what: str) -> None:
        if name in matter and not good:
            found.append(f"{name} must be {what}, not {matter[name]!r}")

    def text(name: str) -> str:
        value = matter.get(name)
        return value if isinstance(value, str) else ""

    wrong("title", bool(text("title")), "a text")
    wrong("emoji", bool(text("emoji")) and not text("emoji").isascii(), "an emoji")
    for name in ("colorFrom", "colorTo"):
        wrong(name, text(name) in COLOURS, f"one of {', '.join(sorted(COLOURS))}")
    wrong("sdk", text("sdk") == "gradio", "gradio")
    wrong("sdk_version", bool(re.fullmatch(r"\d+\.\d+\.\d+", text("sdk_version"))), "a version")
    wrong("short_description", 0 < len(text("short_description")) <= 60, "1 to 60 characters")
    wrong("header", text("header") in ("mini", "default"), "mini or default")
    wrong("license", bool(re.fullmatch(r"[a-z0-9.-]+", text("license"))), "a licence's id")
    for name in ("fullWidth", "pinned", "disable_embedding"):
        wrong(name, isinstance(matter.get(name), bool), "true or false")
    hardware = {one.value for one in SpaceHardware}
    wrong("suggested_hardware", text("suggested_hardware") in hardware, "a flavour of the Hub's")
    timeout = text("startup_duration_timeout")
    wrong("startup_duration_timeout", bool(re.fullmatch(r"\d+[smh]", timeout)), "as 30m or 1h")
    tags = matter.get("tags")
    good = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    wrong("tags", good, "a list of texts")
    if "app_file" in matter and not (folder / text("app_file")).is_file():
        found.append(f"app_file: there is no {matter['app_file']}")
    return [*found, *_python(folder, matter)]


def _python(folder: Path, matter: dict[str, Any]) -> list[str]:
    version = matter.get("python_version")
    if not isinstance(version, str) or not re.fullmatch(r"3\.\d+(\.\d+)?", version):
        return [f"python_version must be a text as '3.12' or '3.12.12', not {version!r}"]
    found = []
    if not any(f"{known}.".startswith(f"{version}.") for known in ZERO_GPU_PYTHON):
        found.append(f"python_version {version}: ZeroGPU has {', '.join(sorted(ZERO_GPU_PYTHON))}")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    if Version(version) not in SpecifierSet(project["requires-python"]):
        found.append(f"python_version {version} is not {project['requires-python']}")
    return found


def _requirements(folder: Path) -> list[str]:
    if not (folder / "requirements.txt").exists():
        return ["there is no requirements.txt"]
    found, asked = [], {}
    for line in (folder / "requirements.txt").read_text("utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        try:
            one = Requirement(line)
        except InvalidRequirement:
            found.append(f"requirements.txt: {line!r} is not the name of a package with a version")
            continue
        if one.marker is not None and not one.marker.evaluate():
            continue  # not for this Python
        asked[one.name] = one
        if one.url:
            found.append(f"requirements.txt: {one.name} comes from an address")
        try:
            installed = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            found.append(f"requirements.txt: no package {one.name} is installed here to tell by")
            continue
        if installed not in one.specifier:
            found.append(f"requirements.txt: {one}, but tested with {installed}")
    try:
        version = front_matter(folder).get("sdk_version")
    except ValueError:
        return found
    if "gradio" not in asked or str(asked["gradio"].specifier) != f"=={version}":
        found.append(f"requirements.txt must have gradio=={version}, as sdk_version says")
    torch = asked.get("torch")
    if torch and not any(version in torch.specifier for version in ZERO_GPU_TORCH):
        found.append(f"{torch}: ZeroGPU has {', '.join(sorted(ZERO_GPU_TORCH))}")
    return found


def starts(folder: Path, zerogpu: bool = False, patience: float = 180.0) -> list[str]:
    """Run the folder's app as a Space without a network would; what goes wrong."""
    with tempfile.TemporaryDirectory() as place, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        own = Path(place)
        (own / "sitecustomize.py").write_text(NO_NETWORK)
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG")},
            **STARTED_WITH,
            "HOME": place,
            **(ZERO_GPU if zerogpu else {}),
            "PYTHONPATH": os.pathsep.join([place, str(STAND_IN)] if zerogpu else [place]),
            "ASKED_FOR": str(own / "asked"),
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(own / "gradio"),
        }
        command = [sys.executable, str(front_matter(folder)["app_file"])]
        with open(own / "log", "w") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            page = _page(f"http://127.0.0.1:{port}/", process, patience)
        finally:
            process.terminate()
            process.wait(60)
        asked = (own / "asked").read_text().split() if (own / "asked").exists() else []
        found = [f"it asks for {host}, without which it must start" for host in sorted(set(asked))]
        if page is None:
            found.append(f"it does not start: {(own / 'log').read_text()[-2000:]}")
        return found


def _page(url: str, process: subprocess.Popen[bytes], patience: float) -> bytes | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < until:
        try:
            page: bytes = opener.open(url, timeout=10).read()
            return page
        except OSError:
            time.sleep(0.2)
    return None


def push(folder: Path, repo_id: str, api: HfApi) -> str:
    """Push a folder to a Space, made where there is none; returns the commit's address."""
    api.create_repo(repo_id, repo_type="space", space_sdk="gradio", exist_ok=True)
    done = api.upload_folder(
        repo_id=repo_id,
        repo_type="space",
        folder_path=folder,
        commit_message="Codebrush",
        delete_patterns="*",
    )
    return str(done.commit_url)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.space_check")
    parser.add_argument("--list", action="store_true", help="list what would be pushed")
    parser.add_argument("--push", metavar="OWNER/NAME", help="push it, if nothing is wrong")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy(ROOT, folder)
        if arguments.list:
            files = [folder / name for name in pushed(ROOT)]
            for path in files:
                print(f"{path.stat().st_size:>10,}  {path.relative_to(folder)}")
            print(f"{sum(path.stat().st_size for path in files):>10,}  {len(files)} files")
            return
        found = problems(folder) or starts(folder) or starts(folder, zerogpu=True)
        if found:
            sys.exit("\n".join(found))
        print("A Space would take it, and it starts there, also on ZeroGPU.")
        if arguments.push:
            print(push(folder, arguments.push, HfApi()))


if __name__ == "__main__":
    main()
