"""Priors p(z) over code maps: networks that write such maps themselves.

What a sampler may rely on, whatever the network, is `Prior`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


class PriorConfig(Protocol):
    @property
    def num_codes(self) -> int: ...

    @property
    def map_size(self) -> tuple[int, int]: ...

    @property
    def labels(self) -> tuple[str, ...]: ...


@runtime_checkable
class OrderAgnosticPrior(Protocol):
    """A prior that gives p(code | any set of known codes) at every position at once."""

    @property
    def config(self) -> PriorConfig: ...

    def logits(
        self, codes: Tensor, known: Tensor, labels: Tensor | None = None, at: Tensor | None = None
    ) -> Tensor:
        """Scores of every code given the codes where `known` is True.

        codes: (B, h, w) int64, read only where known (B, h, w) bool; h, w = config.map_size.
        labels: (B,) int64 class indices, -1 for no class; None: no class for any.
        at: (B, h, w) bool, the positions wanted; None: all.
        Returns float32 (n, K): one row a wanted position, in order of map, row, column.
        """
        ...


class RasterPriorConfig(PriorConfig, Protocol):
    @property
    def reach(self) -> int: ...


class RasterWalk(Protocol):
    """Logits of a batch of maps code by code, in raster order, from the start of some row."""

    @property
    def codes(self) -> Tensor: ...

    def logits(self, start: int, stop: int) -> Tensor:
        """Scores (B, stop - start, K) float32 in the row, for columns from start to stop - 1."""
        ...

    def put(self, column: int, values: Tensor) -> None:
        """Settle the code (B,) of each map at a column of the row, once its logits are known."""
        ...

    def next_row(self) -> None:
        """Go on to the next row. Every code of this one must be settled."""
        ...

    def select(self, index: Tensor) -> None:
        """Make the batch of maps index (B') int64 of the present one; repeats are copies."""
        ...


@runtime_checkable
class RasterPrior(Protocol):
    """A prior that gives p(code | the codes before it in raster order), for maps of any size.

    It sees at most config.reach rows up, and columns to the left, and to the right in rows above.
    """

    @property
    def config(self) -> RasterPriorConfig: ...

    def bits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """-log2 p (B, h, w) of each code of (B, h, w) int64, given those before it.

        labels: (B,) int64 class indices, -1 for no class; None: no class for any.
        """
        ...

    def walk(self, codes: Tensor, labels: Tensor | None = None, *, row: int = 0) -> RasterWalk:
        """Code by code from the start of `row`. Arguments as for `bits`; codes are copied."""
        ...


EACH_LABEL = "*"  # stands for every class in turn


def label_of(labels: Sequence[str], label: str | None, seed: int) -> str | None:
    """The class a seed's picture is to have: `label`, or that whose turn it is if `EACH_LABEL`.

    Seeds that follow one another have classes that do, the first class after the last. Each of no
    classes is none.
    """
    if label != EACH_LABEL:
        return label
    return labels[seed % len(labels)] if labels else None


def label_index(config: PriorConfig, label: str | None) -> int:
    """Index of a class name in config.labels; -1 for None. Raises ValueError if unknown."""
    if label is None:
        return -1
    if label not in config.labels:
        known = ", ".join(config.labels) or "none: this prior knows no classes"
        raise ValueError(f"unknown class {label!r}; this prior's classes are: {known}")
    return config.labels.index(label)
