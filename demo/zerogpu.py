"""ZeroGPU: a Space whose process has no GPU, and gets one for a few seconds when it asks.

The package `spaces`, which such a Space brings, makes it look as if there were CUDA: what is moved
there at the start is there in every worker, a fork of this process that has the GPU. Arguments and
results travel pickled, and what a worker changes is lost with it. An error in it arrives as no more
than its class's name, so a `Refusal` travels as a result.

A worker takes seconds to start, and its time is taken from what the visitor has a day. So only
`Away`'s verbs go there, and of them only jobs that are long on a CPU. All else is done here, on the
CPU, by a studio of the same checkpoint; so is what no GPU can be had for.
"""

from __future__ import annotations

import functools
import logging
import math
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeVar, cast

if os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"):
    import spaces  # before anything touches CUDA
else:
    spaces = None

import gradio as gr
import numpy as np
from gradio.context import LocalContext

from demo import studio
from demo.jobs import Refusal
from demo.shelf import Loader
from demo.studio import LONGEST, TOGETHER, Studio
from demo.text import language_of, say
from vq.checkpoints import Checkpoint, CheckpointError, load
from vq.layout import DEFAULT_CHECKPOINT
from vq.pictures import working_size

LEAST = 10  # seconds to ask for: a worker starts, and CUDA in it, before anything is computed
MOST = 60  # also what is asked for by default; without an account there are 120 a day
WORTH = 2.0  # seconds on one core below which a job is done here: a worker takes longer to start

log = logging.getLogger(__name__)

Verb = TypeVar("Verb", bound=Callable[..., Generator[Any, None, Any]])

# What workers find: studios on the GPU, by name. Nobody computes with them in this process.
PLACED: dict[str, Studio] = {}


def loader(folder: Path = DEFAULT_CHECKPOINT.parent) -> Loader:
    """`demo.studio.loader`; on ZeroGPU, after the checkpoints of the folder went to the GPU.

    There it is to be called once, at the start, by the main thread. What is loaded from elsewhere
    later runs on the CPU.
    """
    if spaces is None:
        return studio.loader
    for path in folder.iterdir():
        try:
            checkpoint = load(path)
        except CheckpointError:
            continue  # told to whoever asks for it
        if checkpoint.priors:
            # A lock that anyone holds here stays locked in a fork.
            PLACED[path.name] = Studio(checkpoint, path.name, turn=nullcontext())

    def make(checkpoint: Checkpoint, name: str) -> Studio:
        return (Away if name in PLACED else Studio)(checkpoint, name, "cpu")

    return functools.partial(studio.loader, make=make)


@dataclass(frozen=True)
class Work:
    """What a job asks of a prior: `calls`, one after another, each for so many maps together.

    In raster order a call is a code, and every particle a map. Else it is a forward pass, and a map
    is one of 32x32 codes.
    """

    raster: bool
    calls: int
    maps: float

    @property
    def core_seconds(self) -> float:
        """On one CPU core, which takes one map after another.

        Measured with scenes-128: 45 ms a pass of the masked prior; 0.8 ms a code of the PixelCNN,
        21 ms with 64 particles.
        """
        return self.calls * (0.0005 + 0.0003 * self.maps if self.raster else 0.045 * self.maps)

    @property
    def gpu_seconds(self) -> int:
        """What to ask ZeroGPU for: who takes longer may be stopped, so this is on the safe side.

        It takes a GPU longer to launch networks this small than to compute them. So a call is given
        the time of one map on a core, in raster order, where that is mostly launches, three times
        it; and all of that once more for every 64 maps.
        """
        seconds = LEAST + self.calls * (0.0025 if self.raster else 0.045) * (1 + self.maps / 64)
        return min(math.ceil(seconds), MOST)


def asked_for(work: Work, *_: Any) -> int:
    """The seconds of a call of `run`."""
    return work.gpu_seconds


