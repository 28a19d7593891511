"""What keeps a public server safe and can be told from the source, or from the page as built."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where visitors' requests go. Training may set the global seed: nobody else is served then.
SERVING = [*(ROOT / "demo").rglob("*.py"), *(ROOT / "vq").glob("*.py"), ROOT / "app.py"]
SERVING += [ROOT / "vq" / "priors" / name for name in ("masked.py", "pixelcnn.py")]
TRAINING = {"stages.py", "training.py", "objectives.py"}
# Versions without known holes.
FLOORS = {
    "gradio": "6.31",
    "pillow": "12.3",
    "starlette": "1.3.1",
    "python-multipart": "0.0.31",
    "torch": "2.10",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(source: str) -> Iterator[str]:
    """The full name of everything that is called: `torch.manual_seed`, `pickle.loads`, ..."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield ast.unparse(node.func)


def unsafe(source: str) -> set[str]:
    """Calls that run what is in a file, and imports of modules that do."""
    modules = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
    tree = ast.parse(source)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    called = {name for name in calls(source) if name in ("torch.load", "eval", "exec")}
    pickled = {"allow_pickle"} if re.search(r"allow_pickle\s*=\s*True", source) else set()
    return {name for name in imported if name.split(".")[0] in modules} | called | pickled


def shared_randomness(source: str) -> set[str]:
    """Calls that set or use a random state which all threads share."""
    own = {"np.random.default_rng", "random.Random", "torch.random.fork_rng"}
    shared = r"(torch\.(cuda\.)?manual_seed(_all)?|torch\.seed|np\.random\.\w+|random\.\w+)"
    return {name for name in calls(source) if re.fullmatch(shared, name)} - own


@pytest.mark.parametrize(
    "path", sorted((ROOT / "vq").rglob("*.py")) + sorted((ROOT / "demo").rglob("*.py")), ids=name
)
def test_no_file_can_run_anything(path: Path) -> None:
    assert unsafe(path.read_text("utf-8")) == set()


@pytest.mark.parametrize("path", [p for p in SERVING if p.name not in TRAINING], ids=name)
def test_no_visitor_draws_from_anothers_randomness(path: Path) -> None:
    assert shared_randomness(path.read_text("utf-8")) == set()


def test_the_looks_at_the_source_find_what_they_look_for() -> None:
    assert unsafe("import pickle\nfrom joblib import load\ntorch.load(x)") == {
        *("pickle", "joblib", "torch.load")
    }
    assert unsafe("np.load(f, allow_pickle=True)") == {"allow_pickle"}
    assert shared_randomness("torch.manual_seed(1)\nnp.random.rand(3)\nrandom.random()") == {
        *("torch.manual_seed", "np.random.rand", "random.random")
    }
    assert shared_randomness("torch.Generator().manual_seed(1)\nnp.random.default_rng(1)") == set()


def test_the_page_has_nothing_that_a_request_can_make_grow() -> None:
    """`gr.ImageEditor` keeps what it is sent, and `/component_server` is closed to all."""
    import gradio as gr

    from demo import page
    from demo.shelf import Shelf
    from tests.fake_studio import FakeStudio

    blocks = page.build(Shelf.of(FakeStudio())).blocks.values()
    assert not [block for block in blocks if isinstance(block, gr.ImageEditor)]
    assert not [block for block in blocks if getattr(block, "server_fns", ())]


def test_versions_have_no_known_holes() -> None:
    asked = (ROOT / "requirements.txt").read_text("utf-8")
    floors = dict(re.findall(r"^([\w-]+)[=>]=([\d.]+)", asked, re.MULTILINE))

    def number(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    assert {name for name, low in FLOORS.items() if number(floors[name]) < number(low)} == set()


def test_nobody_is_told_that_the_app_runs() -> None:
    """Gradio and huggingface_hub read this when they are imported, so it must be set before."""
    before, _, after = (ROOT / "app.py").read_text("utf-8").partition("from demo import")
    assert 'os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"' in before
    assert 'os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"' in before
    assert after and "gradio" not in re.findall(r"^(?:from|import) (\w+)", before, re.MULTILINE)
