"""One picture, coded in several ways: what each loses and what it costs. NumPy and Pillow only."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from demo.codecs import CODECS, QUALITIES, Codec, encode_at, encode_to_bytes
from demo.jobs import StudioVerbs

SEARCHED = "//searched"  # no checkpoint is called so: neither a folder nor a repository can be
PRICING_SECONDS = 20.0  # that a prior may take to read a map


@dataclass(frozen=True, eq=False)
class CodeUse:
    """The codes `(h, w)` of a picture, out of a book of `num_codes`."""

    codes: np.ndarray
    num_codes: int

    @property
    def shares(self) -> np.ndarray:
        """What part of the map each code has that stands in it `(used,)`."""
        counts = np.unique(self.codes, return_counts=True)[1]
        result: np.ndarray = counts / self.codes.size
        return result

    @property
    def used(self) -> int:
        return len(self.shares)

    @property
    def entropy(self) -> float:
        """Of the codes' own frequencies, in bits a code."""
        return float(-(self.shares * np.log2(self.shares)).sum()) + 0.0  # not -0 for a single code

    @property
    def perplexity(self) -> float:
        """As many codes, all equally frequent, would have the same entropy."""
        return float(2**self.entropy)


@dataclass(frozen=True, eq=False)
class Contender:
    """A picture `(H, W, 3)` as one way of coding gives it back, at the size of the original.

    `bits` are those of the file, or of the codes where all are alike: log2 K each (section 3.1 of
    arXiv 1711.00937). `coded_size` (width, height) is what was coded. `seconds`: there and back.
    """

    picture: np.ndarray
    bits: float
    psnr: float  # dB; inf where nothing was lost
    ssim: float
    seconds: float
    coded_size: tuple[int, int]
    use: CodeUse | None = None  # None where it is no code map
    changed: float | None = None  # share of codes that are not the nearest, where searched for
    fits: bool = True  # False where even the smallest file is larger than was asked

    @property
    def entropy_bits(self) -> float:
        """Bits of all codes by their own frequencies; those of the file where there are none."""
        return self.bits if self.use is None else self.use.codes.size * self.use.entropy

    @property
    def resized(self) -> bool:
        return self.coded_size != (self.picture.shape[1], self.picture.shape[0])


@dataclass(frozen=True)
class CurvePoint:
    """A whole picture at one quality of a codec."""

    quality: int
    bits: float
    psnr: float
    ssim: float


def searched(name: str) -> str:
    """What stands for a checkpoint with searched codes, among names of checkpoints."""
    return f"{name}{SEARCHED}"


def by_codes(studio: StudioVerbs, picture: np.ndarray) -> Contender:
    """The picture `(H, W, 3)` in the codes of a checkpoint, at its own working size and back."""
    own = studio.prepare(Image.fromarray(picture))
    started = time.monotonic()
    return _decoded(studio, picture, own, studio.encode(own), started)


def by_searched_codes(
    studio: StudioVerbs, picture: np.ndarray
) -> Generator[tuple[float, Contender | None], None, None]:
    """The share of the search that is done, from 0 to 1, and what came of it, None until then."""
    own = studio.prepare(Image.fromarray(picture))
    started = time.monotonic()
    nearest = codes = studio.encode(own)
    with closing(studio.search(own, nearest)) as job:
        for share, found in job:
            codes = found
            yield share, None
    changed = float((codes != nearest).mean())
    yield 1.0, replace(_decoded(studio, picture, own, codes, started), changed=changed)


def _decoded(
    studio: StudioVerbs, picture: np.ndarray, own: np.ndarray, codes: np.ndarray, started: float
) -> Contender:
    decoded = studio.decode(codes)
    seconds = time.monotonic() - started
    use = CodeUse(codes, studio.describe().num_codes)
    height, width = picture.shape[:2]
    if decoded.shape != picture.shape:
        whole = Image.fromarray(decoded).resize((width, height), Image.Resampling.BICUBIC)
        decoded = np.asarray(whole)
    return Contender(
        decoded,
        codes.size * math.log2(use.num_codes),
        *studio.quality(picture, decoded),
        seconds,
        (own.shape[1], own.shape[0]),
        use,
    )


