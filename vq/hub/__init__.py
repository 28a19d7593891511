"""Checkpoints from the Hugging Face Hub, and to it.

    path = pull("owner/name")          # a folder for `vq.checkpoints.load`, verified
    push(path, "me/name")              # as it stands, card included

A repo's id may be typed by a stranger, so it is never looked for on the disk, and no token is sent
unless one is given.
"""

from vq.hub.cache import Pulled, find, pulled, remove
from vq.hub.errors import HubError
from vq.hub.looking import Found, Repo, look, search
from vq.hub.pulling import DEADLINE, Progress, load, pull, pull_steps, resolve
from vq.hub.pushing import push

__all__ = [
    "DEADLINE",
    "Found",
    "HubError",
    "Progress",
    "Pulled",
    "Repo",
    "find",
    "load",
    "look",
    "pull",
    "pull_steps",
    "pulled",
    "push",
    "remove",
    "resolve",
    "search",
]
