"""Frames like those of DeepMind Lab (the paper's 84x84 experiment), drawn as they are needed.

DeepMind's own `labmaze` (arXiv 1612.03801) gives mazes, textures and skies; a ray a column, as
in the games of 1992, finds the walls. Everything follows from a maze's seed and a camera: no
data set is stored, and a maze whose seed was not trained on is one that was never seen.

World units are cells of the maze: x counts columns, y rows, from the upper left corner of the
map; a wall is one cell wide and one high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from vq.data import DataError, Pictures

CELLS = 15  # of a side of the mazes, the outer walls among them
EYE = 0.45  # height of the camera, in cells
VIEW = math.radians(86)  # angle between the left and right edge of a frame
SAMPLES = 2  # of a pixel's side, averaged against jagged edges
TEXELS = 128  # of a texture's side
FRAMES = 8  # of a maze
# Seeds of the mazes of each split: no maze is in both.
SPLITS = {"train": range(2_000), "test": range(1_000_000, 1_000_125)}
ACTIONS = ("forward", "backward", "turn left", "turn right")
STRIDE, TURN = 0.25, math.radians(15)  # what an action moves or turns
BODY = 0.2  # cells that the camera keeps from every wall


class Textures:
    """Square textures in all their halved sizes, so that distant ones do not flicker (mipmaps)."""

    def __init__(self, pictures: list[Image.Image]) -> None:
        self.sizes = [TEXELS >> i for i in range(TEXELS.bit_length())]
        box = Image.Resampling.BOX
        finest = [p.resize((TEXELS, TEXELS), box) for p in pictures]
        levels = [np.stack([np.asarray(p.resize((s, s), box)) for p in finest]) for s in self.sizes]
        self.texels = np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32)
        self.starts = np.cumsum([0, *(len(pictures) * s * s for s in self.sizes)])[:-1]
        self.number = len(pictures)

    def look_up(
        self, which: np.ndarray, u: np.ndarray, v: np.ndarray, width: np.ndarray
    ) -> np.ndarray:
        """Colours (..., 3) float32 at (u, v), repeating with period 1; width: of a sample."""
        halvings = np.log2(np.maximum(width * TEXELS, 1)).round().astype(np.intp)
        level = np.minimum(halvings, len(self.sizes) - 1)
        size = np.asarray(self.sizes)[level]
        column, row = (u % 1 * size).astype(np.intp), (v % 1 * size).astype(np.intp)
        # u % 1 of a tiny negative number rounds to 1.
        column, row = np.minimum(column, size - 1), np.minimum(row, size - 1)
        return self.texels[self.starts[level] + (which * size + row) * size + column]


class Sky:
    """A cube of pictures seen from its middle: four sides and a lid."""

    def __init__(self, faces: dict[str, Image.Image]) -> None:
        box = (8, 8, TEXELS * 4 - 8, TEXELS * 4 - 8)  # the files' rims are a shade off
        self.faces = np.stack(
            [
                np.asarray(
                    faces[name]
                    .resize((TEXELS * 4,) * 2)
                    .resize((TEXELS,) * 2, Image.Resampling.BOX, box),
                    np.float32,
                )
                for name in ("ft", "rt", "bk", "lf", "up")
            ]
        )

    def look_up(self, x: np.ndarray, y: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Colours (..., 3) float32 in directions (x, y, up) of any length, up not negative."""
        face = np.select([(abs(y) <= x), (abs(x) <= y), (abs(y) <= -x)], [0, 1, 2], 3)
        ahead = np.choose(face, [x, y, -x, -y])
        right = np.choose(face, [y, -x, -y, x])
        lid = up > ahead
        scale = np.where(lid, up, ahead)
        a = np.where(lid, y, right) / scale
        b = np.where(lid, -x, up) / scale
        face = np.where(lid, 4, face)
        # The horizon is the sides' middle row. Between texels, colours are blended.
        column, row = ((1 + a) * TEXELS - 1) / 2, ((1 - b) * TEXELS - 1) / 2
        column, row = column.clip(0, TEXELS - 1), row.clip(0, TEXELS - 1)
        left, top = (np.minimum(i.astype(np.intp), TEXELS - 2) for i in (column, row))
        s, t = (column - left)[..., None], (row - top)[..., None]
        upper = self.faces[face, top, left] * (1 - s) + self.faces[face, top, left + 1] * s
        lower = self.faces[face, top + 1, left] * (1 - s) + self.faces[face, top + 1, left + 1] * s
        return upper * (1 - t) + lower * t


