"""A stand-in for the package `spaces` on ZeroGPU: what it does to an app, without a GPU.

After spaces 0.51.3 (`spaces/zero/wrappers.py`, `client.py`), generator functions only. A call is
scheduled for as many seconds as `duration` says, or refused. Then it runs in a worker, a fork of
this process that stays for the next call; arguments and what is given travel pickled, without
waiting for whoever takes it. An exception in the worker arrives as a `gr.Error` with the name of
its class. Where the generator is closed, the worker stops at its next step, and the GPU is
released. A worker that dies aborts the call.

What tests look at, and change, is below `Quota`.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pickle import PicklingError
from queue import Queue
from threading import Event, Thread
from typing import Any

import gradio as gr
import torch

assert os.environ["SPACES_ZERO_GPU"] == "true"
assert not torch.cuda.is_initialized(), "CUDA before `import spaces`"

FORK = multiprocessing.get_context("fork")
Task = Callable[..., Generator[Any, None, None]]


@dataclass
class Quota:
    left: float = 1e9  # seconds
    asked: list[int] = field(default_factory=list)  # of every call that was scheduled
    released: list[bool] = field(
        default_factory=list
    )  # of every call that ended: whether it failed
    steps: Any = field(default_factory=lambda: FORK.RawValue("i", 0))  # that workers have computed
    workers: list[Any] = field(default_factory=list)  # of all calls
    tasks: list[Task] = field(default_factory=list)  # that were decorated


quota = Quota()

_launch = gr.Blocks.launch


@functools.wraps(_launch)
def launch(*args: Any, **named: Any) -> Any:
    if not quota.tasks:
        raise RuntimeError("No @spaces.GPU function detected during startup")
    gr.Blocks.launch = _launch
    return gr.Blocks.launch(*args, **named)


gr.Blocks.launch = launch


def error(title: str, message: str) -> gr.Error:
    return gr.Error(message, title=title, print_exception=False)


def GPU(task: Task | None = None, *, duration: Any = None, size: Any = None) -> Any:
    if task is None:
        return functools.partial(GPU, duration=duration, size=size)
    if not inspect.isgeneratorfunction(task):
        raise NotImplementedError(f"{task} is no generator function: this stand-in has no others")
    quota.tasks.append(task)
    idle: list[Worker] = []

    @functools.wraps(task)
    def handler(*args: Any, **named: Any) -> Generator[Any, None, None]:
        seconds = duration(*args, **named) if callable(duration) else duration or 60
        if seconds > quota.left:
            message = f"You have exceeded your ZeroGPU quota ({seconds}s requested)."
            raise error("ZeroGPU quota exceeded", message)
        quota.asked.append(seconds)
        worker = idle.pop() if idle else None
        if worker is None or not worker.is_alive():
            worker = Worker(task)
        try:
            worker.put((args, named))
        except PicklingError:
            quota.released.append(False)
            raise
        given: Queue[tuple[str, Any]] = Queue()

        def take() -> None:
            while True:
                kind, value = worker.results.get()
                if kind != "value":
                    if kind == "end":
                        idle.append(worker)
                    quota.released.append(kind == "end")
                given.put((kind, value))
                if kind != "value":
                    return

        with ThreadPoolExecutor(1) as executor:
            executor.submit(take)
            while True:
                kind, value = given.get()
                if kind == "end":
                    return
                if kind == "aborted":
                    raise error("ZeroGPU worker error", "GPU task aborted")
                if kind == "failed":
                    raise error("ZeroGPU worker error", value)
                try:
                    yield value
                except GeneratorExit:
                    worker.stop.set()
                    raise

    return handler


class Worker:
    def __init__(self, task: Task) -> None:
        self.arguments = SimpleQueue[Any](ctx=FORK)
        self.results = SimpleQueue[Any](ctx=FORK)
        self.stop = FORK.Event()
        self.process = FORK.Process(target=self.work, args=(task,), daemon=True)
        self.process.start()
        self.dead = Event()
        quota.workers.append(self)
        Thread(target=self.watch, daemon=True).start()

    def put(self, arguments: Any) -> None:
        _put(self.arguments, arguments)

    def kill(self) -> None:
        self.process.kill()
        self.dead.wait()

    def is_alive(self) -> bool:
        return not self.dead.is_set()

    def watch(self) -> None:
        self.process.join()  # here alone: of two who wait for a process, one is not told its end
        self.dead.set()
        with suppress(ValueError):  # as it was not killed while it wrote
            self.results._wlock.release()  # type: ignore[attr-defined]
        self.results.put(("aborted", None))

    def work(self, task: Task) -> None:
        while True:
            args, named = self.arguments.get()
            self.stop.clear()

            def iterate(args: Any = args, named: Any = named) -> None:
                job = task(*args, **named)
                while True:
                    try:
                        value = next(job)
                    except StopIteration:
                        return
                    except Exception as problem:
                        return self.results.put(("failed", type(problem).__name__))
                    if self.stop.is_set():
                        return job.close()
                    quota.steps.value += 1
                    try:
                        _put(self.results, ("value", value))
                    except PicklingError:
                        return self.results.put(("failed", "PicklingError"))

            with ThreadPoolExecutor() as executor:
                executor.submit(iterate)
            self.results.put(("end", None))


def _put(queue: SimpleQueue[Any], value: Any) -> None:
    try:
        queue.put(value)
    except Exception as problem:
        if "pickle" not in str(problem):
            raise
        raise PicklingError(str(problem)) from None
