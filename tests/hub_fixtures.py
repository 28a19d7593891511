"""A Hub on the loopback interface for a test, and nothing of the machine's own in its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_faults import REPO, tiny_files
from tests.loopback_hub import GOOD_TOKEN, LoopbackHub
from vq.hub import pulling


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub with one repo, an empty cache, and every place filled where a token could be found."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hf_secret\n")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(GOOD_TOKEN)
    with LoopbackHub() as server:
        for name, value in {
            "HF_ENDPOINT": server.url,
            "HF_HUB_OFFLINE": "0",
            "CODEBRUSH_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN": GOOD_TOKEN,
            "HUGGING_FACE_HUB_TOKEN": GOOD_TOKEN,
            "HF_TOKEN_PATH": str(tmp_path / "hf" / "token"),
            "HF_HOME": str(tmp_path / "hf"),
            "NETRC": str(tmp_path / "netrc"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(pulling, "RESERVE", pulling.RESERVE)
        server.add(REPO, tiny_files())
        yield server


def no_token_seen(server: LoopbackHub) -> bool:
    sent = [value for request in server.requests for value in request.headers.values()]
    return not any("authorization" in request.headers for request in server.requests) and not any(
        secret in value for value in sent for secret in (GOOD_TOKEN, "hf_secret")
    )
