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
    "likeness": 0.5,
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


def filling_of(parts: EditParts) -> Filling:
    """Its controls are their own names, too."""
    return Filling(parts, {name: name for name in DEFAULTS})


def run(filling: Filling, session: Session | None, mask: object, **changes: Any) -> list[Any]:
    asked = {"session": session, "canvas": mask, **DEFAULTS, **changes}
    return list(filling.resample(asked, ENGLISH))


def more_like(filling: Filling, session: Session | None, **changes: Any) -> list[Any]:
    asked = {"session": session, "canvas": None, **DEFAULTS, **changes}
    return list(filling.more_like(asked, ENGLISH))
