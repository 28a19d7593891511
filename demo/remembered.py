"""The settings of the Edit tab as a link carries them, and as the browser remembers them.

Both hold what differs from the defaults, under the names below. What a default is, and what is
allowed, the controls themselves know (`demo.tabs.edit_settings`): there is no second table.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

import gradio as gr

Controls = Mapping[str, gr.components.Component]

# A control → its name in a link. Whether seeds are drawn anew has none: where they are not, there
# is a seed, and where they are, a seed says nothing.
NAMES = {
    "model": "model",
    "prior": "prior",
    "mode": "mode",
    "quality": "quality",
    "variations": "n",
    "seed": "seed",
    "label": "label",
    "guidance": "guidance",
    "temperature": "t",
    "top_k": "k",
    "top_p": "p",
    "likeness": "like",
}


def defaults(controls: Controls) -> dict[str, Any]:
    """Name in a link → default; that of the seed is to have none."""
    return {NAMES[name]: None if name == "seed" else controls[name].value for name in NAMES}


def read(
    raw: Mapping[str, Any], controls: Controls, limits: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Values by the names of the controls, and what of `raw` cannot be one of them, for a message.

    `raw` is a stranger's: the parameters of a link, or what the browser says it remembers; what it
    has beside `NAMES` is passed over. `limits` has what differs from the controls' own `choices`
    and `maximum`, as another checkpoint is chosen.
    """
    values: dict[str, Any] = {}
    refused = []
    for name, short in NAMES.items():
        if short in raw:
            try:
                values[name] = _value(raw[short], controls[name], limits.get(name, {}))
            except ValueError:
                refused.append(f"{short} = {reprlib.repr(raw[short])}")
    if "seed" in values:
        values["random_seed"] = False
    return values, refused


def _value(raw: Any, control: Any, limits: Mapping[str, Any]) -> Any:
    """Raises ValueError for what the control does not take."""
    if isinstance(control, gr.Radio | gr.Dropdown):
        choices = limits.get("choices", control.choices)
        if not isinstance(raw, str) or raw not in {value for _, value in choices}:
            raise ValueError(raw)
        return raw
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError(raw)
    try:
        number = float(raw)
    except OverflowError:  # of 10**400
        raise ValueError(raw) from None
    lowest, highest = control.minimum, limits.get("maximum", control.maximum)
    if not math.isfinite(number) or not lowest <= number <= highest:
        raise ValueError(raw)
    if control.step != 1:
        return number
    if number != int(number):
        raise ValueError(raw)
    return int(number)
