"""What can go wrong between here and the Hub, each with its own words."""

from __future__ import annotations

import reprlib
from typing import Any

from vq.strict_files import CheckpointError

MESSAGES = {
    "bad_repo_id": "{repo_id} is not the id of a repo: OWNER/NAME, of letters, digits, - _ and .",
    "bad_revision": "{revision} is not a revision: a branch, a tag or a commit",
    "missing": "there is no repo {repo_id} on the Hub",
    "private": "{repo_id} does not exist on the Hub, or is private",
    "gated": "{repo_id} is gated: its owners want to be asked on its page before they give access",
    "no_revision": "{repo_id} has no revision {revision}",
    "no_file": "{repo_id} lists a file that is not there: {file}",
    "not_a_checkpoint": "{repo_id} holds no checkpoint: neither autoencoder/config.json nor a "
    "VQModel of diffusers (config.json and diffusion_pytorch_model.safetensors)",
    "unsound": "{repo_id} holds no sound checkpoint: {cause}",
    "no_diffusers": "{repo_id} is a model of the diffusers library, which is not installed: "
    "pip install diffusers",
    "too_many_files": "{repo_id} has {count} files of a checkpoint; at most {limit} are allowed",
    "too_large": "{repo_id}: {size:,} bytes; at most {limit:,} are allowed",
    "no_space": "{repo_id} needs {size:,} bytes on the disk; {free:,} are free",
    "rate_limited": "the Hub wants to be asked less often: try again after {wait} s",
    "server_error": "the Hub has a fault (HTTP status {status}); try again later",
    "hang": "the Hub stopped answering; given up after {seconds:.0f} seconds",
    "slow": "the Hub is too slow: only {done:,} bytes came in {seconds:.0f} seconds",
    "truncated": "the Hub sent only a part of {file}",
    "corrupt": "what the Hub sent as {file} is not the file that it lists",
    "redirects": "the Hub sends from one address to another and back again",
    "unreachable": "the Hub cannot be reached",
    "offline": "the Hub is not asked, as HF_HUB_OFFLINE is set",
    "busy": "{repo_id} is just being pulled by somebody else; try again in a while",
    "no_token": "a token is needed to push: `hf auth login`, or set HF_TOKEN",
    "denied": "the Hub does not allow this for {repo_id}",
    "failed": "the Hub could not be asked: {cause}",
}


class HubError(CheckpointError):
    """A checkpoint could not be fetched from the Hub, or sent there.

    reason: a key of MESSAGES. values: what its message names, repo_id, revision and more.
    """

    def __init__(self, reason: str, **values: Any) -> None:
        self.reason, self.values = reason, values
        shown = {"file": "its answer", "repo_id": "the repo", "revision": "?"} | {
            # Bounded, and without line breaks, whatever was typed or sent.
            key: reprlib.repr(value) if key in ("repo_id", "revision") and _odd(value) else value
            for key, value in values.items()
        }
        super().__init__(MESSAGES[reason].format(**shown))

    def __reduce__(self) -> Any:
        return _remade, (self.reason, self.values)


def _remade(reason: str, values: dict[str, Any]) -> HubError:
    return HubError(reason, **values)


def _odd(value: object) -> bool:
    return not isinstance(value, str) or not value.isprintable() or not 0 < len(value) < 200
