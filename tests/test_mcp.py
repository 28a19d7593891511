"""The endpoints as tools of a language model, where Gradio's extra for that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fake_studio import FakeStudio
from tests.running_app import running_app

INSTALLED = importlib.util.find_spec("mcp") is not None


@pytest.mark.parametrize("installed", [False, True])
def test_the_server_is_on_where_it_can_be(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from demo import page

    found = importlib.util.find_spec("json") if installed else None
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: found)
        assert importlib.reload(page).LAUNCH["mcp_server"] is installed
    assert importlib.reload(page).LAUNCH["mcp_server"] is INSTALLED


def test_the_app_runs_with_or_without(tmp_path: Path) -> None:
    """Asked for where it is not installed, it is told of and left out, and all else is there."""
    from gradio_client import Client

    with running_app(FakeStudio(), tmp_path, mcp_server=True) as url:
        client = Client(url, verbose=False, analytics_enabled=False)
        assert client.predict(api_name="/models")["models"][0]["name"] == "fake"
        client.close()
        if INSTALLED:
            assert tools_of(url) == {
                *("models", "encode", "decode", "reconstruct"),
                *("resample", "generate", "score", "inpaint"),
            }


def tools_of(url: str) -> set[str]:
    """The names of the tools that a model is offered."""
    question = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    request = urllib.request.Request(
        f"{url}gradio_api/mcp/",
        json.dumps(question).encode(),
        {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        },
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
    result: dict[str, Any] = json.loads(text[text.index("{") :])
    return {tool["name"] for tool in result["result"]["tools"]}
