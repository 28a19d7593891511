"""The ground everything stands on: versions that agree, modules that import, walls that hold."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
LARGEST_FILE = 10_000_000  # bytes; the Hugging Face Hub wants larger ones in LFS


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Every module that the source imports, at any depth of the code; relative ones in full."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden_imports(path: Path, forbidden: tuple[str, ...]) -> list[str]:
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return sorted(
        imported
        for imported in imported_modules(path.read_text("utf-8"), package)
        if imported.split(".")[0] in forbidden
    )


def requirement_floors(lines: list[str]) -> dict[str, str]:
    """Package name to what follows it: {"torch": ">=2.10"}."""
    floors = {}
    for line in lines:
        if match := re.fullmatch(r"([A-Za-z0-9-]+)\s*((?:==|>=)[\w.]+)", line.strip()):
            floors[match[1]] = match[2]
    return floors


def front_matter() -> dict[str, object]:
    _, matter, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    loaded = yaml.safe_load(matter)
    assert isinstance(loaded, dict)
    return loaded


def test_gradio_version_is_the_same_everywhere() -> None:
    floors = requirement_floors((ROOT / "requirements.txt").read_text("utf-8").splitlines())
    assert floors["gradio"] == f"=={front_matter()['sdk_version']}"


def test_front_matter_is_what_a_space_accepts() -> None:
    matter = front_matter()
    assert matter["sdk"] == "gradio"
    assert (ROOT / str(matter["app_file"])).is_file()
    assert len(str(matter["short_description"])) <= 60  # the Hub refuses longer ones
    assert isinstance(matter["python_version"], str)  # unquoted, 3.10 would read as 3.1


def test_library_requires_what_the_app_requires() -> None:
    floors = requirement_floors((ROOT / "requirements.txt").read_text("utf-8").splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    library = requirement_floors(project["dependencies"])
    assert len(library) == len(project["dependencies"])
    assert library == {name: floors[name] for name in library}
    assert "gradio" not in library


@pytest.mark.parametrize("path", python_files("vq") + python_files("demo"), ids=module_name)
def test_module_imports(path: Path) -> None:
    if path.name != "__main__.py":  # importing that one would run it
        importlib.import_module(module_name(path))


@pytest.mark.parametrize("path", python_files("vq"), ids=module_name)
def test_library_knows_nothing_of_the_app(path: Path) -> None:
    assert forbidden_imports(path, ("demo", "app", "gradio", "gradio_client", "tests")) == []


@pytest.mark.parametrize("path", python_files("demo"), ids=module_name)
def test_only_the_studio_knows_tensors(path: Path) -> None:
    allowed = path == ROOT / "demo" / "studio.py"
    forbidden = ("app", "tests") if allowed else ("app", "tests", "torch", "torchvision")
    assert forbidden_imports(path, forbidden) == []


def test_importing_the_library_loads_no_app() -> None:
    """The same wall at run time, where an import by name would show too."""
    names = [module_name(path) for path in python_files("vq") if path.name != "__main__.py"]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({'demo', 'gradio', 'gradio_client'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_walls_can_be_broken(tmp_path: Path) -> None:
    """The checks above see through every form of import."""
    source = "import demo.text\ndef late():\n    from ..demo import studio\n    import torch as t\n"
    found = set(imported_modules(source, "vq.priors"))
    assert {"demo.text", "torch"} <= found
    assert "vq.demo.studio" in found  # relative: inside vq, and so no breach
    assert set(imported_modules("from . import a", "vq")) == {"vq", "vq.a"}
    assert set(imported_modules("from .b import c", "vq")) == {"vq.b", "vq.b.c"}


def files_of_the_project() -> Iterator[Path]:
    """Tracked and new files where git answers; else everything outside hidden folders."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        yield from (ROOT / name for name in names if name and (ROOT / name).is_file())
        return
    for path in ROOT.rglob("*"):
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(ROOT).parts):
            yield path


def test_no_file_is_too_large_for_the_hub() -> None:
    sizes = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in files_of_the_project()
        if path.is_symlink() is False
    }
    assert "README.md" in sizes
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}


def test_ci_runs_the_readme_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-1] == "make test"
    assert "make test" in (ROOT / "README.md").read_text("utf-8")
