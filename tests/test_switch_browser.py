"""Several checkpoints in a real browser: another one is chosen, and the picture stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.shelf import Shelf
from tests.fake_studio import FakeStudio
from tests.running_app import running_app
from tests.test_app_browser import UNPAINTED, choose, paint, photograph, status

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bare = FakeStudio(priors=(), name="bare", checkpoint="ba9876543210", stride=8)
    with running_app(Shelf.of(FakeStudio(), bare), tmp_path_factory.mktemp("gradio")) as address:
        yield address


def switch(page: Page, name: str) -> None:
    page.locator("#model input").click()
    page.get_by_role("option", name=name).click()


def count(page: Page) -> Locator:
    return page.locator("#canvas .codemap-count")


def test_a_checkpoint_without_priors_and_back(
    open_page: OpenPage, url: str, tmp_path: Path
) -> None:
    page = open_page(url, UNPAINTED)
    choose(page, photograph(tmp_path / "photo.png"))
    page.get_by_role("tab", name="Codes").click()
    sheet = page.locator("#explorer .explorer-used")
    expect(sheet).to_contain_text("97 of 512 codes")
    switch(page, "bare")
    # The tab that is open follows: 256 × 160 pixels in codes of 8 × 8.
    expect(sheet).not_to_contain_text("97 of")
    expect(page.locator("#explorer [data-colours=bits]")).to_be_hidden()

    page.get_by_role("tab", name="Edit").click()
    expect(status(page)).to_contain_text("codes of bare: 20 × 32 of 512 codes")
    expect(count(page)).to_contain_text("of 640")
    expect(page.locator("#prior")).to_be_hidden()
    expect(page.locator("#label")).to_be_hidden()
    expect(page.locator("#quality-note")).to_contain_text("bare has no prior")
    expect(page.locator("#canvas [data-view=surprise]")).to_be_hidden()
    box = page.locator("#canvas .codemap-overlay").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#resample").click()
    expect(page.locator("#canvas")).to_contain_text("bare has no prior")

    page.locator("#undo").click()
    expect(page.locator("#model input")).to_have_value("fake")
    expect(count(page)).to_contain_text("of 2560")
    expect(page.locator("#prior")).to_be_visible()
    paint(page, (10, 10), (14, 20))
    page.locator("#resample").click()
    expect(page.locator("#keep")).to_be_visible()


def test_in_korean_what_can_be_chosen_stays_in_korean(open_page: OpenPage, url: str) -> None:
    page = open_page(url, locale="ko-KR")
    expect(page.locator("#prior")).to_contain_text("마스크 트랜스포머")
    switch(page, "bare")
    expect(page.locator("#prior")).to_be_hidden()
    switch(page, "fake")
    expect(page.locator("#prior")).to_contain_text("마스크 트랜스포머")
    expect(page.locator("#prior")).to_contain_text("나란히 비교")
    page.locator("#label input").click()
    expect(page.get_by_role("option", name="숲")).to_be_visible()
