"""A GPU whose memory is too small: the same results one after another, or a word, never a fault."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

import vq.any_order
from demo.jobs import Refusal, Settings, Step
from demo.recording import Recorder
from demo.studio import TURN, Studio, best_device
from tests.edit_tab import ENGLISH, filling_of, mask_of, run, tab_of
from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.checkpoints import Checkpoint
from vq.inpainting import inpaint
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.regions import mask_from_hole

PRIORS = ("masked", "pixelcnn")
# Its maps share a batch, also on a CPU, from four particles on.
SETTINGS = Settings(variations=3, seed=5, steps=4, particles=4, temperature=1.0)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    tiny = tiny_checkpoint()
    config = PixelCNNConfig(num_codes=16, map_size=(8, 8), layers=2, channels=8, head=16)
    return Checkpoint(tiny.autoencoder, {**tiny.priors, "pixelcnn": PixelCNN(config).eval()})


@pytest.fixture(scope="module")
def studio(checkpoint: Checkpoint) -> Studio:
    return Studio(checkpoint, "tiny", "cpu")


class Memory:
    """Room for so many maps at a time, from a prior's call number `after` on."""

    def __init__(self) -> None:
        self.room, self.after, self.calls = 1000, 0, 0
        self.largest = 0  # batch that found room
        self.computed: weakref.ref[torch.Tensor] | None = None

    def take(self, maps: int) -> None:
        self.calls += 1
        if self.computed is not None:
            assert self.computed() is None  # what was computed is gone before anything is tried
        if maps > self.room and self.calls > self.after:
            computed = torch.zeros(1)
            self.computed = weakref.ref(computed)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.largest = max(self.largest, maps)