@dataclass(frozen=True)
class Ended:
    """The last that comes from a worker: what the job returned, or why it was refused."""

    result: Any


def run(work: Work, name: str, verb: str, *args: Any) -> Generator[Any, None, None]:
    """A verb of a studio of `PLACED`, in a worker: everything that the job gives, then `Ended`."""
    try:
        result = yield from getattr(PLACED[name], verb)(*args)
    except Refusal as refusal:
        result = refusal
    yield Ended(result)


run_on_gpu = run if spaces is None else spaces.GPU(duration=asked_for)(run)


def away(verb: Verb) -> Verb:
    """A verb of `Studio`, done in a worker where that is worth it. Takes no names of arguments."""

    @functools.wraps(verb)
    def sent(self: Away, *args: Any) -> Generator[Any, None, Any]:
        here = verb(self, *args)  # refuses what it must, and computes nothing yet
        work = self.work(verb.__name__, *args)
        if work.core_seconds < WORTH:
            return here
        return _relayed(run_on_gpu(work, self._name, verb.__name__, *args), here)

    return cast(Verb, sent)


def _relayed(
    there: Generator[Any, None, None], here: Generator[Any, None, Any]
) -> Generator[Any, None, Any]:
    """What comes from `there`; or from `here`, where no GPU can be had. Closing it frees the GPU.

    Raises `Refusal` where the GPU is taken away in the middle.
    """
    begun, ended = False, None
    try:
        with closing(there):
            for given in there:
                if isinstance(given, Ended):
                    ended = given
                else:
                    begun = True
                    yield given
    except gr.Error as error:  # what `spaces` raises, and nothing else here
        reason = str(error.message)
        log.warning("ZeroGPU: %s", reason)
        if begun:
            raise Refusal("error_gpu_lost", reason=reason) from None
        language = language_of(LocalContext.request.get(None))
        gr.Warning(escape(say(language, "warning_no_gpu", reason=reason), quote=False))
        return (yield from here)
    if ended is None:
        raise RuntimeError("a worker ended before its job")
    if isinstance(ended.result, Refusal):
        raise ended.result
    return ended.result


class Away(Studio):
    """A studio on the CPU whose checkpoint is also in `PLACED`."""

    resample = away(Studio.resample)
    fill = away(Studio.fill)
    generate = away(Studio.generate)
    surprise = away(Studio.surprise)
    inpaint = away(Studio.inpaint)

    def work(self, verb: str, *args: Any) -> Work:
        """How much work a call of a verb is."""
        name = args[1] if verb == "surprise" else args[-1].prior
        raster, area = name in self._raster, math.prod(self._priors[name].config.map_size)
        positions = self._positions(verb, args, area)
        windows = math.ceil(2 * positions / area)  # or so: they overlap
        if verb == "surprise":
            # All codes of a window at once; or a sixteenth of them, and eight such maps together.
            calls, maps = (windows, 2) if raster else (2 * windows, 8)
            return Work(False, calls, maps * area / 32**2)
        settings = args[-1]
        jobs, maps, particles = 1, settings.variations, settings.particles
        if verb == "generate":
            jobs, maps, particles = math.ceil(args[0] / TOGETHER), min(args[0], TOGETHER), 1
        if settings.label is not None and settings.guidance != 1:
            maps *= 2
        if raster:
            return Work(True, jobs * positions, maps * particles)
        return Work(False, jobs * min(settings.steps * windows, positions), maps * area / 32**2)

    def _positions(self, verb: str, args: Sequence[Any], area: int) -> int:
        """How many codes of a map a call of a verb draws or scores."""
        if verb == "surprise":
            return int(args[0].size)
        if verb == "generate":
            return area
        if verb == "inpaint":
            picture, mask, _ = args
            stride = self._checkpoint.stride
            size = working_size(picture.width, picture.height, stride, LONGEST)
            return math.ceil(mask.mean() * math.prod(size) / stride**2)
        return int(np.count_nonzero(args[-2]))
