"""The tree is what a Space takes, and the check of it sees what a Space would not take."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests import space_check
from tests.loopback_hub import GOOD_TOKEN, LoopbackHub


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space")
    space_check.copy(space_check.ROOT, folder)
    return folder


def test_a_space_would_take_the_tree(tree: Path) -> None:
    assert space_check.problems(tree) == []


@pytest.mark.parametrize("zerogpu", [False, True], ids=["cpu", "zerogpu"])
def test_the_app_starts_in_it_without_a_network(tree: Path, zerogpu: bool) -> None:
    assert space_check.starts(tree, zerogpu) == []


def edited(name: str, pattern: str, text: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        before = (folder / name).read_text("utf-8")
        after = re.sub(pattern, text, before, count=1, flags=re.MULTILINE)
        assert after != before
        (folder / name).write_text(after, "utf-8")

    return edit


def matter(pattern: str, text: str) -> Callable[[Path], None]:
    return edited("README.md", pattern, text)


def added(line: str) -> Callable[[Path], None]:
    return edited("requirements.txt", r"\Z", f"\n{line}\n")


def large(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(bytes(10_000_001))


def link(folder: Path) -> None:
    (folder / "link").symlink_to("README.md")


WRONG: list[tuple[Callable[[Path], None], str]] = [
    (matter("^title: .*\n", ""), "front matter lacks title"),
    (matter("^emoji: .*", "emoji: x"), "emoji must be an emoji, not 'x'"),
    (matter("^colorFrom: .*", "colorFrom: teal"), "colorFrom must be one of blue, gray, green"),
    (matter("^sdk: .*", "sdk: docker"), "sdk must be gradio"),
    (matter("^sdk_version: .*", "sdk_version: 6.30.0"), "must have gradio==6.30.0"),
    (matter("^sdk_version: .*", "sdk_version: latest"), "sdk_version must be a version"),
    (matter("^python_version: .*", "python_version: 3.1"), "python_version must be a text"),
    (matter("^python_version: .*", 'python_version: "3.10"'), "is not >=3.11"),
    (matter("^python_version: .*", 'python_version: "3.14"'), "ZeroGPU has 3.10.13, 3.12.12"),
    (matter("^short_description: .*", f"short_description: {'x' * 61}"), "1 to 60 characters"),
    (matter("^app_file: .*", "app_file: main.py"), "there is no main.py"),
    (matter("^header: .*", "header: none"), "header must be mini or default"),
    (matter("^pinned: .*", "pinned: maybe"), "pinned must be true or false"),
    (matter("^pinned: .*", "suggested_hardware: abacus"), "a flavour of the Hub's"),
    (matter("^pinned: .*", "startup_duration_timeout: soon"), "as 30m or 1h"),
    (matter("^pinned: .*", "storage: large"), "storage is no field of a Gradio Space"),
    (matter("^---\n", ""), "README.md has no front matter"),
    (matter("^title: .*", "title: [a"), "is not YAML"),
    (added("gradio==5.0.0"), "requirements.txt must have gradio=="),
    (added("not a package"), "'not a package' is not the name"),
    (added("x @ https://example.org/x.whl"), "x comes from an address"),
    (added("no-such-package-anywhere"), "no package no-such-package-anywhere"),
    (added("torch==2.13.0"), "torch==2.13.0: ZeroGPU has 2.10.0, 2.11.0"),
    (added("numpy>=99"), "numpy>=99, but tested with"),
    (large, "weights.safetensors has 10.0 MB"),
    (link, "link is a link"),
]


@pytest.mark.parametrize(("spoil", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_named(spoil: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    for name in ("README.md", "requirements.txt", "pyproject.toml", "app.py"):
        (tmp_path / name).write_bytes((space_check.ROOT / name).read_bytes())
    assert space_check.problems(tmp_path) == []
    spoil(tmp_path)
    found = space_check.problems(tmp_path)
    assert [one for one in found if told in one], found


def test_an_app_that_needs_a_network_or_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\napp_file: app.py\n---\n")
    (tmp_path / "app.py").write_text(
        "import socket\n"
        "try: socket.create_connection(('example.org', 80))\n"
        "except OSError: pass\n"
        "raise RuntimeError('broken')\n"
    )
    asked, failed = space_check.starts(tmp_path)
    assert "asks for example.org" in asked
    assert "does not start" in failed and "RuntimeError: broken" in failed


def test_a_push_brings_the_files_and_takes_away_others(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    space_check.copy(space_check.ROOT, folder)
    for name in space_check.pushed()[20:]:
        if not name.startswith("app"):
            (folder / name).unlink()
    with LoopbackHub() as hub:
        hub.add("me/codebrush", {"README.md": b"old", "left.py": b"over"})
        space_check.push(folder, "me/codebrush", HfApi(hub.url, GOOD_TOKEN))
        repo = hub.repos["me/codebrush"]
        files = repo.commits[repo.branches["main"]]
        ours = {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }
        assert files == ours and "app.py" in files


def test_what_is_pushed_is_what_git_knows(capsys: pytest.CaptureFixture[str]) -> None:
    names = space_check.pushed()
    assert {"app.py", "README.md", "requirements.txt", "demo/page.py"} <= set(names)
    assert not [name for name in names if name.startswith((".venv", "runs/", "data/"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["space_check", "--list"])
        space_check.main()
    assert len(capsys.readouterr().out.splitlines()) == len(names) + 1