def by_codec(studio: StudioVerbs, picture: np.ndarray, codec: Codec, budget: int) -> Contender:
    """The picture as a file of at most `budget` bytes, as near as its quality steps allow."""
    started = time.monotonic()
    coded = encode_to_bytes(picture, budget, codec)
    seconds = time.monotonic() - started
    quality = studio.quality(picture, coded.picture)
    bits = 8.0 * coded.num_bytes
    return Contender(coded.picture, bits, *quality, seconds, coded.size, fits=coded.fits)


def curve(studio: StudioVerbs, picture: np.ndarray, codec: Codec) -> tuple[CurvePoint, ...]:
    """The picture at several qualities of a codec, the lowest first."""
    points = []
    for quality in QUALITIES:
        coded = encode_at(picture, quality, codec)
        figures = studio.quality(picture, coded.picture)
        points.append(CurvePoint(quality, 8.0 * coded.num_bytes, *figures))
    return tuple(points)


def prior_bits(
    studio: StudioVerbs, codes: np.ndarray
) -> Generator[tuple[float, float | None], None, None]:
    """How much of a map `(h, w)` the studio's judge has read, from 0 to 1, and its -log2 p.

    That is None until all of it is read. Nothing comes where there is no such prior, and it ends
    early where reading takes more than `PRICING_SECONDS`, or would at the pace of its first tenth.
    """
    judge = studio.describe().judge
    if judge is None:
        return
    started = time.monotonic()
    with closing(studio.surprise(codes, judge, None)) as job:
        for bits in job:
            share = 1 - float(np.isnan(bits).mean())
            yield share, float(bits.sum(dtype=np.float64)) if share == 1 else None
            if time.monotonic() - started > max(share, 0.1) * PRICING_SECONDS:
                return


@dataclass(frozen=True)
class Choice:
    """What is to be compared: names of checkpoints, and codecs at as many bytes as the first."""

    checkpoints: tuple[str, ...]
    codecs: tuple[Codec, ...]
    search: bool = False  # besides the nearest codes, compare searched ones

    @property
    def maps(self) -> tuple[str, ...]:
        """Names of what is a code map: each checkpoint, and its searched codes."""
        if not self.search:
            return self.checkpoints
        return tuple(key for name in self.checkpoints for key in (name, searched(name)))


@dataclass(frozen=True, eq=False)
class Results:
    """What is known of one picture so far; `choice` says what of it is on show.

    `by_codes`, `prior_bits` and `failed` (what went wrong, in the visitor's language) by name of a
    checkpoint, or `searched` of it; `by_codec` by codec and budget in bytes.
    """

    original: np.ndarray
    choice: Choice = Choice((), ())
    by_codes: Mapping[str, Contender] = field(default_factory=dict)
    by_codec: Mapping[tuple[Codec, int], Contender] = field(default_factory=dict)
    curves: Mapping[Codec, tuple[CurvePoint, ...]] = field(default_factory=dict)
    prior_bits: Mapping[str, float | None] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        return self.original.shape[0] * self.original.shape[1]

    @property
    def reference(self) -> str | None:
        """The checkpoint whose bytes the codecs get: the first that could be compared."""
        return next((name for name in self.choice.checkpoints if name in self.by_codes), None)

    @property
    def budget(self) -> int:
        """Those bytes; 0 where there is no such checkpoint."""
        name = self.reference
        return 0 if name is None else math.ceil(self.by_codes[name].bits / 8)

    @property
    def shown(self) -> dict[str, Contender]:
        """What was chosen and is known, by name, in order."""
        found: dict[str, Contender | None] = {
            name: self.by_codes.get(name) for name in self.choice.maps
        }
        found |= {codec: self.by_codec.get((codec, self.budget)) for codec in self.choice.codecs}
        return {name: contender for name, contender in found.items() if contender is not None}

    @property
    def complete(self) -> bool:
        """Nothing of the choice is left to be worked out."""
        names, codecs = self.choice.maps, self.choice.codecs if self.budget else ()
        return (
            all(name in self.by_codes and name in self.prior_bits for name in names)
            and all((codec, self.budget) in self.by_codec for codec in codecs)
            and all(codec in self.curves for codec in CODECS)
        )

    def having(self, **news: Mapping[Any, Any]) -> Results:
        """With more entries in these fields."""
        fields: dict[str, Any] = {
            name: {**getattr(self, name), **new} for name, new in news.items()
        }
        return replace(self, **fields)
