"""The Edit tab without a browser: who asks, and what its controls say."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import numpy as np

from demo.codemap import pack_mask
from demo.edit_view import EditParts
from demo.filling import Filling
from demo.jobs import BALANCED, StudioVerbs
from demo.session import Session
from demo.shelf import Shelf

DEFAULTS: dict[str, Any] = {
    "prior": "masked",
    "mode": "vary",
    "quality": BALANCED,
    "variations": 2,
    "seed": 5,
    "random_seed": False,
    "label": "",
    "guidance": 1.0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
}


class Request(gr.Request):
    def __init__(self, language: str) -> None:
        self.headers = {"accept-language": language}


ENGLISH, KOREAN = Request("en"), Request("ko-KR")


def tab_of(*studios: StudioVerbs) -> EditParts:
    """Each part is its own name, so that updates can be read."""
    names: Any = {field.name: field.name for field in dataclasses.fields(EditParts)}
    return EditParts(**{**names, "shelf": Shelf.of(*studios)})


def mask_of(session: Session) -> dict[str, Any]:
    cells = np.zeros(session.current.codes.shape, bool)
    cells[2:4, 3:9] = True
    return pack_mask(cells)


def run(filling: Filling, session: Session | None, mask: object, **changes: Any) -> list[Any]:
    settings = {**DEFAULTS, **changes}
    inputs: list[Any] = [session, mask, *settings.values(), ENGLISH]
    return list(filling.resample(*inputs))
