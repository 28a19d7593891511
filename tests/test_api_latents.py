"""The endpoints of a second stage, with Gradio's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from demo.jobs import SecondStage
from demo.shelf import Shelf
from tests.fake_studio import CHECKPOINT, FakeStudio
from tests.running_app import running_app, until
from tests.test_api import read

if TYPE_CHECKING:
    from gradio_client import Client

SIZE = (5, 6)
OTHER = "ba9876543210"


@pytest.fixture(scope="module")
def studio() -> FakeStudio:
    return FakeStudio(name="mazes", checkpoint=OTHER, mazes=True, second=SecondStage(3, 512, SIZE))


@pytest.fixture(scope="module")
def client(studio: FakeStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    from gradio_client import Client

    shelf = Shelf.of(FakeStudio(), studio)
    with running_app(shelf, tmp_path_factory.mktemp("gradio")) as address:
        client = Client(address, verbose=False, analytics_enabled=False)
        yield client
        client.close()


def test_models_say_which_have_latents(client: Client) -> None:
    plain, mazes = client.predict(api_name="/models")["models"]
    assert plain["latents"] is None
    assert mazes["latents"] == {"count": 3, "num_codes": 512, "rows": 5, "cols": 6}


def test_a_map_in_three_codes_and_back(client: Client, studio: FakeStudio) -> None:
    codes = np.arange(30).reshape(SIZE)
    sent = {"checkpoint": OTHER, "rows": 5, "cols": 6, "codes": codes.tolist()}
    found = client.predict(codes=sent, api_name="/encode_latents")
    assert found == {"model": "mazes", "latents": [0, 1, 2]}
    files, maps = client.predict(**found, seed=5, variations=2, api_name="/decode_latents")
    assert [one["seed"] for one in maps] == [5, 6] and maps[0]["checkpoint"] == OTHER
    for file, one in zip(files, maps, strict=True):
        drawn = np.array(one["codes"])
        assert (drawn[:, :-1] == np.array([0, 1, 2, 0, 1])[:, None]).all()
        np.testing.assert_array_equal(read(file), studio.decode(drawn))
    (_, alone) = client.predict(**found, seed=6, api_name="/decode_latents")
    assert alone[0]["codes"] == maps[1]["codes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents": [1, 2]}, "latents must be 3 codes"),
        ({"latents": [1, 2, 512]}, "latents must be 3 codes"),
        ({"latents": [1, 2, "x"]}, "latents must be a few whole numbers, not 'x'"),
        ({"latents": [1, 2, 1.5]}, "latents must be a few whole numbers, not 1.5"),
        ({"latents": [1] * 5000}, "latents must be a few whole numbers, not [1, 1, 1"),
        ({"latents": {"a": 1}}, "latents must be a few whole numbers"),
        ({"model": None}, "fake has no second stage"),
        ({"variations": 9}, "variations must be a whole number from 1 to 8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    client: Client, changes: dict[str, Any], message: str
) -> None:
    from gradio_client.exceptions import AppError

    asked: dict[str, Any] = {"latents": [1, 2, 3], "model": "mazes", **changes}
    with pytest.raises(AppError) as refused:
        client.predict(**asked, api_name="/decode_latents")
    assert message in str(refused.value)


def test_a_map_that_it_does_not_know_is_refused(client: Client) -> None:
    from gradio_client.exceptions import AppError

    for checkpoint, message in ((OTHER, "the map must be"), (CHECKPOINT, "no second stage")):
        with pytest.raises(AppError, match=message):
            sent = {"checkpoint": checkpoint, "codes": [[1, 2], [3, 4]]}
            client.predict(codes=sent, api_name="/encode_latents")


def test_a_cancelled_job_stops_at_its_next_row(client: Client, studio: FakeStudio) -> None:
    studio.hold_at_step, studio.closed_at_step = 2, None
    try:
        job = client.submit(latents=[1, 2, 3], model="mazes", api_name="/decode_latents")
        until(lambda: studio.latents == (1, 2, 3) and job.status().code.value == "PROCESSING")
        job.cancel()
        until(lambda: studio.closed_at_step == 2)
    finally:
        studio.hold_at_step = None