@dataclass(frozen=True, eq=False)
class Maze:
    """A maze and what it looks like. Every room has its own wall and floor."""

    walls: np.ndarray  # (rows, columns) bool
    rooms: np.ndarray  # (rows, columns) int: 0 where there is no room
    wall_of_room: np.ndarray  # index of the wall texture
    floor_of_room: np.ndarray
    wall_textures: Textures
    floor_textures: Textures
    sky: Sky


@dataclass(frozen=True)
class Camera:
    x: float
    y: float
    yaw: float  # radians: 0 looks along x (east), growing clockwise on the map


def maze(seed: int) -> Maze:
    """The maze of a seed. Raises DataError if `labmaze` is not installed."""
    try:
        import labmaze
    except ModuleNotFoundError:
        raise DataError("mazes need labmaze: pip install -e '.[mazes]'") from None
    generated = labmaze.RandomMaze(
        height=CELLS,
        width=CELLS,
        max_rooms=6,
        room_min_size=3,
        room_max_size=5,
        extra_connection_probability=0.3,
        random_seed=seed % 2**31,
    )
    entities, letters = (
        np.array([list(line) for line in str(layer).strip("\n").split("\n")])
        for layer in (generated.entity_layer, generated.variations_layer)
    )
    walls = entities == "*"
    rooms = np.where(letters == ".", 0, np.vectorize(ord)(letters) - ord("A") + 1)
    rng = np.random.default_rng((seed, 0x3A2E))
    styles, skies = _assets(Path(labmaze.__file__).parent / "assets")
    wall_textures, floor_textures = styles[rng.integers(len(styles))]
    return Maze(
        walls,
        rooms,
        rng.integers(wall_textures.number, size=27),
        rng.integers(floor_textures.number, size=27),
        wall_textures,
        floor_textures,
        skies[rng.integers(len(skies))],
    )


@cache
def _assets(folder: Path) -> tuple[list[tuple[Textures, Textures]], list[Sky]]:
    """Each style's walls and floors, and the skies. Light ("_m") textures are masks: left out."""

    def read(path: Path) -> Image.Image:
        with Image.open(path) as file:
            return file.convert("RGBA").convert("RGB")

    def textures(style: Path, kind: str) -> Textures:
        return Textures([read(path) for path in sorted(style.glob(f"{kind}_*_d.png"))])

    styles = [
        (textures(style, "wall"), textures(style, "floor"))
        for style in sorted(folder.glob("style_*"))
    ]
    skies = [
        Sky({path.stem: read(path) for path in sky.glob("*.png")})
        for sky in sorted(folder.glob("sky_*"))
    ]
    return styles, skies


def render(maze: Maze, camera: Camera, size: int = 84) -> np.ndarray:
    """What the camera sees: (size, size, 3) uint8."""
    side = size * SAMPLES
    focal = side / 2 / math.tan(VIEW / 2)
    offsets = np.arange(side, dtype=np.float32) - side / 2 + 0.5
    # A ray a column. Its direction is 1 long as measured ahead, so that t is the depth.
    dx = math.cos(camera.yaw) - math.sin(camera.yaw) * offsets / focal
    dy = math.sin(camera.yaw) + math.cos(camera.yaw) * offsets / focal
    depth, along, facing_x = cast(maze.walls, camera.x, camera.y, dx, dy)
    down = offsets[:, None]  # of a sample, below the middle row
    top, bottom = -focal * (1 - EYE) / depth, focal * EYE / depth
    is_wall = (down >= top) & (down < bottom)
    picture = np.empty((side, side, 3), np.float32)

    row, column = np.nonzero(down < top)
    picture[row, column] = maze.sky.look_up(dx[column], dy[column], -offsets[row] / focal)

    row, column = np.nonzero(is_wall)
    d = depth[column]
    before = d - 1e-4  # a wall looks as the room does that it is seen from
    room = maze.rooms[
        (camera.y + before * dy[column]).astype(int), (camera.x + before * dx[column]).astype(int)
    ]
    height = (offsets[row] - top[column]) / (bottom - top)[column]
    colours = maze.wall_textures.look_up(maze.wall_of_room[room], along[column], height, d / focal)
    light = np.where(facing_x[column], 1.0, 0.8) / (1 + 0.03 * d)
    picture[row, column] = colours * light[:, None]

    row, column = np.nonzero(down >= bottom)
    d = focal * EYE / offsets[row]
    x, y = camera.x + d * dx[column], camera.y + d * dy[column]
    rows, columns = maze.rooms.shape
    room = maze.rooms[y.astype(int).clip(0, rows - 1), x.astype(int).clip(0, columns - 1)]
    # A sample is wider ahead than across: its area counts. One floor tile covers two cells.
    width = d / focal * np.sqrt(d / EYE) / 2
    colours = maze.floor_textures.look_up(maze.floor_of_room[room], x / 2, y / 2, width)
    picture[row, column] = colours / (1 + 0.04 * d)[:, None]

    pixels = picture.reshape(size, SAMPLES, size, SAMPLES, 3).mean((1, 3))
    return pixels.round().astype(np.uint8)


