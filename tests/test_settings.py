"""The settings of a job: their defaults, limits and types."""

from __future__ import annotations

import math

import pytest

from demo.jobs import MAX_SEED, Refusal, Settings
from vq import inpainting


def test_page_and_library_start_from_the_same_temperature_and_guidance() -> None:
    assert Settings().temperature == inpainting.TEMPERATURE
    assert Settings().guidance == inpainting.GUIDANCE


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"seed": 1.5},
        {"seed": None},
        {"seed": "7"},
        {"seed": True},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": 0},
        {"top_p": 0},
        {"top_p": 1.01},
        {"top_k": 0},
        {"top_k": -3},
        {"variations": 0},
        {"variations": 9},
        {"steps": 0},
        {"steps": 10**9},
        {"particles": 0},
        {"particles": 65},
        {"particles": 1.5},
        {"particles": None},
        {"guidance": -1},
        {"guidance": math.nan},
        {"keep": 1},
        {"keep": "half"},
        {"mode": "erase"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(Refusal) as refused:
        Settings(**wrong)  # type: ignore[arg-type]
    assert refused.value.values["name"] == name


def test_settings_come_out_as_the_types_the_library_wants() -> None:
    settings = Settings(
        seed=3.0,  # type: ignore[arg-type]
        variations=2.0,  # type: ignore[arg-type]
        steps=4.0,  # type: ignore[arg-type]
        particles=2.0,  # type: ignore[arg-type]
        top_k=5.0,  # type: ignore[arg-type]
        temperature=1,
    )
    assert settings.seeds == (3, 4) and type(settings.steps) is int and type(settings.top_k) is int
    assert type(settings.particles) is int
