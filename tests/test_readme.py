"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo import api
from tests.fake_studio import FakeStudio
from tests.running_app import running_app
from vq.arguments import build_parser
from vq.autoencoder import VQVAE, VQVAEConfig
from vq.checkpoints import Checkpoint
from vq.priors.masked import MaskedPrior, MaskedPriorConfig

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


COMMANDS = [
    line.partition("#")[0].strip()
    for block in blocks("sh")
    for line in block.splitlines()
    if "-m vq" in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    _, _, arguments = command.partition("-m vq ")
    assert build_parser().parse_args(shlex.split(arguments)).command == arguments.split()[0]


def test_every_command_is_shown() -> None:
    shown = {command.partition("-m vq ")[2].split()[0] for command in COMMANDS}
    subparsers: Any = next(a for a in build_parser()._actions if a.dest == "command")
    assert shown == set(subparsers.choices)


def test_make_targets_and_paths_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert "LICENSE" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


def write_a_photograph_and_a_mask(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """photo.jpg and mask.png, which the examples read, (40, 56, 3) and (40, 56)."""
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    mask = np.zeros((40, 56), np.uint8)
    mask[8:20, 8:20] = 255
    Image.fromarray(photo).save(folder / "photo.png")
    (folder / "photo.png").rename(folder / "photo.jpg")  # lossless; the content decides
    Image.fromarray(mask).save(folder / "mask.png")
    return photo, mask


def test_the_api_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = next(block for block in blocks("python") if "gradio_client" in block)
    photo, mask = write_a_photograph_and_a_mask(tmp_path)
    monkeypatch.chdir(tmp_path)
    results: dict[str, Any] = {}
    with running_app(FakeStudio(), tmp_path / "gradio") as url:
        exec(compile(example.replace("http://127.0.0.1:7860", url), "README.md", "exec"), results)
    edited = np.asarray(Image.open(results["edited"]))
    assert np.array_equal(edited[mask == 0], photo[mask == 0])
    before, after = (np.array(results[name]["codes"]) for name in ("codes", "filled"))
    assert np.array_equal(before[5:], after[5:]) and not np.array_equal(before[:5], after[:5])
    assert np.array_equal(np.asarray(Image.open(results["picture"])), FakeStudio().decode(after))
    assert len(results["files"]) == len(results["maps"]) == 4


def test_the_endpoints_are_those_of_the_table() -> None:
    listed = set(re.findall(r"^\| `(/\w+)` \|", README, re.MULTILINE))
    in_code = set(re.findall(r"^    (/\w+) ", api.__doc__ or "", re.MULTILINE))
    assert listed == in_code and len(listed) == 11


def test_the_library_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = next(block for block in blocks("python") if "import vq" in block)
    autoencoder = VQVAE(VQVAEConfig(hidden=8, residual_hidden=8, num_codes=16, code_dim=4))
    prior = MaskedPrior(
        MaskedPriorConfig(num_codes=16, map_size=(8, 8), channels=8, width=16, depth=1, heads=2)
    )
    Checkpoint(autoencoder, {"masked": prior}).save(tmp_path / "checkpoints" / "scenes-128")
    photo, mask = write_a_photograph_and_a_mask(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    for number in range(4):
        edited = np.asarray(Image.open(tmp_path / f"edited-{number}.png"))
        assert np.array_equal(edited[mask == 0], photo[mask == 0])
        assert not np.array_equal(edited, photo)