def cast(
    walls: np.ndarray, x: float, y: float, dx: np.ndarray, dy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays from (x, y) in directions (dx, dy) first meet a wall of an enclosed map.

    Returns, each (N,): t, so that the place is (x + t dx, y + t dy); the place along the wall's
    face in [0, 1); whether the face looks along x.
    """
    t_x, y_hit = _meet(walls.T, x, y, dx, dy)
    t_y, x_hit = _meet(walls, y, x, dy, dx)
    facing_x = t_x < t_y
    return np.where(facing_x, t_x, t_y), np.where(facing_x, y_hit, x_hit) % 1, facing_x


def _meet(
    walls: np.ndarray, p: float, q: float, dp: np.ndarray, dq: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same for faces across p alone, walls indexed [p, q]: t (inf if none) and q there."""
    lines = np.arange(1, walls.shape[0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = (lines - p) / dp[:, None]  # (N, lines): all crossings, of which one is the first wall
        crossing = q + t * dq[:, None]
        inside = (crossing >= 0) & (crossing < walls.shape[1])
    beyond = np.where(dp[:, None] > 0, lines, lines - 1)
    solid = walls[beyond, np.where(inside, crossing, 0).astype(int)]
    t = np.where((t > 0) & inside & solid, t, np.inf)
    first = t.argmin(1)[:, None]
    return np.take_along_axis(t, first, 1)[:, 0], np.take_along_axis(crossing, first, 1)[:, 0]


def fits(maze: Maze, x: float, y: float) -> bool:
    """Whether the camera may stand there: BODY away from every wall."""
    return not any(maze.walls[int(y + b), int(x + a)] for a in (-BODY, BODY) for b in (-BODY, BODY))


def walk(maze: Maze, camera: Camera, action: str) -> Camera:
    """The camera after one of ACTIONS; along a wall it slides. Raises ValueError if unknown."""
    if action not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}, not {action!r}")
    x, y, yaw = camera.x, camera.y, camera.yaw
    if action.startswith("turn"):
        return Camera(x, y, (yaw + (TURN if action == "turn right" else -TURN)) % math.tau)
    step = STRIDE if action == "forward" else -STRIDE
    if fits(maze, x + step * math.cos(yaw), y):
        x += step * math.cos(yaw)
    if fits(maze, x, y + step * math.sin(yaw)):
        y += step * math.sin(yaw)
    return Camera(x, y, yaw)


def random_camera(maze: Maze, rng: np.random.Generator) -> Camera:
    """A camera somewhere in the maze, not with its nose to a wall."""
    free = np.argwhere(~maze.walls)
    while True:
        row, column = free[rng.integers(len(free))]
        x, y = column + rng.uniform(BODY, 1 - BODY), row + rng.uniform(BODY, 1 - BODY)
        yaw = rng.uniform(0, math.tau)
        ahead = np.array([yaw - VIEW / 4, yaw, yaw + VIEW / 4])
        distance, _, _ = cast(maze.walls, x, y, np.cos(ahead), np.sin(ahead))
        if np.median(distance) > 1:
            return Camera(float(x), float(y), float(yaw))


def frames(seed: int, number: int, *, size: int = 84) -> np.ndarray:
    """The first frames (number, size, size, 3) uint8 of a maze, each from a random camera."""
    world, rng = maze(seed), np.random.default_rng((seed, 0xCA3E))
    return np.stack([render(world, random_camera(world, rng), size) for _ in range(number)])


def maze_frames(split: str, *, size: int = 84, limit: int | None = None) -> Pictures:
    """Frames of a split's mazes, FRAMES of each from random cameras; they have no classes.

    limit: as many frames at most, of the first mazes. Raises DataError if there is no such split.
    """
    if split not in SPLITS:
        raise DataError(f"mazes have the splits {', '.join(SPLITS)}, not {split!r}")
    number = len(SPLITS[split]) * FRAMES
    if limit is not None:
        number = min(number, limit)
    pixels = np.empty((number, size, size, 3), np.uint8)
    for start, seed in zip(range(0, number, FRAMES), SPLITS[split], strict=False):
        stop = min(start + FRAMES, number)
        pixels[start:stop] = frames(seed, stop - start, size=size)
    return Pictures(pixels, np.full(number, -1, np.int64), ())
