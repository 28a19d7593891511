"""How a filling is recorded, and what becomes of it: states, frames, a GIF."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from demo import animation
from demo.animation import gif
from demo.jobs import Settings, Step
from demo.recording import MAX_BYTES, MAX_FRAMES, Recorder
from demo.session import Draft, Made, Origin, Session, Snapshot
from tests.fake_studio import STRIDE, FakeStudio

STUDIO = FakeStudio()


def example() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture (32, 48, 3), its codes, and 12 cells of them."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    codes = STUDIO.encode(picture)
    cells = np.zeros(codes.shape, bool)
    cells[2:5, 3:7] = True
    return picture, codes, cells


def recorded(**settings: object) -> tuple[Recorder, list[Step]]:
    recorder = Recorder(*example()[::2])
    steps = list(STUDIO.resample(*example(), Settings(**settings)))  # type: ignore[arg-type]
    for step in steps:
        recorder.add(step)
    return recorder, steps


def pixels(cells: np.ndarray) -> np.ndarray:
    return cells.repeat(STRIDE, 0).repeat(STRIDE, 1)


@pytest.mark.parametrize("prior", ["masked", "pixelcnn"])
def test_every_variation_has_the_frames_of_its_own_steps(prior: str) -> None:
    picture, _, cells = example()
    recorder, steps = recorded(prior=prior, variations=3, seed=4, steps=5)
    assert len(steps) == (5 if prior == "masked" else 3)
    for variation in range(3):
        # What a job of that seed alone shows at its steps, where it has filled something.
        alone = recorded(prior=prior, seed=4 + variation, steps=5)[1]
        last = steps[-1].codes[variation]
        result = STUDIO.render(picture, last[None], cells)[0]
        recording = recorder.recording(variation)
        frames = list(recording.frames(result, last, STUDIO.render))
        assert len(frames) == len(recording) == len(steps) + 2
        assert np.array_equal(frames[0], picture) and np.array_equal(frames[-1], result)
        for frame, step in zip(frames[2:-1], alone[:-1], strict=True):
            to_do = pixels(step.remaining[0] & cells)
            assert np.array_equal(frame[~to_do], step.picture[~to_do])
            assert (frame[to_do] > 150).all()  # under a veil
        assert np.array_equal(frames[1][~pixels(cells)], picture[~pixels(cells)])
        assert frames[1][pixels(cells)].mean() > picture.mean() + 50


@given(st.integers(1, 400), st.integers(1, 24), st.integers(1, 24), st.integers(1, 3))
def test_it_stays_small_and_evenly_spaced_however_long_the_job(
    count: int, rows: int, columns: int, variations: int
) -> None:
    cells = np.ones((rows, columns), bool)
    recorder = Recorder(np.zeros((rows, columns, 3), np.uint8), cells)
    for number in range(1, count + 1):
        codes = np.full((variations, rows, columns), number)
        recorder.add(Step(codes, codes > count / 2, np.zeros(0), number, count))
    recording = recorder.recording(variations - 1)
    assert len(recording) <= MAX_FRAMES
    kept = [int(drawn[0]) for drawn, _ in recording.states]
    every = kept[0] if kept else 1
    assert kept == list(range(every, count, every))
    assert every == 1 or len(recording) > MAX_FRAMES // 3


def test_the_states_of_a_large_hole_take_no_more_bytes_than_allowed() -> None:
    cells = np.ones((128, 128), bool)
    recorder = Recorder(np.zeros((128, 128, 3), np.uint8), cells)
    codes = np.full((1, 128, 128), 65_535)
    for number in range(1, 101):
        recorder.add(Step(codes, cells[None], np.zeros(0), number, 100))
    states = recorder.recording(0).states
    assert len(states) >= 4
    assert sum(drawn.nbytes + done.nbytes for drawn, done in states) <= MAX_BYTES
    assert all((drawn == 65_535).all() and not done.any() for drawn, done in states)


def test_a_session_knows_how_what_it_shows_was_filled() -> None:
    picture, codes, cells = example()
    recorder, steps = recorded(variations=2, steps=4)
    origins = tuple(Origin("masked", seed, None, recorder.recording(seed)) for seed in range(2))
    draft = Draft(STUDIO.render(picture, steps[-1].codes, cells), steps[-1].codes, cells, origins)
    session = Session.of(picture, Snapshot.untouched(picture, codes, "fake"))
    assert session.recording is None
    proposed = session.propose(draft)
    assert proposed.choose(1).recording is origins[1].recording
    kept = proposed.choose(1).keep()
    assert kept.recording is origins[1].recording
    assert kept.undo().recording is None and kept.undo().redo().recording is kept.recording
    assert proposed.discard().recording is None
    assert kept.edit(picture, codes, cells, Made("brushed")).recording is None


def moving_frames(count: int, size: tuple[int, int]) -> tuple[list[np.ndarray], np.ndarray]:
    width, height = size
    generator = np.random.default_rng(1)
    still = generator.integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    frames = [still]
    for _ in range(count - 1):
        frame = still.copy()
        frame[mask] = generator.integers(0, 256, (int(mask.sum()), 3), np.uint8)
        frames.append(frame)
    return frames, mask


def test_a_gif_has_every_frame_in_a_loop_and_what_stands_still_stands_still() -> None:
    frames, mask = moving_frames(14, (60, 40))
    with Image.open(io.BytesIO(gif(frames, mask))) as image:
        assert image.format == "GIF" and image.size == (60, 40)
        assert image.info["loop"] == 0
        shown, durations = [], []
        for one in ImageSequence.Iterator(image):
            shown.append(np.asarray(one.convert("RGB")).astype(int))
            durations.append(one.info["duration"])
    assert len(shown) == 14
    assert durations == [animation.FIRST, *[250] * 12, animation.LAST]
    for picture, frame in zip(shown, frames, strict=True):
        assert np.array_equal(picture[~mask], shown[0][~mask])
        assert np.abs(picture - frame).mean() < 40  # of 256 colours for noise


def test_a_gif_is_no_larger_than_it_may_be() -> None:
    frames, mask = moving_frames(3, (900, 300))
    with Image.open(io.BytesIO(gif(frames, mask))) as image:
        assert image.size == (512, 171) and getattr(image, "n_frames", 1) == 3
