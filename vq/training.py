"""The training loop: one for every network, one process or many, stopped and resumed at will.

What is trained is an `Objective`: a module that draws its own batch for a step number and
returns a loss. Nothing depends on global random state, so a run killed at any moment continues
from its last save exactly as if it had never stopped, and a batch shared between processes
is the batch that one process would have seen. Processes are Hugging Face Accelerate's matter.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from vq.atomic import write_file
from vq.autoencoder import check_ranges
from vq.precision import fast


@dataclass(frozen=True)
class TrainingConfig:
    """Budget and optimiser. The learning rate warms up, then falls to 0 along a cosine.

    Raises ValueError, naming field and limits, if one is out of range.
    """

    steps: int = 0  # budget in steps; 0: none
    minutes: float = 0.0  # budget in minutes, counted over all resumed parts; 0.0: none
    batch: int = 32  # over all processes
    learning_rate: float = 1e-3
    warmup: int = 200  # steps
    weight_decay: float = 0.0
    beta2: float = 0.99  # of AdamW
    clip: float = 1.0  # largest norm of the gradient
    average: float = 0.999  # decay of the moving average of the weights, which is what ships
    bf16: bool = True  # bfloat16 autocast, where the device has it
    seed: int = 0
    save_seconds: float = 60.0
    log_every: int = 50  # steps

    def __post_init__(self) -> None:
        limits = {
            "steps": (0, 10**9),
            "minutes": (0.0, 1e6),
            "batch": (1, 65_536),
            "learning_rate": (0.0, 10.0),
            "warmup": (0, 10**6),
            "weight_decay": (0.0, 10.0),
            "beta2": (0.0, 0.99999),
            "clip": (1e-6, 1e6),
            "average": (0.0, 0.999999),
            "save_seconds": (0.0, 1e6),
            "log_every": (1, 10**6),
        }
        check_ranges(self, limits)
        if not self.steps and not self.minutes:
            raise ValueError("a budget is needed: steps or minutes")


class Objective(nn.Module):
    """What a training run minimises. `model` is the network that is trained and saved."""

    model: nn.Module

    def batch(self, step: int, size: int) -> tuple[Tensor, ...]:
        """The tensors of a step's batch, `size` rows each, the same at every call."""
        raise NotImplementedError

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        """Scalars to log of a batch or a share of it; the one named "loss" is minimised."""
        raise NotImplementedError

    def progress(self) -> dict[str, float]:
        """Further figures for the log."""
        return {}


