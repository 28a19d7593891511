"""Controls whose choices change with the checkpoint.

Gradio compares every value with the choices as they are when it arrives. A value that was sent just
before they changed would be an error, though nobody did anything wrong: so whoever uses the value
looks at it, as must be done anyway.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Radio(gr.Radio):
    """`gr.Radio`, but an event gets whatever was sent."""

    is_template = True  # the browser shows it with the parts of gr.Radio

    def get_config(self, cls: Any = None) -> dict[str, Any]:
        return super().get_config(cls or gr.Radio)

    def preprocess(self, payload: Any) -> Any:
        return payload


class Dropdown(gr.Dropdown):
    """`gr.Dropdown`, likewise."""

    is_template = True

    def get_config(self, cls: Any = None) -> dict[str, Any]:
        return super().get_config(cls or gr.Dropdown)

    def preprocess(self, payload: Any) -> Any:
        return payload


class CheckboxGroup(gr.CheckboxGroup):
    """`gr.CheckboxGroup`, likewise."""

    is_template = True

    def get_config(self, cls: Any = None) -> dict[str, Any]:
        return super().get_config(cls or gr.CheckboxGroup)

    def preprocess(self, payload: Any) -> Any:
        return payload
