"""The checkpoints at hand, by name, and a studio for each: loaded when it is first asked for."""

from __future__ import annotations

import reprlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from demo.jobs import Refusal, StudioVerbs
from vq.layout import AUTOENCODER, DEFAULT_CHECKPOINT

MAX_LOADED = 6  # studios in memory; the one that was used least lately makes room

Load = Callable[[], StudioVerbs]
Loader = Callable[[Path, str], Load]  # a checkpoint's folder, and the name it is to have


class Shelf:
    """Safe to use from many threads. The first name is the default."""

    def __init__(self, loaders: Mapping[str, Load]) -> None:
        if not loaders:
            raise ValueError("a shelf needs a checkpoint")
        self._loaders = dict(loaders)
        self._loaded: OrderedDict[str, StudioVerbs] = OrderedDict()
        self._lock = threading.RLock()

    @classmethod
    def of(cls, *studios: StudioVerbs) -> Shelf:
        """A shelf of studios that are there already, under the names they describe."""

        def at_hand(studio: StudioVerbs) -> Load:
            return lambda: studio

        return cls({studio.describe().name: at_hand(studio) for studio in studios})

    @classmethod
    def of_folder(cls, loader: Loader, folder: Path = DEFAULT_CHECKPOINT.parent) -> Shelf:
        """Every checkpoint in a folder, the default first; that one is loaded at once.

        Raises `Refusal` where it is missing or not sound.
        """
        paths = sorted(path.parent for path in folder.glob(f"*/{AUTOENCODER}"))
        paths = [folder / DEFAULT_CHECKPOINT.name, *paths]
        shelf = cls({path.name: loader(path, path.name) for path in paths})
        shelf.get(shelf.names[0])
        return shelf

    @property
    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._loaders)

    @property
    def default(self) -> StudioVerbs:
        return self.get(self.names[0])

    def get(self, name: object) -> StudioVerbs:
        """The studio of that checkpoint. Raises `Refusal` where there is none, or it is not sound.

        `Refusal` is the loader's to raise; others wait while one loads.
        """
        with self._lock:
            if not isinstance(name, str) or name not in {*self._loaders, *self._loaded}:
                known = ", ".join(self._loaders)
                raise Refusal("error_choice", name="model", got=reprlib.repr(name), known=known)
            if name not in self._loaded:
                self._hold(name, self._loaders[name]())
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def holding(self, checkpoint: object) -> StudioVerbs:
        """The studio whose codes carry the id `checkpoint` (`Description.checkpoint`).

        Raises `Refusal` where none does. May load those that were not asked for yet.
        """
        ids = []
        for name in self.names:
            studio = self.get(name)
            ids.append(studio.describe().checkpoint)
            if ids[-1] == checkpoint:
                return studio
        raise Refusal(
            "error_other_checkpoint", got=reprlib.repr(checkpoint), checkpoint=", ".join(ids)
        )

    def add(self, name: str, load: Load) -> StudioVerbs:
        """Put a checkpoint on the shelf once it has loaded, in place of one of that name."""
        studio = load()
        with self._lock:
            self._loaders[name] = load
            self._hold(name, studio)
        return studio

    def offer(self, name: str, load: Load) -> None:
        """Put a checkpoint on the shelf that will be loaded when it is first asked for."""
        with self._lock:
            self._loaders[name] = load

    def remove(self, name: str) -> None:
        """Take a checkpoint from the names, if it is there; whoever is using it goes on with it.

        It stays in memory until others need its room. Raises ValueError for the default.
        """
        with self._lock:
            if name == self.names[0]:
                raise ValueError(f"{name} is the default: it stays")
            self._loaders.pop(name, None)

    def _hold(self, name: str, studio: StudioVerbs) -> None:
        self._loaded[name] = studio
        self._loaded.move_to_end(name)
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