class Run:
    """One training run in a folder: `state.safetensors` to resume from, `log.jsonl` to plot.

    The folder's state is replaced atomically. `average` holds the moving average of every
    weight by name, which is what a run delivers. device: "cpu", or "cuda", which is also what
    None means where there is one. Raises ValueError if there is none.
    """

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        folder: Path,
        *,
        device: str | None = None,
    ) -> None:
        from accelerate import Accelerator

        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("there is no CUDA device here")
        self.config, self.folder = config, folder
        self.accelerator = Accelerator(cpu=device == "cpu" or not torch.cuda.is_available())
        self.main = self.accelerator.is_main_process
        self.objective = objective.to(self.accelerator.device).to(memory_format=torch.channels_last)
        self.model = objective.model
        self.optimizer = torch.optim.AdamW(
            _decay_groups(self.model, config.weight_decay),
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
        )
        self.average = {k: v.detach().clone() for k, v in _averaged(self.model).items()}
        self.step, self.elapsed = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state.safetensors").exists():
            self._resume()
        # Prepared last: wrapping may rename the parameters that the state is saved by.
        self.wrapped = self.accelerator.prepare(self.objective)

    @property
    def done(self) -> float:
        """The share of the budget that is spent, from 0 to 1."""
        c = self.config
        by_steps = self.step / c.steps if c.steps else 0.0
        by_time = self.elapsed / (60 * c.minutes) if c.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def train(self, *, quiet: bool = False, callback: Callable[[Run], None] | None = None) -> None:
        """Train until the budget is spent; save on the way, at the end and when interrupted.

        `callback` is called after every step.
        """
        self.objective.train()
        meters = _Meters(self, quiet)
        saved = time.monotonic()
        whole = True  # no step is half done: an interrupted one must not be saved
        try:
            while self.done < 1:
                started = time.monotonic()
                whole = False
                meters.add(self._step())
                whole = True
                self.elapsed += time.monotonic() - started
                if self.step % self.config.log_every == 0:
                    meters.report()
                if time.monotonic() - saved >= self.config.save_seconds:
                    self.save()
                    saved = time.monotonic()
                if callback:
                    callback(self)
            if meters.steps:  # since the last report
                meters.report()
        finally:
            if whole:
                self.save()
            meters.close()

    def load_average(self) -> nn.Module:
        """Put the averaged weights into the model, ready to be saved or evaluated."""
        tensors = _averaged(self.model)
        with torch.no_grad():
            for name, value in self.average.items():
                tensors[name].copy_(value)
        return self.model.eval()

    def _step(self) -> dict[str, float]:
        c = self.config
        share, rank = c.batch // self.accelerator.num_processes, self.accelerator.process_index
        rows = slice(rank * share, (rank + 1) * share)
        batch = [
            t[rows].to(self.accelerator.device) for t in self.objective.batch(self.step, c.batch)
        ]
        rate = c.learning_rate * min(1.0, (self.step + 1) / (c.warmup + 1))
        rate *= 0.5 * (1 + math.cos(math.pi * self.done))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with fast(self.accelerator.device, c.bf16):
            scalars = self.wrapped(*batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(scalars["loss"])
        self.accelerator.clip_grad_norm_(self.model.parameters(), c.clip)
        self.optimizer.step()
        self.step += 1
        # A short memory at first, so that the average forgets the random start.
        decay = min(c.average, self.step / (self.step + 10))
        tensors = _averaged(self.model)
        names = list(self.average)
        torch._foreach_lerp_(
            [self.average[n] for n in names], [tensors[n].detach() for n in names], 1 - decay
        )
        figures = {k: float(v.detach()) for k, v in scalars.items()}
        if not math.isfinite(figures["loss"]):
            raise FloatingPointError(f"the loss is not finite at step {self.step}")
        return figures

    def save(self) -> None:
        """Replace the folder's state: a kill at any moment leaves the old or the new one."""
        if not self.main:
            return
        tensors = {f"model.{k}": v for k, v in _everything(self.model).items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{key}"] = value
        counters = {"step": str(self.step), "elapsed": repr(self.elapsed)}
        tensors = {k: v.contiguous() for k, v in tensors.items()}
        write_file(self.folder / "state.safetensors", save(tensors, metadata=counters))

    def _resume(self) -> None:
        device = str(self.accelerator.device)
        with safe_open(self.folder / "state.safetensors", "pt", device=device) as file:
            self.step = int(file.metadata()["step"])
            self.elapsed = float(file.metadata()["elapsed"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.no_grad():
            for prefix, target in (("model", _everything(self.model)), ("average", self.average)):
                for name, tensor in target.items():
                    tensor.copy_(state[f"{prefix}.{name}"])
        for name, parameter in self.model.named_parameters():
            keys = [k for k in state if k.startswith(f"optimizer.{name}.")]
            if keys:
                self.optimizer.state[parameter] = {k.rsplit(".", 1)[1]: state[k] for k in keys}


class _Meters:
    """Means over the steps since the last report, to a progress bar and log.jsonl."""

    def __init__(self, run: Run, quiet: bool) -> None:
        self.run = run
        self.bar = tqdm(
            total=100, unit="%", disable=quiet or not run.main, dynamic_ncols=True, mininterval=5,
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )  # fmt: skip
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.steps, self.start = 0, time.monotonic()

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.sums[name] += value
        self.steps += 1

    def report(self) -> None:
        run = self.run
        figures = {name: value / self.steps for name, value in self.sums.items()}
        figures |= run.objective.progress()
        figures["per_second"] = self.steps * run.config.batch / (time.monotonic() - self.start)
        self._clear()
        if run.main:
            line = {"step": run.step, "minutes": run.elapsed / 60}
            line |= {"learning_rate": run.optimizer.param_groups[0]["lr"]} | figures
            with open(run.folder / "log.jsonl", "a") as log:
                log.write(json.dumps({k: float(f"{v:.6g}") for k, v in line.items()}) + "\n")
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)
            self.bar.update(100 * run.done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices and kernels; none for biases, gains and embeddings."""
    decayed: list[Tensor] = []
    rest: list[Tensor] = []
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for p in model.parameters():
        (decayed if p.ndim > 1 and id(p) not in embeddings else rest).append(p)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]


def _averaged(model: nn.Module) -> dict[str, Tensor]:
    """What ships: every floating-point tensor of the state, an EMA code book among them."""
    return {k: v for k, v in model.state_dict(keep_vars=True).items() if v.is_floating_point()}


def _everything(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, the code book's statistics among them."""
    return dict(model.named_parameters()) | dict(model.named_buffers())
