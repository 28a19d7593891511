"""Maze frames: rays against brute force, what a seed fixes, and pictures without seams."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("labmaze")  # optional, and without wheels for the newest Pythons

import labmaze

from vq.data import DataError
from vq.mazes import (
    ACTIONS,
    BODY,
    FRAMES,
    SPLITS,
    Camera,
    Textures,
    _assets,
    cast,
    fits,
    frames,
    maze,
    maze_frames,
    random_camera,
    render,
    walk,
)

TINY = np.array(
    [list(row) for row in ("#######", "#  #  #", "#    ##", "# ##  #", "#     #", "#######")]
)
WALLS = TINY == "#"


def march(x: float, y: float, dx: float, dy: float, step: float = 1e-3) -> float:
    """Go along a ray in small steps until the cell is a wall."""
    t = 0.0
    while not WALLS[int(y + t * dy), int(x + t * dx)]:
        t += step
    return t


@given(
    st.sampled_from([tuple(c) for c in np.argwhere(~WALLS).tolist()]),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.floats(0, math.tau),
)
@settings(max_examples=60, deadline=None)
def test_rays_meet_the_walls_that_small_steps_meet(
    cell: tuple[int, int], a: float, b: float, angle: float
) -> None:
    x, y, dx, dy = cell[1] + a, cell[0] + b, math.cos(angle), math.sin(angle)
    t, along, facing_x = (
        float(found[0]) for found in cast(WALLS, x, y, np.array([dx]), np.array([dy]))
    )
    marched = march(x, y, dx, dy)
    # Small steps pass through a corner that the ray grazes, or are late by less than a step.
    if abs(marched - t) > 2e-3:
        place = np.array([x + t * dx, y + t * dy])
        assert t < marched and np.abs(place - place.round()).max() < 2e-3
        return
    across = x + t * dx if facing_x else y + t * dy
    assert abs(across - round(across)) < 1e-6  # a face lies on a line of the grid
    assert along == pytest.approx((y + t * dy if facing_x else x + t * dx) % 1)


def test_rays_along_the_grid() -> None:
    """Divisions by zero: east, south, west and north of the middle of a cell, and from a line."""
    dx, dy = np.array([1.0, 0, -1, 0]), np.array([0.0, 1, 0, -1])
    t, _, facing_x = cast(WALLS, 1.5, 1.5, dx, dy)
    assert t.tolist() == [1.5, 3.5, 0.5, 0.5]
    assert facing_x.tolist() == [True, False, True, False]
    assert cast(WALLS, 2.0, 2.5, dx, dy)[0].tolist() == [3.0, 0.5, 1.0, 1.5]


def test_a_seed_fixes_the_frames() -> None:
    frames = maze_frames("test", size=24, limit=2 * FRAMES + 1)
    assert frames.pixels.shape == (17, 24, 24, 3) and frames.pixels.dtype == np.uint8
    assert frames.labels.tolist() == [-1] * 17
    fewer = maze_frames("test", size=24, limit=FRAMES)
    assert np.array_equal(frames.pixels[:FRAMES], fewer.pixels)
    assert len(np.unique(frames.pixels.reshape(17, -1), axis=0)) == 17
    with pytest.raises(DataError, match="splits train, test"):
        maze_frames("validation")


def test_no_maze_is_in_two_splits() -> None:
    seeds = [seed for split in SPLITS.values() for seed in split]
    assert len(set(seeds)) == len(seeds)
    # Nor do different seeds often give one maze.
    assert len({maze(seed).walls.tobytes() for seed in seeds[:50] + seeds[-50:]}) == 100


def test_a_wall_straight_ahead_is_as_high_as_geometry_says() -> None:
    """At depth d, EYE of the wall is below the horizon and the rest above."""
    world = maze(0)
    row, column = next(
        (r, c) for r, c in np.argwhere(~world.walls) if not world.walls[r, c : c + 3].any()
    )
    camera = Camera(column + 0.5, row + 0.5, 0.0)
    depth = float(cast(world.walls, camera.x, camera.y, np.ones(1), np.zeros(1))[0][0])
    size = 400
    strip = render(world, camera, size)[:, size // 2].astype(int)
    edges = np.abs(np.diff(strip, axis=0)).sum(1)
    focal = size / 2 / math.tan(math.radians(86) / 2)
    for height in (-(1 - 0.45), 0.45):
        expected = size / 2 + focal * height / depth
        near = edges[round(expected) - 3 : round(expected) + 3]
        assert near.max() > 5 * np.median(edges) + 5


@pytest.mark.parametrize("number", range(3))
def test_the_sky_has_no_seams(number: int) -> None:
    """A hair left and right of every edge of the cube, the sky is all but the same."""
    _, skies = _assets(Path(labmaze.__file__).parent / "assets")
    sky = skies[number]
    hair, worst = 1e-3, 0.0
    for side in range(4):
        edge = math.pi / 4 + side * math.pi / 2
        up = np.linspace(0, 0.68, 200)  # of a length of 1: up to where the lid begins
        left, right = (
            sky.look_up(np.full(200, math.cos(a)), np.full(200, math.sin(a)), up)
            for a in (edge - hair, edge + hair)
        )
        worst = max(worst, np.abs(left - right).max())
        around = np.linspace(edge - 0.7, edge + 0.7, 200)
        x, y = np.cos(around), np.sin(around)
        ahead = np.maximum(abs(x), abs(y))
        below, above = (sky.look_up(x, y, ahead * (1 + h)) for h in (-hair, hair))
        worst = max(worst, np.abs(below - above).max())
    assert worst < 8  # of 255; the file's own neighbouring texels differ by as much
    # The test could fail: across the whole sky colours differ by much more.
    assert np.ptp(sky.faces) > 60


def test_textures_repeat_and_shrink() -> None:
    from PIL import Image

    red, blue = (Image.new("RGB", (256, 256), colour) for colour in ("red", "blue"))
    half = Image.new("RGB", (256, 256), "red")
    half.paste("blue", (128, 0, 256, 256))
    textures = Textures([red, half, blue])
    u, v = np.array([0.2, 0.7, 1.2, -0.3, -1e-18]), np.zeros(5)
    fine = textures.look_up(np.ones(5, int), u, v, np.full(5, 1e-3))
    assert fine.tolist() == [[255, 0, 0], [0, 0, 255], [255, 0, 0], [0, 0, 255], [0, 0, 255]]
    # A sample as wide as the texture sees its mean, a wider one too.
    for width in (1.0, 50.0):
        mean = textures.look_up(np.arange(3), u[:3], v[:3], np.full(3, width))
        expected = np.array([[255, 0, 0], [127.5, 0, 127.5], [0, 0, 255]])
        assert np.allclose(mean, expected, atol=1)


def test_a_walk_stays_out_of_the_walls_and_comes_back() -> None:
    world, rng = maze(7), np.random.default_rng(0)
    camera = random_camera(world, rng)
    start = camera
    for _ in range(24):
        camera = walk(world, camera, "turn right")
    assert camera.yaw == pytest.approx(start.yaw) and (camera.x, camera.y) == (start.x, start.y)
    visited = set()
    for action in rng.choice(ACTIONS, 3000, p=(0.6, 0.1, 0.15, 0.15)):
        camera = walk(world, camera, str(action))
        assert fits(world, camera.x, camera.y)
        visited.add((int(camera.y), int(camera.x)))
    assert len(visited) > 10
    # Straight at a wall it stops, BODY away from it.
    for _ in range(100):
        camera = walk(world, Camera(camera.x, camera.y, 0.0), "forward")
    ahead = cast(world.walls, camera.x, camera.y, np.ones(1), np.zeros(1))[0][0]
    assert BODY <= ahead < BODY + 0.26
    with pytest.raises(ValueError, match="turn left"):
        walk(world, camera, "jump")


def test_cameras_stand_free_and_see_something() -> None:
    world, rng = maze(11), np.random.default_rng(1)
    for _ in range(50):
        camera = random_camera(world, rng)
        assert fits(world, camera.x, camera.y)


def test_without_labmaze_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "labmaze", None)
    with pytest.raises(DataError, match="mazes"):
        maze(0)


def test_the_frames_of_a_maze_are_those_of_its_split() -> None:
    split = maze_frames("test", size=16, limit=12).pixels
    start = SPLITS["test"].start
    assert np.array_equal(frames(start, 8, size=16), split[:8])
    assert np.array_equal(frames(start + 1, 4, size=16), split[8:])
    assert np.array_equal(frames(start + 1, 1, size=16), split[8:9])  # fewer of them are the same
