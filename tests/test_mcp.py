"""The endpoints as tools of a language model, by the Model Context Protocol's own client."""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fake_studio import FakeStudio
from tests.running_app import running_app

mcp = pytest.importorskip("mcp")
streamable_http = pytest.importorskip("mcp.client.streamable_http")

TOOLS = {
    "models", "encode", "decode", "reconstruct", "resample", "generate", "score", "inpaint",
    "encode_latents", "decode_latents", "search_codes",
}  # fmt: skip


@pytest.mark.parametrize("installed", [False, True])
def test_the_server_is_on_where_it_can_be(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from demo import page

    found = importlib.util.find_spec("json") if installed else None
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: found)
        assert importlib.reload(page).LAUNCH["mcp_server"] is installed
    assert importlib.reload(page).LAUNCH["mcp_server"] is True


def as_uri(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_a_language_model_repaints_a_region_and_is_told_what_was_wrong(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[:20, 8:40] = 255

    async def talk(url: str) -> tuple[Any, ...]:
        async with (
            streamable_http.streamable_http_client(url) as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            asked = {"picture": as_uri(picture), "mask": as_uri(mask)}
            painted = await session.call_tool("inpaint", asked)
            refused = await session.call_tool("inpaint", {**asked, "prior": "nobody"})
            return tools, painted, refused

    with running_app(FakeStudio(), tmp_path, mcp_server=True) as url:
        tools, painted, refused = asyncio.run(talk(f"{url}gradio_api/mcp/"))
    assert {tool.name for tool in tools} == TOOLS
    assert all(tool.description for tool in tools)
    assert not painted.isError
    shown = next(part for part in painted.content if part.type == "image")
    with Image.open(io.BytesIO(base64.b64decode(shown.data))) as result:
        made = np.asarray(result.convert("RGB"))
    assert np.array_equal(made[mask == 0], picture[mask == 0])
    assert not np.array_equal(made[mask > 0], picture[mask > 0])
    assert refused.isError and "nobody" in refused.content[0].text
