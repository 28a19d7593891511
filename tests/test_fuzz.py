"""Every target of `tests/fuzz.py`, a little: hypothesis chooses the numbers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import fuzz


@pytest.mark.parametrize("target", fuzz.TARGETS)
@settings(max_examples=150)
@given(number=st.integers(0, 2**64))
def test_odd_input_is_taken_or_refused(target: str, number: int) -> None:
    fuzz.TARGETS[target](random.Random(number))


def test_a_target_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lets through whatever fails would be found."""

    def broken(_: bytes) -> None:
        raise KeyError("deep inside")

    monkeypatch.setattr(fuzz, "read_picture", broken)
    with pytest.raises(KeyError):
        fuzz.picture(random.Random(0))
