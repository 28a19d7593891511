"""Visitors of an app, each with a picture and seeds of its own, and what they ask, one by one.

All of it follows from the visitor's number, so that the answers of a crowd can be compared with
those that each visitor gets alone.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError
from PIL import Image

KINDS = ("encode", "decode", "resample", "score", "generate", "inpaint", "reconstruct", "page")
WIDTH, HEIGHT = 96, 64
PAINTED = np.s_[16:40, 24:56]  # of the mask

Key = tuple[int, int]  # visitor, and the number of what was asked


@dataclass
class Answers:
    """What came back: the fingerprint of each answer, or why there is none; seconds for all."""

    found: dict[Key, str] = field(default_factory=dict)
    lost: dict[Key, str] = field(default_factory=dict)
    busy: int = 0  # times that a visitor was told to come again, and did
    seconds: float = 0.0


class Visitor:
    """Number `number`, at the app at `url`. `folder` is for its picture and the answers."""

    def __init__(self, url: str, number: int, folder: Path) -> None:
        self.url = url
        self.number = number
        self.folder = folder / str(number)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.client = Client(
            url, verbose=False, analytics_enabled=False, download_files=self.folder
        )
        self.model = self.client.predict(api_name="/models")["models"][0]
        self._draw()

    def close(self) -> None:
        self.client.close()

    def ask(self, count: int, timeout: float, answers: Answers, patient: bool = True) -> None:
        """The first `count` questions, one after another, each as soon as the last is answered."""
        for index in range(count):
            key = self.number, index
            try:
                answers.found[key] = self.answer(index, timeout)
            except QueueError:
                answers.busy += 1
                answers.lost[key] = "busy"
            except concurrent.futures.TimeoutError:
                answers.lost[key] = f"nothing within {timeout:g} s"
            except Exception as error:
                answers.lost[key] = f"{type(error).__name__}: {error}"

    def answer(self, index: int, timeout: float) -> str:
        """The fingerprint of the answer to question `index`. Raises what the client raises."""
        kind = self.kind(index)
        if kind == "page":
            page = httpx.get(self.url, timeout=timeout)
            page.raise_for_status()
            return fingerprint("page" if "Codebrush" in page.text else page.text)
        job = self.client.submit(**self.arguments(index), api_name=f"/{kind}")
        return fingerprint(job.result(timeout))

    def kind(self, index: int) -> str:
        """Neighbours ask for different things at the same time."""
        return KINDS[(self.number + index) % len(KINDS)]

    def arguments(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([1711, self.number, index])
        kind = self.kind(index)
        priors = [prior["name"] for prior in self.model["priors"]]
        prior = priors[index // len(KINDS) % len(priors)]
        drawn = {"prior": prior, "seed": int(rng.integers(2**31))}
        if kind in ("encode", "reconstruct"):
            return {"picture": self.picture}
        if kind == "inpaint":
            return {"picture": self.picture, "mask": self.mask, **drawn, "steps": 3, "particles": 4}
        if kind == "generate":
            return {"n": 1 + index % 2, **drawn, "steps": 3}
        rows, cols = (int(side) for side in rng.integers(8, 20, 2))
        codes = {"codes": rng.integers(0, self.model["num_codes"], (rows, cols)).tolist()}
        if kind == "decode":
            return {"codes": codes}
        if kind == "score":
            return {"codes": codes, "prior": prior}
        hole = np.zeros((rows, cols), int)
        hole[2:6, 2:6] = 1
        asked = {"codes": codes, "hole": hole.tolist(), "variations": 1 + index % 2}
        return {**asked, **drawn, "steps": 3, "particles": 4}

    def _draw(self) -> None:
        """A picture of slopes in colours of its own, with a little noise, and a mask for it."""
        rng = np.random.default_rng([1711, self.number])
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        slopes = rng.uniform(-1.5, 1.5, (2, 3))
        smooth = (
            128 + (x - WIDTH / 2)[..., None] * slopes[0] + (y - HEIGHT / 2)[..., None] * slopes[1]
        )
        pixels = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[PAINTED] = 255
        Image.fromarray(pixels).save(self.folder / "picture.png")
        Image.fromarray(mask).save(self.folder / "mask.png")
        self.picture = handle_file(self.folder / "picture.png")
        self.mask = handle_file(self.folder / "mask.png")


@contextmanager
def visitors(url: str, numbers: Sequence[int], folder: Path) -> Iterator[list[Visitor]]:
    """Visitors who have the page open."""
    there: list[Visitor] = []
    try:
        for number in numbers:
            there.append(Visitor(url, number, folder))
        yield there
    finally:
        for visitor in there:
            visitor.close()


def fingerprint(answer: Any) -> str:
    """The same for answers that are equal bit for bit; a file is what is in it."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, str) and (file := Path(value)).is_absolute() and file.is_file():
            return hashlib.sha256(file.read_bytes()).hexdigest()
        return value

    text = json.dumps(plain(answer), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def one_by_one(there: Sequence[Visitor], count: int, timeout: float) -> Answers:
    """What each visitor gets who has the app to itself."""
    answers = Answers()
    start = time.perf_counter()
    for visitor in there:
        visitor.ask(count, timeout, answers)
    answers.seconds = time.perf_counter() - start
    return answers


def all_at_once(there: Sequence[Visitor], count: int, timeout: float) -> Answers:
    """What the same visitors get who all begin in the same moment."""
    answers = Answers()
    gate = threading.Barrier(len(there) + 1)

    def work(visitor: Visitor) -> None:
        gate.wait()
        visitor.ask(count, timeout, answers)

    threads = [threading.Thread(target=work, args=(visitor,)) for visitor in there]
    for thread in threads:
        thread.start()
    gate.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    answers.seconds = time.perf_counter() - start
    return answers


def compared(lone: Answers, crowd: Answers) -> dict[str, Any]:
    """How many answers of the crowd are equal bit for bit, and what became of the others."""
    whose: dict[str, set[Key]] = {}
    for key, answer in lone.found.items():
        whose.setdefault(answer, set()).add(key)
    differ = {key for key, answer in crowd.found.items() if lone.found.get(key) != answer}
    crossed = {key for key in differ if whose.get(crowd.found[key])}
    return {
        "answers": len(crowd.found),
        "distinct": len(whose),  # answers alone
        "equal": len(crowd.found) - len(differ),
        "crossed": len(crossed),  # equal to what another was to get
        "different": len(differ - crossed),
        "lost": len(crowd.lost),
        "lost_alone": len(lone.lost),
        "faults": sorted({*crowd.lost.values(), *lone.lost.values()})[:10],
    }
