"""The one table of settings behind links, memory and reset: what a stranger may say."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.filling import SIDE_BY_SIDE
from demo.jobs import Settings, quality_at
from demo.remembered import NAMES, defaults, read
from demo.shelf import Shelf
from demo.tabs import edit_settings
from tests.fake_studio import FakeStudio

with gr.Blocks():
    ABOUT = FakeStudio().describe()
    CONTROLS = {
        "model": gr.Dropdown(["fake", "bare"], value="fake"),
        **edit_settings.build(ABOUT)[0],
    }


def test_every_control_has_one_name_and_its_default() -> None:
    assert NAMES.keys() == CONTROLS.keys() - {"random_seed"}
    assert len(set(NAMES.values())) == len(NAMES)
    assert defaults(CONTROLS) == {
        "model": "fake", "prior": "masked", "mode": "vary", "quality": 3, "n": 1, "seed": None,
        "label": "", "guidance": 5.0, "t": Settings.temperature, "k": 0, "p": 1.0,
        "like": 0.3,
    }  # fmt: skip


def test_a_default_is_a_value_that_may_be_said() -> None:
    said = {name: value for name, value in defaults(CONTROLS).items() if value is not None}
    values, refused = read(said, CONTROLS, {})
    assert not refused
    assert {NAMES[name]: value for name, value in values.items()} == said


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    """Values by the names of the controls, some of them only."""
    every = {
        "model": st.sampled_from(["fake", "bare"]),
        "prior": st.sampled_from([*ABOUT.priors, SIDE_BY_SIDE]),
        "mode": st.sampled_from(["vary", "remove"]),
        "quality": st.integers(1, 5),
        "variations": st.integers(1, 8),
        "seed": st.integers(0, 2**32 - 1),
        "label": st.sampled_from(["", *ABOUT.labels]),
        "guidance": st.floats(1, 8),
        "temperature": st.floats(0.3, 2),
        "top_k": st.integers(0, 512),
        "top_p": st.floats(0.1, 1),
        "likeness": st.floats(0.1, 0.9),
    }
    assert every.keys() == NAMES.keys()
    return draw(st.fixed_dictionaries({}, optional=every))


@given(settings(), st.booleans())
def test_what_was_said_is_read_from_a_link_and_from_the_browser(
    chosen: dict[str, Any], link: bool
) -> None:
    raw = {NAMES[name]: repr(value) if link and not isinstance(value, str) else value
           for name, value in chosen.items()}  # fmt: skip
    values, refused = read({**raw, "utm_source": "elsewhere", "__theme": "dark"}, CONTROLS, {})
    assert not refused
    # Who says a seed wants that seed.
    assert values == chosen | ({"random_seed": False} if "seed" in chosen else {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*NAMES.values(), "x"]), json_values))
def test_whatever_a_stranger_says_is_a_value_of_its_control_or_refused_by_name(
    raw: dict[str, Any],
) -> None:
    values, refused = read(raw, CONTROLS, {})
    said = [name for name, short in NAMES.items() if short in raw]
    assert {text.split(" = ")[0] for text in refused} == {
        NAMES[name] for name in said if name not in values
    }
    assert all(len(text) < 60 for text in read(dict.fromkeys(raw, "?" * 99), CONTROLS, {})[1])
    for name, value in values.items():
        CONTROLS[name].preprocess(value)  # Gradio finds no fault with it
    # What does not depend on a checkpoint is a setting of a job.
    chosen: dict[str, Any] = {
        name: value
        for name, value in values.items()
        if name in ("mode", "variations", "seed", "guidance", "temperature", "top_p")
    }
    Settings(**chosen, top_k=values.get("top_k") or None)
    quality_at(values.get("quality", 3))


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        ({"t": "9"}, "t = '9'"),
        ({"t": "nan"}, "t = 'nan'"),
        ({"t": math.inf}, "t = inf"),
        ({"n": "1.5"}, "n = '1.5'"),
        ({"n": True}, "n = True"),
        ({"n": 10**400}, "n = 1"),
        ({"seed": "-1"}, "seed = '-1'"),
        ({"k": "513"}, "k = '513'"),
        ({"mode": "<script>"}, "mode = '<script>'"),
        ({"prior": "oracle"}, "prior = 'oracle'"),
        ({"label": ["forest"]}, "label = ['forest']"),
        ({"model": "../secret"}, "model = '../secret'"),
    ],
)
def test_a_refusal_names_the_setting_and_what_it_was_to_be(
    raw: dict[str, Any], refused: str
) -> None:
    values, reasons = read({**raw, "quality": "5"}, CONTROLS, {})
    assert values == {"quality": 5}
    assert len(reasons) == 1 and reasons[0].startswith(refused)


def test_another_checkpoint_has_other_choices() -> None:
    bare = FakeStudio(priors=("pixelcnn",), name="bare")
    about = Shelf.of(bare).default.describe()
    limits = edit_settings.follow(about, None, None, "en")
    limits["top_k"]["maximum"] = 16
    raw = {"prior": "pixelcnn", "k": "16"}
    assert read(raw, CONTROLS, limits) == ({"prior": "pixelcnn", "top_k": 16}, [])
    raw = {"prior": "masked", "k": "17"}
    assert read(raw, CONTROLS, limits) == ({}, ["prior = 'masked'", "k = '17'"])
