"""A checkpoint of mazes in a real browser: frames to try, and a whole frame in three codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from demo.jobs import SecondStage
from demo.shelf import Shelf
from tests.fake_studio import FRAME_SIZE, FakeStudio
from tests.running_app import running_app, until
from tests.test_switch_browser import count, switch

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def mazes() -> FakeStudio:
    second = SecondStage(latents=3, num_codes=512, map_size=FRAME_SIZE)
    return FakeStudio(name="mazes", checkpoint="ba9876543210", mazes=True, second=second)


@pytest.fixture(scope="module")
def url(mazes: FakeStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(Shelf.of(FakeStudio(), mazes), tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture(autouse=True)
def calm(mazes: FakeStudio) -> None:
    mazes.hold_at_step = mazes.fail_at_step = mazes.closed_at_step = None
    mazes.has_labmaze = True


def frames(page: Page) -> Locator:
    return page.locator("#frame-gallery .grid-container img")


def test_frames_are_there_to_try(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    expect(page.locator("#examples img")).to_have_count(4)
    switch(page, "mazes")
    expect(frames(page)).to_have_count(4)
    expect(page.locator("#examples")).to_be_hidden()
    first = [image.get_attribute("src") for image in frames(page).all()]
    assert len(set(first)) == 4

    frames(page).nth(1).click()
    expect(count(page)).to_contain_text(f"of {FRAME_SIZE[0] * FRAME_SIZE[1]}")
    expect(page.locator("#status")).to_contain_text("84 × 84")

    page.locator("#frames-another").click()
    expect(frames(page).first).not_to_have_attribute("src", str(first[0]))
    expect(frames(page)).to_have_count(4)
    switch(page, "fake")
    expect(page.locator("#examples img")).to_have_count(4)
    expect(page.locator("#frames")).to_be_hidden()


def test_without_labmaze_the_page_says_what_to_install(
    open_page: OpenPage, url: str, mazes: FakeStudio
) -> None:
    mazes.has_labmaze = False
    page = open_page(url, locale="ko-KR")
    switch(page, "mazes")
    expect(page.locator("#frames-note")).to_contain_text("pip install labmaze")
    expect(page.locator("#frames-another")).to_be_hidden()
    expect(page.locator("#frame-gallery")).to_be_hidden()


def latents(page: Page) -> list[int]:
    fields = page.locator("#latents .latent input[type=number]")
    return [int(field.input_value()) for field in fields.all()]


def draws(page: Page) -> Locator:
    return page.locator("#latents-gallery .grid-container img")


def said(page: Page) -> Locator:
    return page.locator("#latents-status p")


def open_latents(open_page: OpenPage, url: str, **options: object) -> Page:
    page = open_page(url, **options)
    switch(page, "mazes")
    expect(frames(page)).to_have_count(4)
    return page


def test_the_codes_of_the_picture_are_drawn_and_sent_back(
    open_page: OpenPage, url: str, mazes: FakeStudio
) -> None:
    page = open_latents(open_page, url)
    frames(page).nth(1).click()
    expect(count(page)).to_contain_text("of 441")
    page.get_by_role("tab", name="Generate").click()
    expect(page.locator("#latents-intro")).to_contain_text("3 codes of it, each one of 512: 27")
    expect(page.locator("#latents-intro")).to_contain_text("where the map takes 3,969")
    assert latents(page) == [0, 0, 0]
    page.locator("#latents-of-picture").click()
    # The picture, four draws, their mean; the fake draws all columns but the last from the codes.
    expect(draws(page)).to_have_count(6)
    expect(said(page)).to_contain_text("All 4 have the same code at 42")
    code = int(mazes.encode(mazes.frames(0)[1])[0, 0])
    assert latents(page) == [code] * 3 and mazes.latents == (code,) * 3
    assert mazes.settings is not None and mazes.settings.variations == 4

    expect(page.locator("#latents-send")).to_be_disabled()
    draws(page).nth(5).click()  # the mean
    expect(page.locator("#latents-caption")).to_contain_text("no finished draw")
    expect(page.locator("#latents-send")).to_be_disabled()
    draws(page).nth(2).click()
    expect(page.locator("#latents-caption")).to_contain_text(f"seed {mazes.settings.seed + 1}")
    page.locator("#latents-send").click()
    expect(page.locator("#history")).to_contain_text(f"seed {mazes.settings.seed + 1}")
    expect(count(page)).to_contain_text("of 441")

    # Other codes are no longer those of the picture.
    page.get_by_role("tab", name="Generate").click()
    page.locator("#latent-2 input[type=number]").fill("7")
    page.locator("#latent-2 input[type=number]").press("Tab")
    page.locator("#latents-draw").click()
    expect(draws(page)).to_have_count(5)
    expect(said(page)).to_contain_text("Drawn in")
    assert mazes.latents == (code, 7, code)


def test_random_codes_leave_the_locked_one_and_stop_leaves_what_is_there(
    open_page: OpenPage, url: str, mazes: FakeStudio
) -> None:
    page = open_latents(open_page, url, locale="ko-KR")
    page.get_by_role("tab", name="생성").click()
    expect(page.locator("#latents-intro")).to_contain_text("코드 3개로 나타낸")
    page.locator("#latent-2 input[type=number]").fill("123")
    page.locator("#latent-2 input[type=number]").press("Tab")
    page.get_by_label("2번 고정").check()
    mazes.hold_at_step = 8
    page.locator("#latents-roll").click()
    expect(said(page)).to_contain_text("21줄 중 8줄")
    expect(page.locator("#latents-draw")).to_be_disabled()
    expect(draws(page)).to_have_count(4)  # no mean of what is not finished
    page.locator("#latents-stop").click()
    expect(said(page)).to_contain_text("멈췄습니다")
    until(lambda: mazes.closed_at_step == 8)
    expect(draws(page)).to_have_count(4)
    expect(page.locator("#latents-draw")).to_be_enabled()
    assert mazes.latents[1] == 123 and latents(page) == list(mazes.latents)


def test_what_cannot_be_drawn_is_told(open_page: OpenPage, url: str, mazes: FakeStudio) -> None:
    page = open_latents(open_page, url)
    page.get_by_role("tab", name="Generate").click()
    page.locator("#latents-of-picture").click()
    expect(page.locator(".toast-body")).to_contain_text("Open a picture first")
    expect(page.locator("#latents-draw")).to_be_enabled()
    page.locator(".toast-close").first.click()
    mazes.fail_at_step = 3
    page.locator("#latents-draw").click()
    expect(page.locator(".toast-body")).not_to_contain_text("secret")
    expect(page.locator("#latents-draw")).to_be_enabled()
    # Where there is no second stage there is no section.
    switch(page, "fake")
    expect(page.locator("#latents")).to_be_hidden()