@pytest.fixture
def memory(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """That of the priors: on a GPU the maps of a job share their batches."""
    memory = Memory()
    logits, walk = vq.any_order.guided_logits, checkpoint.priors["pixelcnn"].walk

    def scored(prior: Any, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
        memory.take(len(tokens))
        return logits(prior, tokens, *more)

    def walked(codes: torch.Tensor, *more: Any, **named: Any) -> Any:
        memory.take(len(codes))
        return walk(codes, *more, **named)

    monkeypatch.setattr(vq.any_order, "guided_logits", scored)
    monkeypatch.setattr(checkpoint.priors["pixelcnn"], "walk", walked, raising=False)
    return memory


def example(studio: Studio) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    picture = photograph(64, 48)
    cells = np.zeros((12, 16), bool)
    cells[3:7, 2:9] = True
    return picture, studio.encode(picture), cells


Job = Callable[[Studio, Settings], Generator[Any, None, Any]]


def resample(studio: Studio, settings: Settings) -> Generator[Any, None, Any]:
    return studio.resample(*example(studio), settings)


def fill(studio: Studio, settings: Settings) -> Generator[Any, None, Any]:
    return studio.fill(*example(studio)[1:], settings)


def generate(studio: Studio, settings: Settings) -> Generator[Any, None, Any]:
    return studio.generate(6, settings)


def repaint(studio: Studio, settings: Settings) -> Generator[Any, None, Any]:
    picture, _, cells = example(studio)
    return studio.inpaint(Image.fromarray(picture), mask_from_hole(cells, 4), settings)


def result(job: Generator[Any, None, Any]) -> np.ndarray:
    """The codes of the last step, or the pictures that were returned."""
    last: Any = None
    while True:
        try:
            last = next(job)
        except StopIteration as end:
            made = last.codes if end.value is None else np.stack([np.asarray(p) for p in end.value])
            return np.asarray(made)


# On a CPU maps with few particles are not walked together: there is nothing to fail in generate.
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(
    ("ask", "prior"),
    [*itertools.product([resample, fill, repaint], PRIORS), (generate, "masked")],
)
def test_what_does_not_fit_together_is_made_one_after_another_with_the_same_results(
    studio: Studio, memory: Memory, ask: Job, prior: str, after: int
) -> None:
    settings = replace(SETTINGS, prior=prior)
    expected = result(ask(studio, settings))
    assert memory.largest > 1  # or nothing would be tested
    memory.room, memory.after, memory.calls, memory.largest = 1, after, 0, 0
    assert np.array_equal(result(ask(studio, settings)), expected)
    assert memory.computed is not None


def test_its_steps_are_counted_anew_and_fill_one_map_after_another(
    studio: Studio, memory: Memory
) -> None:
    memory.room, memory.after = 1, 2
    steps: list[Step] = list(resample(studio, SETTINGS))
    one = len(list(resample(studio, replace(SETTINGS, variations=1))))
    assert [step.step for step in steps] == [1, 2, *range(1, 3 * one + 1)]
    assert steps[-1].steps == 3 * one
    left = [step.remaining.any((1, 2)).tolist() for step in steps]
    assert left[one + 1] == [False, True, True] and left[-1] == [False, False, False]
    recorder = Recorder(example(studio)[0], example(studio)[2])
    for step in steps:
        recorder.add(step)
    # What was seen before it began anew is not in the recording.
    assert len(recorder.recording(0).states) == 3 * one - 1


def test_one_that_does_not_fit_is_refused_and_the_next_request_works(
    studio: Studio, memory: Memory
) -> None:
    for prior in PRIORS:
        settings = replace(SETTINGS, prior=prior)
        expected = result(resample(studio, settings))
        memory.room = 0
        with pytest.raises(Refusal, match="error_memory"):
            list(resample(studio, settings))
        assert not TURN.locked()
        memory.room = 1000
        assert np.array_equal(result(resample(studio, settings)), expected)


def test_the_library_does_the_same(checkpoint: Checkpoint, memory: Memory) -> None:
    mask = np.zeros((48, 64), bool)
    mask[8:30, 8:30] = True
    picture = Image.fromarray(photograph(64, 48))
    expected = inpaint(checkpoint, picture, mask, variations=3, steps=3)
    memory.room = 1
    made = inpaint(checkpoint, picture, mask, variations=3, steps=3)
    for one, other in zip(made, expected, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    memory.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        inpaint(checkpoint, picture, mask, variations=3, steps=3)


VERBS: dict[str, Callable[[Studio], Any]] = {
    "encode": lambda studio: studio.encode(photograph(64, 48)),
    "decode": lambda studio: studio.decode(np.zeros((12, 16), np.int64)),
    "reconstruct": lambda studio: studio.reconstruct(photograph(64, 48)),
    "rounding": lambda studio: studio.rounding(photograph(64, 48)),
    "render": lambda studio: studio.render(
        photograph(64, 48), np.zeros((2, 12, 16), np.int64), np.ones((12, 16), bool)
    ),
    "code_book": lambda studio: studio.code_book(),
    "resample": lambda studio: list(
        studio.resample(
            photograph(64, 48), np.zeros((12, 16), int), np.ones((12, 16), bool), SETTINGS
        )
    ),
}


@pytest.fixture
def full(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio whose encoder and decoder find no room."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    hooks = [
        module.register_forward_pre_hook(full)
        for module in (checkpoint.autoencoder.encoder, checkpoint.autoencoder.decoder)
    ]
    yield Studio(checkpoint, "tiny", "cpu")
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_lets_the_error_through(full: Studio, verb: str) -> None:
    with pytest.raises(Refusal, match="error_memory"):
        VERBS[verb](full)
    assert not TURN.locked()


def test_a_visitor_is_told_what_to_do(studio: Studio, memory: Memory) -> None:
    from demo.editor import Editor

    tab = tab_of(studio)
    opened = Editor(tab).open(Image.new("RGB", (64, 32), "teal"), None, "tiny", ENGLISH)
    session = opened["session"]
    memory.room = 0
    with pytest.raises(gr.Error, match="memory of the GPU is too small"):
        run(filling_of(tab), session, mask_of(session))


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_that_is_there(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(expected)
