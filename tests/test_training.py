"""Training: budgets, exact resumption after a kill, several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from vq.autoencoder import VQVAE, VQVAEConfig
from vq.data import Pictures
from vq.objectives import VQVAEObjective
from vq.training import Run, TrainingConfig

CONFIG = VQVAEConfig(hidden=8, residual_hidden=4, num_codes=16, code_dim=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the child processes have: sums are rounded otherwise on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pictures(n: int = 12) -> Pictures:
    """Slopes of colour: something that a tiny network can learn."""
    corners = np.random.default_rng(0).integers(0, 256, (n, 3, 3))
    x = np.linspace(0, 1, 16)[:, None]
    rows, columns = x[None, :, None], x[None, None]
    a, b, c = (corners[:, None, None, i] for i in range(3))
    pixels = (a * (1 - rows) + b * rows) * (1 - columns) + c * columns
    return Pictures(pixels.astype(np.uint8), np.zeros(n, np.int64), ("slopes",))


def run(folder: Path, **training: object) -> Run:
    torch.manual_seed(0)
    options = {"batch": 4, "warmup": 2, "save_seconds": 1e5, "log_every": 2} | training
    config = TrainingConfig(**options)  # type: ignore[arg-type]
    objective = VQVAEObjective(VQVAE(CONFIG), pictures(), crop=8, seed=0)
    return Run(objective, config, folder)


def tensors(r: Run) -> dict[str, torch.Tensor]:
    named = dict(r.model.named_parameters()) | dict(r.model.named_buffers())
    return {k: v.detach().clone() for k, v in named.items()} | {
        f"average.{k}": v.clone() for k, v in r.average.items()
    }


class Stop(Exception):
    pass


def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", steps=8)
    whole.train(quiet=True)

    def stop_at_5(r: Run) -> None:
        if r.step == 5:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "parts", steps=8).train(quiet=True, callback=stop_at_5)
    resumed = run(tmp_path / "parts", steps=8)
    assert resumed.step == 5
    resumed.train(quiet=True)
    expected, found = tensors(whole), tensors(resumed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    # The test would be void if training moved nothing.
    start = tensors(run(tmp_path / "new", steps=1))
    assert not torch.equal(expected["encoder.0.weight"], start["encoder.0.weight"])


def test_it_learns_and_logs(tmp_path: Path) -> None:
    r = run(tmp_path, steps=200, learning_rate=1e-2)
    r.train(quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(2, 201, 2))
    expected = {"loss", "mse", "perplexity", "codes_used", "per_second", "learning_rate"}
    assert expected <= lines[0].keys()
    assert lines[-1]["mse"] < 0.5 * lines[0]["mse"]
    assert lines[-1]["learning_rate"] < 0.05 * 1e-2


def test_a_budget_in_minutes_counts_over_resumptions(tmp_path: Path) -> None:
    r = run(tmp_path, minutes=0.02)
    r.train(quiet=True)
    assert r.elapsed >= 1.2
    again = run(tmp_path, minutes=0.02)
    again.train(quiet=True)
    assert again.step == r.step


def test_averaged_weights_are_the_running_mean(tmp_path: Path) -> None:
    r = run(tmp_path, steps=6, average=0.5)
    name = "decoder.0.weight"
    parameter = dict(r.model.named_parameters())[name]
    expected = parameter.detach().clone()

    def follow(r: Run) -> None:
        decay = min(0.5, r.step / (r.step + 10))
        expected.mul_(decay).add_(parameter.detach() * (1 - decay))

    r.train(quiet=True, callback=follow)
    assert torch.allclose(r.average[name], expected, atol=1e-6)
    r.load_average()
    assert torch.equal(parameter, r.average[name])
    assert not r.model.training


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_state(tmp_path: Path) -> None:
    run(tmp_path, steps=4).train(quiet=True)
    before = (tmp_path / "state.safetensors").read_bytes()
    broken = run(tmp_path, steps=8)
    with torch.no_grad():
        dict(broken.model.named_parameters())["decoder.0.weight"].fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 5"):
        broken.train(quiet=True)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_budget_is_needed() -> None:
    with pytest.raises(ValueError, match="steps or minutes"):
        TrainingConfig()


SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.test_training import run, tensors
    from safetensors.torch import save_file
    r = run(Path(sys.argv[1]), steps=int(sys.argv[2]), save_seconds=0.0, **eval(sys.argv[3]))
    r.train(quiet=True)
    if r.main:
        save_file({k: v.contiguous() for k, v in tensors(r).items()}, sys.argv[1] + "/end")
    """
)


def start(*arguments: str, launcher: tuple[str, ...] = ("-c", SCRIPT)) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parent.parent)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    return subprocess.Popen([sys.executable, *launcher, *arguments], env=environment)


def test_killed_at_any_moment_it_continues_where_it_was(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", steps=150)
    whole.train(quiet=True)
    folder = tmp_path / "killed"
    state = folder / "state.safetensors"
    for _ in range(2):  # a run is killed as soon as it has saved something newer
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = start(str(folder), "150", "{}")
        deadline = time.monotonic() + 60
        while not (state.exists() and state.stat().st_mtime_ns > before):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = run(folder, steps=150)
    assert 0 < resumed.step < 150
    resumed.train(quiet=True)
    found = tensors(resumed)
    assert all(torch.equal(found[k], v) for k, v in tensors(whole).items())


def test_two_processes_keep_the_statistics_of_one(tmp_path: Path) -> None:
    """The code book must see the whole batch, whoever holds which part of it."""
    from safetensors.torch import load_file

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script))
    options = "dict(batch=8, bf16=False, learning_rate=1e-3)"
    assert start(str(tmp_path / "two"), "5", options, launcher=torchrun).wait(120) == 0
    one = run(tmp_path / "one", steps=5, batch=8, bf16=False, learning_rate=1e-3)
    one.train(quiet=True)
    expected, found = tensors(one), load_file(tmp_path / "two" / "end")
    assert int(found["quantizer.step"]) == 5
    # Counts are whole numbers times powers of the decay: equal but for rounding.
    assert torch.allclose(found["quantizer.counts"], expected["quantizer.counts"], rtol=1e-5)
    for name, value in expected.items():
        assert torch.allclose(found[name].float(), value.float(), atol=2e-4), name
