"""A checkpoint's folder -> a repo on the Hub, as it stands."""

from __future__ import annotations

import os
from pathlib import Path

from vq.hub import cache
from vq.hub.errors import HubError
from vq.hub.pulling import find_token, is_offline


def push(
    folder: Path,
    repo_id: str,
    revision: str = "main",
    *,
    private: bool = False,
    token: str | bool = True,
    message: str = "Upload a checkpoint with codebrush",
) -> str:
    """Upload every file of a checkpoint's folder, card and pictures included; returns the URL.

    The repo is made if it does not exist, private if `private` says so. Hidden files stay here.
    token: True is the one that huggingface_hub finds, from `hf auth login` or HF_TOKEN.
    Raises CheckpointError if the folder is no sound checkpoint, and HubError, before anything was
    sent where there is no token.
    """
    from huggingface_hub import HfApi

    from vq.checkpoints import load
    from vq.hub.client import explain

    cache.check_names(repo_id, revision)
    load(folder)
    if is_offline():
        raise HubError("offline")
    endpoint = os.environ.get("HF_ENDPOINT")  # as it is now, not when the client was imported
    api = HfApi(endpoint, find_token(token or True), library_name="codebrush")
    try:
        # A repo that exists keeps its visibility.
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        if revision != "main":
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            commit_message=message,
            ignore_patterns=[".*", "**/.*"],
        )
    except Exception as error:
        reason, values = explain(error)
        raise HubError(reason, **{"repo_id": repo_id, "revision": revision, **values}) from None
    return str(url)
