"""The Models tab in a real browser, against a Hub on the loopback interface."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub_faults import nobody_there
from tests.loopback_hub import LoopbackHub, drip, hang, status
from tests.running_app import running_app
from tests.test_app_browser import UNPAINTED, choose, paint, photograph
from tests.tiny_checkpoint import tiny_checkpoint
from tests.tiny_networks import files_of
from vq.checkpoints import Checkpoint

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]

CARD = """---
license: cc-by-4.0
library_name: codebrush
tags: [codebrush]
figures:
  sea/test: {psnr_db: 21.5, codes_used: 16}
---
# Tiny scenes

See [the paper](https://arxiv.org/abs/1711.00937). ![Waves](https://tracker.example/p.png)
<img src="https://tracker.example/q.png" onerror="alert(1)"> `${location}`
"""
NAME = "sea/tiny-scenes"
TOTAL = re.compile(r"\d{4,}")  # bytes


class World:
    """An app with one checkpoint of its own, and a Hub with three repos."""

    def __init__(self, url: str, server: LoopbackHub) -> None:
        self.url, self.server = url, server


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("models")
    tiny = tiny_checkpoint()
    tiny.save(root / "own" / "tiny")
    Checkpoint(tiny.autoencoder, tiny.priors, CARD).save(root / "remote")
    files = files_of(root / "remote")
    with LoopbackHub() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("CODEBRUSH_CACHE", str(root / "cache"))
        server.add(NAME, files, downloads=1234)
        server.add("sea/gated", files, gated=True)
        server.add("sea/slow", files)
        server.plant("GET /sea/slow/resolve/.*safetensors", drip)
        from demo import studio
        from demo.models import Library
        from demo.shelf import Shelf

        shelf = Shelf({"tiny": studio.loader(root / "own" / "tiny", "tiny")})
        library = Library(shelf, studio.loader, root / "own")
        with running_app(shelf, root / "gradio", library) as url:
            yield World(url, server)


@pytest.fixture
def server(world: World) -> Iterator[LoopbackHub]:
    """Its faults and requests are this test's alone."""
    planted = list(world.server.faults)
    world.server.requests.clear()
    yield world.server
    world.server.faults[:] = planted


def go(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def listed(page: Page, text: str) -> Locator:
    return page.locator("#models-found label", has_text=text)


def told(page: Page) -> Locator:
    return page.locator("#models-status p")


def ask(page: Page, words: str) -> None:
    box = page.locator("#models-words :is(input, textarea)")
    box.fill(words)
    box.press("Enter")


def test_found_read_pulled_used_and_removed_with_the_picture_in_hand(
    open_page: OpenPage, world: World, server: LoopbackHub, tmp_path: Path
) -> None:
    page = open_page(world.url, UNPAINTED)
    choose(page, photograph(tmp_path / "photo.png"))
    go(page, "Models")
    expect(listed(page, "tiny · comes with the app")).to_be_visible()
    assert server.requests == []  # nobody is asked before the visitor asks

    ask(page, "sea")
    expect(told(page)).to_have_text("3 found.")  # `tiny` does not hold the word
    listed(page, f"{NAME} · 1,234 downloads").click()
    expect(told(page)).to_have_text(f"{NAME} can be pulled.")
    facts = page.locator("#models-facts")
    expect(facts).to_contain_text("cc-by-4.0")
    expect(facts).to_contain_text("16, one for every 4 × 4 pixels")
    expect(facts.locator("table")).to_contain_text("21.5")
    card = page.locator("#models-card")
    expect(card.locator("h3")).to_have_text("Tiny scenes")
    expect(card).to_contain_text("[Waves]")
    expect(card).to_contain_text("${location}")
    expect(card.locator("img")).to_have_count(0)
    expect(card.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer nofollow")

    page.get_by_role("button", name="Pull").click()
    expect(told(page)).to_contain_text(f"{NAME} was pulled and checked in")
    expect(listed(page, f"{NAME} · pulled · ")).to_be_visible()
    expect(page.locator("#model input")).to_have_value("tiny")  # until it is used
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#status p")).to_contain_text(f"codes of {NAME}")
    expect(page.locator("#model input")).to_have_value(NAME)
    paint(page, (4, 4), (8, 8))
    page.locator("#resample").click()
    expect(page.locator("#keep")).to_be_visible()

    go(page, "Compare")
    compared = page.locator("#compare-checkpoints label")
    compared.filter(has_text=NAME).locator("input").check()
    expect(page.locator("#compare-table")).to_contain_text(NAME)

    go(page, "Models")
    page.get_by_role("button", name="Remove").click()
    expect(told(page)).to_have_text(f"{NAME} was removed from the disk.")
    expect(listed(page, "pulled")).to_have_count(0)
    go(page, "Edit")
    # The first is worked with again, and the picture is there.
    expect(page.locator("#status p")).to_contain_text("codes of tiny")
    expect(page.locator("#undo")).to_be_enabled()
    go(page, "Compare")
    expect(compared).to_have_text(["tiny"])
    expect(page.locator("#compare-status")).to_contain_text("Compared")
    assert not any("authorization" in request.headers for request in server.requests)


def test_a_pull_that_is_stopped_changes_nothing(
    open_page: OpenPage, world: World, server: LoopbackHub
) -> None:
    page = open_page(world.url)
    go(page, "Models")
    ask(page, "https://huggingface.co/sea/slow")
    expect(told(page)).to_have_text("sea/slow can be pulled.")
    page.get_by_role("button", name="Pull").click()
    expect(told(page)).to_have_text("Pulling sea/slow …")
    expect(page.locator("#models-bar progress")).to_have_attribute("max", TOTAL)
    expect(page.get_by_role("button", name="Search")).to_be_disabled()
    page.get_by_role("button", name="Stop").click()
    expect(told(page)).to_have_text("Stopped. Nothing has changed.")
    expect(page.get_by_role("button", name="Pull")).to_be_visible()
    expect(page.locator("#models-bar progress")).to_have_count(0)


def test_what_goes_wrong_is_said_and_the_app_goes_on(
    open_page: OpenPage, world: World, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(world.url)
    go(page, "Models")
    offline = page.locator("#models-offline")
    ask(page, "nobody/nothing")
    expect(told(page)).to_have_text("nobody/nothing does not exist on the Hub, or is private.")
    ask(page, "sea/gated")
    expect(told(page)).to_contain_text("sea/gated is gated")
    expect(page.get_by_role("button", name="Pull")).to_be_hidden()
    server.plant("GET /api", status(429, Retry_After="3600"), times=1)
    ask(page, "sea")
    expect(told(page)).to_have_text("The Hub wants to be asked less often: try again after 3600 s.")
    expect(offline).to_be_hidden()

    server.plant("GET /api", hang, times=1)
    ask(page, "sea")
    expect(told(page)).to_have_text("Asking the Hub …")
    page.get_by_role("button", name="Stop").click()
    expect(told(page)).to_have_text("Stopped. Nothing has changed.")

    monkeypatch.setenv("HF_ENDPOINT", "")
    nobody_there(server)
    ask(page, "tiny")
    expect(told(page)).to_have_text("The Hub cannot be reached.")
    expect(offline).to_contain_text("works without it")
    listed(page, "tiny · comes with the app").click()
    expect(told(page)).to_have_text("tiny is at hand.")
    expect(page.get_by_role("button", name="Use it")).to_be_disabled()  # it is in use

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    page = open_page(world.url)
    go(page, "Models")
    expect(page.locator("#models-offline")).to_contain_text("works without it")


def test_in_korean_on_a_phone(open_page: OpenPage, world: World, server: LoopbackHub) -> None:
    page = open_page(
        world.url, locale="ko-KR", viewport={"width": 390, "height": 844}, has_touch=True
    )
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(["편집", "코드", "비교", "생성", "배우기", "모델"])
    boxes = tabs.evaluate_all("all => all.map((tab) => tab.getBoundingClientRect().toJSON())")
    assert len({box["y"] for box in boxes}) == 1 and boxes[-1]["right"] <= 390  # all in a row
    tabs.nth(4).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ask(page, NAME)
    expect(told(page)).to_have_text(f"{NAME}: 받을 수 있습니다.")
    expect(page.locator("#models-pull")).to_have_text("받기")
    expect(page.locator("#models-facts")).to_contain_text("16개, 4 × 4 픽셀마다 하나")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # nothing sticks out
