"""What the comparison of one batch with one after another finds: on a clock that the test winds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from benchmarks import batching


@pytest.mark.parametrize("mates_matter", [False, True])
def test_it_finds_the_gain_and_whether_answers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, mates_matter: bool
) -> None:
    now = 0.0

    def work(which: Sequence[int]) -> Tensor:
        nonlocal now
        now += 3 + len(which)  # 3 for every batch, 1 for every visitor
        return torch.tensor([n + mates_matter * len(which) for n in which])

    for clock in ("process_time", "perf_counter"):
        monkeypatch.setattr(f"time.{clock}", lambda: now)
    figures = batching.gains(work, rounds=3)
    assert figures["seconds_alone"] == 4
    for visitors in batching.VISITORS:
        assert math.isclose(figures[f"gain_with_{visitors}"], 4 * visitors / (3 + visitors))
    assert figures["same_answers"] is not mates_matter
