"""What the page asks of the studio and what it gets back: plain values and NumPy arrays, no torch.

Pictures are uint8 `(H, W, 3)`. A code map is an integer array `(h, w)`; `cells` is a bool array of
the same shape, True where the visitor painted. `V` counts variations.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

MODES = ("vary", "remove")
MAX_SEED = 2**32 - 1
LARGEST_RANDOM_SEED = 999_999  # short enough to be noted down
MAX_VARIATIONS = 8
MAX_STEPS = 256
MAX_PARTICLES = 64
MAX_PICTURES = 16  # generated at a time
MAX_GUIDANCE = 20.0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 5.0
MAX_KEEP = 0.95


class Refusal(ValueError):
    """An expected "no". `key` names the message in `demo/text`, `values` fill its placeholders."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key} {values}" if values else key)
        self.key = key
        self.values = values


def _number(name: str, value: Any, low: float, high: float) -> float:
    if not _is_number(value) or not low <= value <= high:
        raise Refusal(
            "error_number", name=name, low=f"{low:g}", high=f"{high:g}", got=reprlib.repr(value)
        )
    return float(value)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if not _is_number(value) or not low <= value <= high or value != int(value):
        raise Refusal("error_whole", name=name, low=low, high=high, got=reprlib.repr(value))
    return int(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)  # isfinite(10**400) raises


