"""The one door to the models: a checkpoint at work, on which device, and whose turn it is.

The only file of the demo that knows torch. Its verbs take and give NumPy arrays and Pillow pictures
(`demo.jobs`). Every call to a network holds the turn for that call only, so a long job lets others
in between its steps. Randomness comes from seeds alone: what others do at the same time changes
nothing.
"""

from __future__ import annotations

import math
import os
import reprlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from demo.codemap.packing import MAX_SIDE
from demo.drawing import code_palette
from demo.jobs import (
    CodeBook,
    Coded,
    CodeStep,
    Description,
    Refusal,
    Rounding,
    SecondStage,
    Settings,
    Step,
)
from demo.shelf import Load
from demo.turn import Turn
from vq import checkpoints, inpainting, mazes, pictures, regions
from vq import latents as second_stage
from vq.code_book import code_patches, code_vectors
from vq.code_search import PASSES, search_steps
from vq.data import DataError
from vq.evaluation import psnr, rate_bits, ssim
from vq.front_matter import figures
from vq.precision import fast, release_memory
from vq.priors import EACH_LABEL, RasterPrior
from vq.surprise import code_bits_steps, filling_bits
from vq.weights import fingerprint

LONGEST = 512  # pixels on the long side of the working picture
TOGETHER = 4  # pictures generated at a time: the first are there early, and a step is soon over
PATCH_BATCH = 32  # codes of the code book that are decoded together
MOST_PATCHED = 2**18  # pixels of all patches, for a decoder that looks at all of a map
# All studios share the machine, and so the turn.
TURN = Turn()

_Step = TypeVar("_Step")


