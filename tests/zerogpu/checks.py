"""The app on ZeroGPU, with a stand-in for its package: `tests/test_zerogpu.py` runs this."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spaces
import torch
from PIL import Image

from demo import zerogpu
from demo.jobs import Refusal, Settings
from demo.shelf import Shelf
from demo.studio import TURN, Studio
from tests.tiny_checkpoint import photograph, tiny_checkpoint
from vq.checkpoints import Checkpoint
from vq.priors.pixelcnn import PixelCNN, PixelCNNConfig
from vq.regions import mask_from_hole

SETTINGS = Settings(variations=2, seed=5, steps=4, temperature=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny = tiny_checkpoint()
    config = PixelCNNConfig(num_codes=16, map_size=(8, 8), layers=2, channels=8, head=16)
    both = Checkpoint(tiny.autoencoder, {**tiny.priors, "pixelcnn": PixelCNN(config).eval()})
    both.save(folder / "scenes-128")
    Checkpoint(tiny.autoencoder).save(folder / "bare")
    (folder / "broken" / "autoencoder").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def shelf(folder: Path) -> Shelf:
    return Shelf.of_folder(zerogpu.loader(folder), folder)


@pytest.fixture
def studio(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[zerogpu.Away]:
    """All its jobs go to a worker."""
    monkeypatch.setattr(zerogpu, "WORTH", 0.0)
    monkeypatch.setattr(spaces.quota, "left", 1e9)
    away = shelf.default
    assert isinstance(away, zerogpu.Away)
    before = len(spaces.quota.asked)
    yield away
    # Whatever was asked for was given back.
    assert len(spaces.quota.released) == len(spaces.quota.asked) >= before


@pytest.fixture(scope="module")
def plain(folder: Path) -> Studio:
    return Studio.load(folder / "scenes-128", "cpu")


def example(studio: Studio) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    picture = photograph(64, 48)
    cells = np.zeros((12, 16), bool)
    cells[3:7, 2:9] = True
    return picture, studio.encode(picture), cells


Job = Callable[[Studio, Settings], Generator[Any, None, Any]]
JOBS: dict[str, Job] = {
    "resample": lambda studio, settings: studio.resample(*example(studio), settings),
    "fill": lambda studio, settings: studio.fill(*example(studio)[1:], settings),
    "generate": lambda studio, settings: studio.generate(6, settings),
    "surprise": lambda studio, settings: studio.surprise(
        example(studio)[1], settings.prior, settings.label
    ),
    "inpaint": lambda studio, settings: studio.inpaint(
        Image.fromarray(example(studio)[0]), mask_from_hole(example(studio)[2], 4), settings
    ),
}


def everything(job: Generator[Any, None, Any]) -> list[Any]:
    """All that a job gives, and what it returns, as plain values."""
    values = []
    while True:
        try:
            values.append(next(job))
        except StopIteration as end:
            return [_plain(value) for value in [*values, end.value]]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | Image.Image):
        return np.asarray(value).tobytes()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    fields = getattr(value, "__dict__", None)
    return value if fields is None else {name: _plain(one) for name, one in fields.items()}


@pytest.mark.parametrize("prior", ["masked", "pixelcnn"])
@pytest.mark.parametrize("verb", JOBS)
def test_a_worker_gives_what_this_process_would(
    studio: zerogpu.Away, plain: Studio, verb: str, prior: str
) -> None:
    settings = replace(SETTINGS, prior=prior)
    before, state = len(spaces.quota.asked), torch.get_rng_state()
    found = everything(JOBS[verb](studio, settings))
    assert len(spaces.quota.asked) == before + 1 and torch.equal(torch.get_rng_state(), state)
    assert found == everything(JOBS[verb](plain, settings)) and len(found) > 1


def test_only_checkpoints_that_come_with_the_app_and_have_priors_go_to_the_gpu(
    shelf: Shelf, folder: Path
) -> None:
    assert set(zerogpu.PLACED) == {"scenes-128"}
    assert type(shelf.default) is zerogpu.Away
    assert type(shelf.get("bare")) is Studio and shelf.get("bare").describe().device == "cpu"
    pulled = zerogpu.loader(folder)(folder / "scenes-128", "owner/name")()
    assert type(pulled) is Studio and pulled.describe().device == "cpu"
    with pytest.raises(Refusal, match="error_refused"):
        shelf.get("broken")


def test_a_turn_that_is_held_while_it_forks_does_not_hold_it_up(
    studio: zerogpu.Away, plain: Studio
) -> None:
    expected = everything(JOBS["fill"](plain, SETTINGS))
    job = JOBS["fill"](studio, SETTINGS)
    for worker in spaces.quota.workers:
        worker.kill()
    with TURN:
        assert everything(job) == expected
    assert spaces.quota.workers[-1].is_alive()  # a new one, forked meanwhile


def test_what_only_takes_a_moment_stays_here(
    shelf: Shelf, plain: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(spaces.quota.asked)
    studio: Any = shelf.default
    for job in JOBS.values():
        assert everything(job(studio, SETTINGS)) == everything(job(plain, SETTINGS))
    monkeypatch.setattr(zerogpu, "WORTH", 0.0)
    picture, codes, cells = example(studio)
    studio.decode(codes)
    studio.render(picture, codes[None], cells)
    studio.judge(codes[None], cells, None)
    studio.reconstruct(picture)
    studio.rounding(picture)
    studio.code_book()
    assert len(spaces.quota.asked) == before


def test_what_is_refused_asks_for_no_gpu(studio: zerogpu.Away) -> None:
    before = len(spaces.quota.asked)
    for verb in JOBS:
        for wrong in (Settings(prior="other"), Settings(label="moon")):
            with pytest.raises(Refusal, match="error_choice"):
                JOBS[verb](studio, wrong)
    assert len(spaces.quota.asked) == before


Before = Callable[[Callable[[], Any]], None]


@pytest.fixture
def before_each_call(studio: zerogpu.Away, monkeypatch: pytest.MonkeyPatch) -> Iterator[Before]:
    """Workers do something before each call of the masked prior, in this test."""

    def no_workers() -> None:
        for worker in spaces.quota.workers:
            worker.kill()

    def set_up(action: Callable[[], Any]) -> None:
        no_workers()
        prior = zerogpu.PLACED["scenes-128"]._priors["masked"]
        logits = prior.logits

        def called(*args: Any, **named: Any) -> Any:
            action()
            return logits(*args, **named)

        monkeypatch.setattr(prior, "logits", called, raising=False)

    yield set_up
    no_workers()


def test_closing_a_job_frees_the_gpu_within_a_step(
    studio: zerogpu.Away, plain: Studio, before_each_call: Before
) -> None:
    before_each_call(lambda: time.sleep(0.05))
    job = studio.fill(*example(studio)[1:], replace(SETTINGS, steps=28, variations=1))
    next(job)
    released, before = len(spaces.quota.released), spaces.quota.steps.value
    job.close()
    assert spaces.quota.released[released:] == [True]
    steps = spaces.quota.steps.value
    assert steps - before < 10
    time.sleep(0.2)
    assert spaces.quota.steps.value == steps  # nobody works on
    # The worker is there for the next.
    workers = len(spaces.quota.workers)
    assert everything(JOBS["fill"](studio, SETTINGS)) == everything(JOBS["fill"](plain, SETTINGS))
    assert len(spaces.quota.workers) == workers


def test_a_gpu_that_is_taken_away_is_told_and_the_next_job_works(
    studio: zerogpu.Away, plain: Studio, before_each_call: Before
) -> None:
    before_each_call(lambda: time.sleep(0.05))
    job = studio.fill(*example(studio)[1:], replace(SETTINGS, steps=28))
    next(job)
    spaces.quota.workers[-1].process.kill()
    with pytest.raises(Refusal, match="error_gpu_lost") as lost:
        list(job)
    assert lost.value.values["reason"] == "GPU task aborted"
    assert everything(JOBS["fill"](studio, SETTINGS)) == everything(JOBS["fill"](plain, SETTINGS))


@pytest.mark.parametrize("verb", JOBS)
def test_without_a_gpu_to_be_had_it_is_done_here_with_a_warning(
    studio: zerogpu.Away, plain: Studio, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces.quota, "left", 5.0)
    with pytest.warns(UserWarning, match=r"done on the CPU.*exceeded your ZeroGPU quota"):
        found = everything(JOBS[verb](studio, SETTINGS))
    assert found == everything(JOBS[verb](plain, SETTINGS))


def test_a_refusal_in_a_worker_arrives_whole(
    studio: zerogpu.Away, before_each_call: Before
) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    before_each_call(full)
    with pytest.raises(Refusal, match="error_memory"):
        list(JOBS["fill"](studio, SETTINGS))


def test_a_refusal_survives_the_way() -> None:
    sent = pickle.loads(pickle.dumps(Refusal("error_choice", name="prior", known=("a", "b"))))
    assert sent.key == "error_choice" and sent.values == {"name": "prior", "known": ("a", "b")}


def test_more_work_asks_for_more_seconds_and_never_for_too_many(studio: zerogpu.Away) -> None:
    codes = np.zeros((128, 128), int)
    small, large = np.zeros((2, 128, 128), bool)
    small[:8, :8] = large[:100, :100] = True
    for prior, more in (("masked", "steps"), ("pixelcnn", "particles")):
        few = Settings(prior=prior, steps=8, particles=2)
        seconds = studio.work("fill", codes, small, few).gpu_seconds
        for cells, changes in (
            (large, {}),
            (large, {more: 32}),
            (large, {"variations": 8}),
            (large, {"label": "sea", "guidance": 2.0, "variations": 8}),
        ):
            work = studio.work("fill", codes, cells, replace(few, **changes))
            assert zerogpu.LEAST < seconds <= work.gpu_seconds <= zerogpu.MOST
        assert studio.work("fill", codes, large, few).gpu_seconds > seconds
        assert work.core_seconds > studio.work("fill", codes, large, few).core_seconds
        one, all_ = (studio.work("generate", n, few).gpu_seconds for n in (1, 16))
        assert one < all_ or one == zerogpu.LEAST + 1
        mask = np.zeros((512, 512), bool)
        mask[:256] = True
        picture = Image.new("RGB", (512, 512))
        half = np.zeros((128, 128), bool)
        half[:64] = True
        assert studio.work("inpaint", picture, mask, few) == studio.work("fill", codes, half, few)
    list(JOBS["fill"](studio, SETTINGS))
    settings = replace(SETTINGS, steps=4)
    work = studio.work("fill", *example(studio)[1:], settings)
    assert spaces.quota.asked[-1] == work.gpu_seconds


def test_the_stand_in_takes_no_more_than_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def job(*_: Any) -> Generator[int, None, None]:
        yield 1
        yield (lambda: 2)()

    def bad() -> Generator[Any, None, None]:
        yield lambda: 3

    assert list(spaces.GPU(job)(4)) == [1, 2]
    with pytest.raises(pickle.PicklingError):
        next(spaces.GPU(job)(lambda: 1))
    with pytest.raises(spaces.gr.Error, match="PicklingError"):
        next(spaces.GPU(bad)())
    monkeypatch.setattr(spaces.quota, "tasks", [])
    with pytest.raises(RuntimeError, match="GPU function detected"):
        spaces.launch()


def test_the_app_answers_through_workers(
    studio: zerogpu.Away, plain: Studio, shelf: Shelf, tmp_path: Path
) -> None:
    from gradio_client import Client

    from tests.running_app import running_app

    before = len(spaces.quota.asked)
    codes, cells = example(plain)[1:]
    hole = {"codes": codes.tolist(), "checkpoint": plain.describe().checkpoint}
    hole |= {"rows": 12, "cols": 16}
    with running_app(shelf, tmp_path) as url:
        client = Client(url, verbose=False)
        (found,) = client.predict(hole, cells.astype(int).tolist(), seed=5, api_name="/resample")
    *_, step = plain.fill(codes, cells, Settings(seed=5))
    assert found["codes"] == step.codes[0].tolist()
    assert len(spaces.quota.asked) == before + 1