@dataclass(frozen=True)
class Settings:
    """How a hole is to be filled. Raises `Refusal`, naming field and limits, if out of range."""

    prior: str = "masked"
    mode: Literal["vary", "remove"] = (
        "vary"  # "vary" resamples the codes as they are, "remove" blanks the pixels first
    )
    variations: int = 1
    seed: int = 0  # variation i has seed + i
    label: str | None = None
    guidance: float = 5.0  # as vq.inpainting.GUIDANCE; 1: none
    temperature: float = 0.9  # as vq.inpainting.TEMPERATURE
    top_k: int | None = None  # None: every code
    top_p: float = 1.0  # 1: every code
    steps: int = 12  # of a prior that settles codes all over the hole
    particles: int = 8  # fillings that a prior which goes row by row tries side by side
    keep: float = 0.0  # share of the hole's codes that stay (vq.resampling): akin to what is there

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise Refusal(
                "error_choice", name="mode", got=reprlib.repr(self.mode), known=", ".join(MODES)
            )
        checked = {
            "variations": _whole("variations", self.variations, 1, MAX_VARIATIONS),
            "seed": _whole("seed", self.seed, 0, MAX_SEED),
            "guidance": _number("guidance", self.guidance, 0.0, MAX_GUIDANCE),
            "temperature": _number(
                "temperature", self.temperature, MIN_TEMPERATURE, MAX_TEMPERATURE
            ),
            "top_k": self.top_k if self.top_k is None else _whole("top_k", self.top_k, 1, 2**16),
            "top_p": _number("top_p", self.top_p, 0.01, 1.0),
            "steps": _whole("steps", self.steps, 1, MAX_STEPS),
            "particles": _whole("particles", self.particles, 1, MAX_PARTICLES),
            "keep": _number("keep", self.keep, 0.0, MAX_KEEP),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed a variation, so that any of them can be made again alone."""
        return tuple(self.seed + i for i in range(self.variations))


def picture_count(value: Any) -> int:
    """How many pictures to generate; raises `Refusal` if that is out of range."""
    return _whole("n", value, 1, MAX_PICTURES)


@dataclass(frozen=True)
class Quality:
    """How much work a filling is worth, for a prior of either kind (see `Settings`)."""

    name: str
    steps: int
    particles: int


# From one to the next about twice the work.
QUALITIES = (
    Quality("quick", 4, 1),
    Quality("light", 8, 4),
    Quality("balanced", 12, 8),
    Quality("careful", 24, 16),
    Quality("thorough", 48, 32),
)
BALANCED = 3  # its place, counted from 1, as the visitor's slider counts


def quality_at(stop: Any) -> Quality:
    """The quality at a stop of the slider, from 1. Raises `Refusal` where there is none."""
    return QUALITIES[_whole("quality", stop, 1, len(QUALITIES)) - 1]


@dataclass(frozen=True)
class SecondStage:
    """A VQ-VAE over the code maps of a checkpoint: a few codes, its latents, for a whole map."""

    latents: int
    num_codes: int  # K of each latent
    map_size: tuple[int, int]  # of the maps it knows: rows, columns

    @property
    def bits(self) -> float:
        """What a map costs by the latents' number."""
        return self.latents * math.log2(self.num_codes)


@dataclass(frozen=True)
class Description:
    """What is loaded."""

    name: str
    num_codes: int
    stride: int  # pixels along one side of a code
    priors: tuple[str, ...]
    labels: tuple[str, ...]
    device: str
    palette: np.ndarray  # (K, 3) uint8: the colour that stands for each code on the map
    raster: tuple[str, ...] = ()  # those of the priors that go row by row: `steps` is not theirs
    checkpoint: str = ""  # what codes belong to (`vq.weights.fingerprint`)
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of its card, by split
    second: SecondStage | None = None

    @property
    def mazes(self) -> bool:
        """Whether its card measures it on frames of mazes: `StudioVerbs.frames` are examples."""
        return any(split.startswith("mazes/") for split in self.figures)

    @property
    def whole(self) -> str | None:
        """The prior that makes whole pictures if none is named (`vq.generation.whole_prior`)."""
        return next(iter((*self.raster, *self.priors)), None)

    @property
    def judge(self) -> str | None:
        """The prior that candidates are compared under, whichever made them.

        Only a prior that goes row by row tells how likely a whole map is: its bits add up.
        """
        return self.raster[0] if self.raster else None


@dataclass(frozen=True, eq=False)
class Step:
    """The state after a step: `codes` and `remaining` `(V, h, w)`, and one `picture`: the first."""

    codes: np.ndarray
    remaining: np.ndarray
    picture: np.ndarray
    step: int  # from 1
    steps: int


@dataclass(frozen=True, eq=False)
class CodeStep:
    """The state of maps that are being filled: `codes` and `remaining` `(N, h, w)`.

    `step` of `steps` is that of the maps at work; those after them are still to begin.
    """

    codes: np.ndarray
    remaining: np.ndarray
    at_work: range
    step: int  # from 1
    steps: int


@dataclass(frozen=True, eq=False)
class Coded:
    """A picture after it was coded, and what that cost."""

    picture: np.ndarray
    bits: float
    psnr: float  # dB; inf where nothing was lost
    ssim: float


@dataclass(frozen=True)
class Rounding:
    """What choosing the nearest code vector e does to an encoder output z, over a picture."""

    commitment: float  # mean squared distance, per element: the loss term, not yet times beta
    relative: float  # root of the mean of |z - e|², as a share of that of |e|²


@dataclass(frozen=True, eq=False)
class CodeBook:
    """The codes themselves: `vectors` `(K, D)` float32, and a picture of each.

    `patches` `(K, s, s, 3)`, s the stride: what a code decodes to among copies of itself; where
    that takes minutes, the colour that stands for it on the map.
    """

    vectors: np.ndarray
    patches: np.ndarray


class StudioVerbs(Protocol):
    """What the tabs need of a studio; `demo.studio.Studio` is the real one."""

    def describe(self) -> Description: ...

    def prepare(self, upload: Image.Image) -> np.ndarray:
        """The upload at its working size: sides the stride divides, aspect kept."""
        ...

    def encode(self, picture: np.ndarray) -> np.ndarray: ...

    def search(
        self, picture: np.ndarray, codes: np.ndarray
    ) -> Generator[tuple[float, np.ndarray], None, None]:
        """Codes that decode nearer to the picture, better each time, and the share of it done."""
        ...

    def decode(self, codes: np.ndarray) -> np.ndarray: ...

    def resample(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        """Fill the painted cells. Ends when closed. Raises `Refusal` at once, not at a step."""
        ...

    def render(self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Decode `codes` `(V, h, w)` and lay them over `picture` where painted → `(V, H, W, 3)`."""
        ...

    def fill(
        self, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[CodeStep, None, None]:
        """`resample` for codes that have no picture: every map of the step is at work."""
        ...

    def generate(self, count: int, settings: Settings) -> Generator[CodeStep, None, None]:
        """`count` whole maps at the prior's own size, a few at a time; map i has seed + i.

        A map depends on its seed, never on `count`. Ends when closed. Raises `Refusal` at once.
        """
        ...

    def surprise(
        self, codes: np.ndarray, prior: str, label: str | None
    ) -> Generator[np.ndarray, None, None]:
        """-log2 p of each code `(h, w)` float32, more of them each time; NaN where still unknown.

        Ends when closed. Raises `Refusal` at once, not at a step.
        """
        ...

    def judge(self, codes: np.ndarray, cells: np.ndarray, label: str | None) -> np.ndarray:
        """How surprising what fills `cells` is in each map of `codes` `(V, h, w)`: bits `(V,)`.

        Under the prior `Description.judge`; there must be one. A label that it does not know is
        left out. The bits are those of all codes
        that the cells have a say in, so that a difference between two maps is exactly that of
        their log-likelihoods.
        """
        ...

    def reconstruct(self, picture: np.ndarray) -> Coded:
        """The picture from its codes alone."""
        ...

    def quality(self, original: np.ndarray, other: np.ndarray) -> tuple[float, float]:
        """PSNR in dB, inf where they are equal, and SSIM of two pictures of one size."""
        ...

    def rounding(self, picture: np.ndarray) -> Rounding:
        """How far the encoder's outputs for `picture` lie from their codes."""
        ...

    def code_book(self) -> CodeBook: ...

    def frames(self, first: int) -> np.ndarray:
        """A frame of each of four mazes that nothing was trained on: `(4, H, W, 3)`.

        They are the mazes number `first`, from 0, and the next ones. Raises `Refusal` where mazes
        cannot be drawn.
        """
        ...

    def fit(self, picture: np.ndarray) -> np.ndarray:
        """The middle of a picture at the one size whose maps the second stage knows.

        Raises `Refusal` where there is none.
        """
        ...

    def encode_latents(self, codes: np.ndarray) -> tuple[int, ...]:
        """A map `(h, w)` in the codes of the second stage. Raises `Refusal` where that cannot be.

        There may be no second stage, or it knows maps of another size.
        """
        ...

    def decode_latents(
        self, latents: Sequence[int], settings: Settings
    ) -> Generator[CodeStep, None, None]:
        """A map for each of the settings' seeds, drawn given the same latents: a row a step.

        A map depends on its seed and the latents alone. Ends when closed. Raises `Refusal` at once.
        """
        ...

    def inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> Generator[None, None, list[Image.Image]]:
        """Repaint the pixels `mask` `(H, W)` at the picture's own size: one picture a variation.

        Yields at every step and returns the pictures. Raises `Refusal` at once, not at a step.
        """
        ...