def best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Studio:
    """A checkpoint at work. Safe to use from many threads.

    Without a prior its codes can be seen, painted and decoded; what asks a prior is refused.
    Raises CheckpointError where there is more than one code a position: no page shows such maps.
    """

    def __init__(
        self,
        checkpoint: checkpoints.Checkpoint,
        name: str,
        device: str | torch.device | None = None,
        turn: AbstractContextManager[object] = TURN,
    ) -> None:
        books = checkpoint.autoencoder.config.books
        if books > 1:
            raise checkpoints.CheckpointError(f"{name}: {books} codes a position; the app shows 1")
        self._device = torch.device(device) if device is not None else best_device()
        self._autoencoder = checkpoint.autoencoder.to(self._device).eval()
        self._priors = {
            name: prior.to(self._device).eval() for name, prior in checkpoint.priors.items()
        }
        if checkpoint.map_vae is not None:
            checkpoint.map_vae.to(self._device).eval()
        self._raster = tuple(n for n, p in self._priors.items() if isinstance(p, RasterPrior))
        self._checkpoint = checkpoint
        self._turn = turn
        self._book: CodeBook | None = None
        self._book_making = threading.Lock()
        self._name = name

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] = checkpoints.DEFAULT_CHECKPOINT,
        device: str | torch.device | None = None,
    ) -> Studio:
        """Raises `vq.checkpoints.CheckpointError` where the folder is missing or not sound."""
        return cls(checkpoints.load(path), Path(path).name, device)

    def describe(self) -> Description:
        return self._about

    @cached_property
    def _about(self) -> Description:
        return Description(
            name=self._name,
            num_codes=self._checkpoint.num_codes,
            stride=self._checkpoint.stride,
            priors=tuple(self._priors),
            labels=self._checkpoint.labels,
            device=self._device.type,
            palette=code_palette(code_vectors(self._autoencoder)),
            raster=self._raster,
            checkpoint=fingerprint(self._autoencoder),
            figures=figures(self._checkpoint.card),
            second=_second(self._checkpoint),
        )

    def prepare(self, upload: Image.Image) -> np.ndarray:
        """The upload at its working size `(H, W, 3)`; the stride divides both sides."""
        stride = self._checkpoint.stride
        longest = min(LONGEST, MAX_SIDE * stride)
        size = pictures.working_size(upload.width, upload.height, stride, longest)
        return np.asarray(upload.resize(size, Image.Resampling.LANCZOS))

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """Picture `(H, W, 3)` uint8 → codes `(h, w)`."""
        with self._working():
            return inpainting.encode(self._autoencoder, picture)

    def search(
        self, picture: np.ndarray, codes: np.ndarray
    ) -> Generator[tuple[float, np.ndarray], None, None]:
        """From codes `(h, w)`, those that decode nearer to the picture `(H, W, 3)`, pass by pass.

        Each time with the share of all passes that are done, from 0 to 1. See `vq.code_search`.
        """
        with self._working():
            target = pictures.to_tensor(picture).to(self._device)
        job = search_steps(self._autoencoder, target, self._tensor(codes)[None])
        done = 0
        while (found := self._next(job)) is not None:
            yield done / PASSES, found[0].cpu().numpy()
            done += 1

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes `(h, w)` → picture `(H, W, 3)` uint8."""
        with self._working():
            return inpainting.decode(self._autoencoder, codes[None].astype(np.int64))[0]

    def resample(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        """Fill the painted `cells` `(h, w)`, one `Step` after another; ends at once when closed.

        Raises `Refusal` for a prior or label that is not there, before anything is computed.
        """
        self._chosen(settings.prior, settings.label, each=True)
        return self._steps(picture, codes, cells, settings)

    def _steps(
        self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[Step, None, None]:
        mask = regions.mask_from_hole(cells, self._checkpoint.stride)
        with self._working():
            region = inpainting.prepare(
                self._autoencoder, picture, mask, settings.mode, codes.astype(np.int64)
            )
        job = inpainting.region_steps(
            self._checkpoint,
            region,
            seeds=settings.seeds,
            keep=settings.keep,
            **self._sampling(settings),
        )
        while (state := self._next(job)) is not None:
            filled, remaining = state["codes"], state["remaining"]
            preview = self.render(picture, filled[:1], cells & ~remaining[0])[0]
            yield Step(filled, remaining, preview, state["step"], state["steps"])

    def fill(
        self, codes: np.ndarray, cells: np.ndarray, settings: Settings
    ) -> Generator[CodeStep, None, None]:
        """`resample` for codes `(h, w)` that have no picture."""
        self._chosen(settings.prior, settings.label, each=True)
        sampling = {**self._sampling(settings), "keep": settings.keep}
        return self._fill(codes, cells, settings.seeds, sampling)

    def generate(self, count: int, settings: Settings) -> Generator[CodeStep, None, None]:
        """`count` whole maps at the prior's own size, a few at a time; map i has seed + i."""
        size = self._chosen(settings.prior, settings.label, each=True).config.map_size
        # No code is known beforehand, so there is nothing for particles to lead up to.
        sampling = {**self._sampling(settings), "particles": 1}
        return self._generate(size, [settings.seed + i for i in range(count)], sampling)

    def _generate(
        self, size: tuple[int, int], seeds: Sequence[int], sampling: dict[str, Any]
    ) -> Generator[CodeStep, None, None]:
        codes = np.zeros((len(seeds), *size), np.int64)
        remaining = np.ones(codes.shape, bool)
        for first in range(0, len(seeds), TOGETHER):
            at_work = range(first, min(first + TOGETHER, len(seeds)))
            these = slice(first, at_work.stop)
            for step in self._fill(codes[first], remaining[first], seeds[these], sampling):
                codes[these], remaining[these] = step.codes, step.remaining
                yield CodeStep(codes.copy(), remaining.copy(), at_work, step.step, step.steps)

    def _fill(
        self, codes: np.ndarray, cells: np.ndarray, seeds: Sequence[int], sampling: dict[str, Any]
    ) -> Generator[CodeStep, None, None]:
        region = inpainting.Region(codes.astype(np.int64), cells.copy())  # a caller's may change
        job = inpainting.region_steps(self._checkpoint, region, seeds=seeds, **sampling)
        while (state := self._next(job)) is not None:
            yield CodeStep(at_work=range(len(seeds)), **state)

    def _chosen(self, name: str, label: str | None, *, each: bool = False) -> Any:
        """The prior of that name, if it knows the label; raises `Refusal` otherwise.

        each: whether the label may stand for each of them in turn.
        """
        if not self._priors:
            raise Refusal("error_no_prior", model=self._name)
        prior = self._priors.get(name) if isinstance(name, str) else None
        if prior is None:
            known = ", ".join(self._priors)
            raise Refusal("error_choice", name="prior", got=reprlib.repr(name), known=known)
        labels = (*prior.config.labels, EACH_LABEL) if each else prior.config.labels
        if label is not None and label not in labels:
            known = ", ".join(labels)
            raise Refusal("error_choice", name="label", got=reprlib.repr(label), known=known)
        return prior

    def _next(self, job: Iterator[_Step]) -> _Step | None:
        with self._working():
            return next(job, None)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Within it is the turn at the networks. Raises `Refusal` where a GPU's memory runs out."""
        with self._turn:
            try:
                yield
            except torch.OutOfMemoryError as error:
                release_memory(error)
                raise Refusal("error_memory") from None

    @staticmethod
    def _sampling(settings: Settings) -> dict[str, Any]:
        """Settings under the names of `vq.resampling`."""
        return {
            "prior": settings.prior,
            "label": settings.label,
            "guidance": settings.guidance,
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "top_p": settings.top_p,
            "steps": settings.steps,
            "particles": settings.particles,
        }

    def render(self, picture: np.ndarray, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Decode `codes` `(V, h, w)` and lay them over `picture` where painted → `(V, H, W, 3)`.

        Only the painted part is decoded, with as many codes around it as the decoder looks at.
        """
        return inpainting.lay_over(
            self.decode, picture, codes, cells, self._checkpoint.stride, self._autoencoder.reach
        )

    def surprise(
        self, codes: np.ndarray, prior: str, label: str | None
    ) -> Generator[np.ndarray, None, None]:
        """-log2 p of each code `(h, w)` float32, more of them each time; NaN where still unknown.

        Raises `Refusal` for a prior or label that is not there, before anything is computed.
        """
        model = self._chosen(prior, label)
        return self._bits(code_bits_steps(model, self._tensor(codes), label=label))

    def _bits(self, job: Iterator[torch.Tensor]) -> Generator[np.ndarray, None, None]:
        while (bits := self._next(job)) is not None:
            yield bits.cpu().numpy()

    def judge(self, codes: np.ndarray, cells: np.ndarray, label: str | None) -> np.ndarray:
        """Bits `(V,)` of what fills `cells` in each map `(V, h, w)`, under `Description.judge`."""
        model = self._priors[self._raster[0]]
        if label not in model.config.labels:
            label = None
        hole = regions.dilate(cells)  # as wide as that of Remove: maps are alike outside
        bits = []
        for one in codes:
            with self._working():
                bits.append(filling_bits(model, self._tensor(one), hole, label=label))
        return np.array(bits)

    def _tensor(self, codes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(codes.astype(np.int64)).to(self._device)

    def reconstruct(self, picture: np.ndarray) -> Coded:
        """The picture `(H, W, 3)` from its codes alone, before any entropy coding."""
        decoded = self.decode(self.encode(picture))
        bits = rate_bits(self._autoencoder, *picture.shape[:2])
        return Coded(decoded, bits, *self.quality(picture, decoded))

    def quality(self, original: np.ndarray, other: np.ndarray) -> tuple[float, float]:
        """(PSNR in dB, SSIM) of two pictures `(H, W, 3)` uint8 of one size (`vq.evaluation`)."""
        a, b = pictures.to_tensor(original), pictures.to_tensor(other)
        with torch.inference_mode():
            return float(psnr(a, b)[0]), float(ssim(a, b)[0])

    def rounding(self, picture: np.ndarray) -> Rounding:
        """How far encoder outputs for a picture `(H, W, 3)` lie from their codes.

        The first figure is the third term of the paper's loss, not yet times beta.
        """
        batch = pictures.to_tensor(picture)
        with self._working(), torch.inference_mode(), fast(self._device):
            quantized = self._autoencoder(batch.to(self._device)).quantized
            commitment, power = quantized.commitment_loss, quantized.vectors.square().mean()
        return Rounding(float(commitment), math.sqrt(float(commitment / power)))

    def inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> Generator[None, None, list[Image.Image]]:
        """Repaint the pixels `mask` `(H, W)` at the picture's own size: one picture a variation.

        Raises `Refusal` for what the library refuses, before anything is computed.
        """
        self._chosen(settings.prior, settings.label, each=True)
        if not mask.any():
            raise Refusal("error_empty_mask")
        return self._inpaint(picture, mask, settings)

    def _inpaint(
        self, picture: Image.Image, mask: np.ndarray, settings: Settings
    ) -> Generator[None, None, list[Image.Image]]:
        with self._working():
            region = inpainting.open_region(
                self._autoencoder, picture, mask, settings.mode, LONGEST
            )
        job = inpainting.region_steps(
            self._checkpoint, region, seeds=settings.seeds, **self._sampling(settings)
        )
        while (state := self._next(job)) is not None:
            filled = state["codes"]
            yield
        original = np.asarray(picture.convert("RGB"))
        decoded = [self.decode(one) for one in filled]
        return [Image.fromarray(inpainting.paste(original, mask, new)) for new in decoded]

    def frames(self, first: int) -> np.ndarray:
        """A frame of each of four mazes that nothing was trained on: `(4, 84, 84, 3)`."""
        start = mazes.SPLITS["test"].start + first
        try:
            return np.concatenate([mazes.frames(start + i, 1) for i in range(4)])
        except DataError:
            raise Refusal("error_no_labmaze") from None

    def fit(self, picture: np.ndarray) -> np.ndarray:
        """The picture's middle `(H, W, 3)` at the size that the second stage knows."""
        with self._refusing_latents():
            return second_stage.fitted(self._checkpoint, Image.fromarray(picture))

    def encode_latents(self, codes: np.ndarray) -> tuple[int, ...]:
        """A map `(h, w)` in the codes of the second stage; `Refusal` where that cannot be."""
        with self._refusing_latents(), self._working():
            return second_stage.encode(self._checkpoint, codes)

    def decode_latents(
        self, latents: Sequence[int], settings: Settings
    ) -> Generator[CodeStep, None, None]:
        """A map for each seed given the same latents; raises `Refusal` before anything is drawn."""
        sampling = {name: getattr(settings, name) for name in ("temperature", "top_k", "top_p")}
        with self._refusing_latents(), self._working():
            job = second_stage.decoding_steps(self._checkpoint, latents, settings.seeds, **sampling)
        return self._drawn(job, len(settings.seeds))

    def _drawn(self, job: Iterator[dict[str, Any]], n: int) -> Generator[CodeStep, None, None]:
        while (state := self._next(job)) is not None:
            yield CodeStep(at_work=range(n), **state)

    @contextmanager
    def _refusing_latents(self) -> Iterator[None]:
        if self._checkpoint.map_vae is None:
            raise Refusal("error_no_latents", model=self._name)
        try:
            yield
        except ValueError as error:
            raise Refusal("error_refused", reason=error) from None

    def code_book(self) -> CodeBook:
        """Every code's vector and patch; computed once."""
        with self._book_making:
            if self._book is None:
                self._book = CodeBook(code_vectors(self._autoencoder), self._patches())
        return self._book

    def _patches(self) -> np.ndarray:
        """What each code decodes to among copies of itself `(K, s, s, 3)`."""
        number, stride = self._checkpoint.num_codes, self._checkpoint.stride
        if self._autoencoder.reach is None and number * stride**2 > MOST_PATCHED:
            # Large decoders have large code books: minutes would pass, and others would wait.
            colours = self._about.palette[:, None, None]
            return np.broadcast_to(colours, (number, stride, stride, 3))
        patches = []
        for part in np.array_split(np.arange(number), -(-number // PATCH_BATCH)):
            with self._working():
                patches.append(code_patches(self._autoencoder, part))
        return np.concatenate(patches)


def _second(checkpoint: checkpoints.Checkpoint) -> SecondStage | None:
    if checkpoint.map_vae is None:
        return None
    c = checkpoint.map_vae.config
    return SecondStage(c.latents, c.latent_codes, c.map_size)


def loader(
    path: Path, name: str, make: Callable[[checkpoints.Checkpoint, str], Studio] = Studio
) -> Load:
    """How a checkpoint's folder is loaded, under that name, when it is asked for."""

    def load() -> Studio:
        try:
            return make(checkpoints.load(path), name)
        except checkpoints.CheckpointError as error:
            raise Refusal("error_refused", reason=error) from None

    return load
