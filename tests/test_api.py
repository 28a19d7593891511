"""The app as a program uses it, over HTTP, with Gradio's own client."""

from __future__ import annotations

import json
import math
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from demo.jobs import MAX_SEED, Settings
from tests.fake_studio import CHECKPOINT, LABELS, LEVELS, MAP_SIZE, STRIDE, FakeStudio
from tests.running_app import until

if TYPE_CHECKING:
    from gradio_client import Client

K = LEVELS**3
# The size that the fake studio works at: nothing is reduced.
ROWS, COLS = 10, 16


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    from gradio_client import Client

    client = Client(url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def calm(studio: FakeStudio) -> None:
    studio.hold_at_step = studio.fail_at_step = studio.closed_at_step = None


@pytest.fixture
def photo() -> np.ndarray:
    y, x = np.mgrid[0 : ROWS * STRIDE, 0 : COLS * STRIDE]
    return np.stack([x * 3, y * 5, 255 - x * 2], -1).astype(np.uint8)


@pytest.fixture
def file(photo: np.ndarray, tmp_path: Path) -> dict[str, Any]:
    from gradio_client import handle_file

    Image.fromarray(photo).save(tmp_path / "photo.png")
    return {"picture": handle_file(tmp_path / "photo.png")}


def read(path: str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def some_codes(rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    return np.random.default_rng(rows * cols).integers(0, K, (rows, cols))


def test_what_is_loaded(client: Client) -> None:
    loaded = client.predict(api_name="/models")
    (about,) = loaded["models"]
    assert about["checkpoint"] == CHECKPOINT and about["labels"] == list(LABELS)
    assert (about["num_codes"], about["stride"], about["device"]) == (K, STRIDE, "cpu")
    assert about["priors"] == [
        {"name": "masked", "order": "any"},
        {"name": "pixelcnn", "order": "raster"},
    ]
    assert loaded["limits"] == {"rows": 128, "cols": 128, "variations": 8, "pictures": 16}


def test_picture_to_codes_and_back(
    client: Client, studio: FakeStudio, photo: np.ndarray, file: dict[str, Any]
) -> None:
    encoded = client.predict(**file, api_name="/encode")
    assert encoded == {
        "checkpoint": CHECKPOINT,
        "rows": ROWS,
        "cols": COLS,
        "codes": studio.encode(photo).tolist(),
    }
    decoded = read(client.predict(encoded, api_name="/decode"))
    np.testing.assert_array_equal(decoded, studio.decode(studio.encode(photo)))

    path, figures = client.predict(**file, api_name="/reconstruct")
    np.testing.assert_array_equal(read(path), decoded)
    error = np.mean((photo.astype(float) - decoded) ** 2)
    assert figures["psnr"] == pytest.approx(10 * math.log10(255**2 / error))
    assert figures["bits"] == ROWS * COLS * 9 and figures["bits_per_pixel"] == 9 / STRIDE**2


def test_searched_codes_are_a_code_map_like_any_other(
    client: Client, studio: FakeStudio, photo: np.ndarray, file: dict[str, Any]
) -> None:
    found = client.predict(**file, api_name="/search_codes")
    nearest = studio.encode(photo)
    *_, (_, codes) = studio.search(photo, nearest)
    assert found == {
        **client.predict(**file, api_name="/encode"),
        "codes": codes.tolist(),
        "changed": round(1 / nearest.size, 4),
    }
    decoded = read(client.predict(found, api_name="/decode"))
    np.testing.assert_array_equal(decoded, studio.decode(codes))


def test_only_the_hole_is_filled_and_each_seed_alone_gives_the_same(
    client: Client, studio: FakeStudio
) -> None:
    codes = some_codes()
    hole = np.zeros((ROWS, COLS), int)
    hole[2:6, 3:9] = 1
    asked = {"codes": {"codes": codes.tolist()}, "hole": hole.tolist(), "api_name": "/resample"}
    maps = client.predict(**asked, prior="pixelcnn", seed=MAX_SEED - 1, variations=2, steps=3)
    assert studio.settings == Settings(
        prior="pixelcnn", seed=MAX_SEED - 1, variations=2, steps=3, temperature=0.9
    )
    assert [one["seed"] for one in maps] == [MAX_SEED - 1, MAX_SEED]
    filled = np.array([one["codes"] for one in maps])
    np.testing.assert_array_equal(filled[:, hole == 0], np.stack([codes[hole == 0]] * 2))
    assert (filled[0] != filled[1]).any()
    (alone,) = client.predict(**asked, prior="pixelcnn", seed=MAX_SEED, steps=3)
    assert alone == maps[1]
    # What comes out goes in, booleans are as good as 0 and 1.
    again = {**asked, "codes": maps[0], "hole": hole.astype(bool).tolist()}
    assert client.predict(**again)[0]["checkpoint"] == CHECKPOINT


def test_akin_to_a_map_is_what_keeps_a_share_of_its_hole(client: Client) -> None:
    codes, hole = some_codes(), np.zeros((ROWS, COLS), int)
    hole[2:6, 3:9] = 1
    asked = {"codes": {"codes": codes.tolist()}, "hole": hole.tolist(), "api_name": "/resample"}
    for prior in ("masked", "pixelcnn"):
        maps = client.predict(**asked, prior=prior, seed=3, variations=4, keep=0.5)
        equal = np.array([np.array(one["codes"]) == codes for one in maps])
        assert equal[:, hole == 0].all()
        assert (equal[:, hole == 1].sum(1) >= 12).all() and not equal[:, hole == 1].all(1).any()
        (alone,) = client.predict(**asked, prior=prior, seed=5, keep=0.5)
        assert alone == maps[2]


def test_bits_of_every_code(client: Client, studio: FakeStudio) -> None:
    codes = some_codes()
    asked = {"codes": {"codes": codes.tolist()}, "api_name": "/score"}
    scored = client.predict(**asked, prior="pixelcnn", label="castle")
    bits = studio.bits(codes, "pixelcnn", "castle")
    np.testing.assert_allclose(scored["bits"], bits, atol=1e-4)
    assert scored["total"] == pytest.approx(bits.sum())
    assert scored["kind"] == "likelihood"
    assert client.predict(**asked)["kind"] == "pseudo-likelihood"


def test_pictures_from_a_prior_alone(client: Client, studio: FakeStudio) -> None:
    files, maps = client.predict(n=5, seed=7, label="forest", steps=2, api_name="/generate")
    assert studio.settings is not None and studio.settings.label == "forest"
    assert [one["seed"] for one in maps] == [7, 8, 9, 10, 11] and len(files) == 5
    for path, one in zip(files, maps, strict=True):
        assert (one["rows"], one["cols"]) == MAP_SIZE
        np.testing.assert_array_equal(read(path), studio.decode(np.array(one["codes"])))
    _, (alone,) = client.predict(n=1, seed=10, label="forest", steps=2, api_name="/generate")
    assert alone == maps[3]


def test_a_cancelled_job_stops_and_gives_its_place_back(client: Client, studio: FakeStudio) -> None:
    from gradio_client.utils import Status

    studio.hold_at_step = 2
    held = threading.Event()
    original = studio.generate

    def watched(count: int, settings: Settings) -> Any:
        for step in original(count, settings):
            if step.step == 2:
                held.set()
            yield step

    studio.generate = watched  # type: ignore[method-assign]
    try:
        job = client.submit(n=4, api_name="/generate")
        assert held.wait(60)
        while job.status().code is not Status.PROCESSING:  # until the client knows of it, too
            threading.Event().wait(0.05)
        job.cancel()
        until(lambda: studio.closed_at_step == 2)
    finally:
        del studio.generate
    studio.hold_at_step = None
    files, _ = client.predict(n=1, api_name="/generate")
    assert len(files) == 1


CODES = {"codes": some_codes().tolist()}
HOLE = np.ones((ROWS, COLS), int).tolist()
LONG = [[0] * 129]


def with_code(code: Any) -> dict[str, Any]:
    table: list[list[Any]] = some_codes().tolist()
    table[3][5] = code
    return {"codes": table}


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("/decode", {"codes": None}, "codes must be a code map as /encode gives it"),
        ("/decode", {"codes": [[1]]}, "codes must be a code map"),
        ("/decode", {"codes": {"rows": 3}}, "codes must be a code map"),
        ("/decode", {"codes": {"codes": "12"}}, "codes must be 1 to 128 rows"),
        ("/decode", {"codes": {"codes": []}}, "codes must be 1 to 128 rows"),
        ("/decode", {"codes": {"codes": [[]]}}, "codes must be 1 to 128 rows"),
        ("/decode", {"codes": {"codes": [[1, 2], [3]]}}, "not [3]"),
        ("/decode", {"codes": {"codes": LONG}}, "all of one length from 1 to 128"),
        ("/decode", {"codes": {"codes": [[0]] * 129}}, "codes must be 1 to 128 rows"),
        ("/decode", {"codes": {"codes": [[[0]]]}}, "not [0]"),
        ("/decode", {"codes": with_code(-1)}, f"from 0 to {K - 1}, not -1"),
        ("/decode", {"codes": with_code(K)}, f"from 0 to {K - 1}, not {K}"),
        ("/decode", {"codes": with_code(1.0)}, "whole numbers"),
        ("/decode", {"codes": with_code("1")}, "whole numbers"),
        ("/decode", {"codes": with_code(True)}, "not True"),
        ("/decode", {"codes": with_code(None)}, "not None"),
        ("/decode", {"codes": with_code(10**400)}, "whole numbers"),
        ("/decode", {"codes": {**CODES, "checkpoint": "<b>"}}, "&lt;b&gt;"),
        ("/decode", {"codes": {**CODES, "checkpoint": "ba9876543210"}}, CHECKPOINT),
        ("/decode", {"codes": {**CODES, "rows": ROWS + 1}}, "rows says 11, but the codes have 10"),
        ("/decode", {"codes": {**CODES, "cols": {}}}, "cols says {}, but the codes have 16"),
        ("/encode", {"picture": None}, "picture must be a file that was uploaded"),
        ("/encode", {"picture": "/etc/passwd"}, "picture must be a file that was uploaded"),
        ("/encode", {"picture": {"path": "/etc/passwd"}}, "must be a file that was uploaded"),
        ("/encode", {"picture": {"path": ["x"]}}, "picture must be a file that was uploaded"),
        ("/reconstruct", {"picture": 7}, "picture must be a file that was uploaded"),
        ("/resample", {"codes": CODES, "hole": None}, "hole must be 1 to 128 rows"),
        ("/resample", {"codes": CODES, "hole": [[1]]}, "The hole has 1 × 1 cells"),
        ("/resample", {"codes": CODES, "hole": [[2]]}, "from 0 to 1, not 2"),
        ("/resample", {"codes": CODES, "hole": [[0] * COLS] * ROWS}, "The hole is empty"),
        ("/resample", {"codes": CODES, "hole": HOLE, "seed": -1}, "seed must be a whole number"),
        ("/resample", {"codes": CODES, "hole": HOLE, "variations": 9}, "from 1 to 8, not 9"),
        ("/resample", {"codes": CODES, "hole": HOLE, "particles": 65}, "from 1 to 64, not 65"),
        ("/resample", {"codes": CODES, "hole": HOLE, "temperature": "hot"}, "not 'hot'"),
        (
            "/resample",
            {"codes": CODES, "hole": HOLE, "keep": 1},
            "keep must be a number from 0 to 0.95",
        ),
        ("/resample", {"codes": CODES, "hole": HOLE, "top_k": 10**400}, "top_k must be a whole"),
        ("/resample", {"codes": CODES, "hole": HOLE, "prior": ["masked"]}, "Known: masked, pix"),
        ("/resample", {"codes": CODES, "hole": HOLE, "label": "moon"}, "Known: castle, forest"),
        ("/score", {"codes": CODES, "prior": {}}, "prior {} is not known"),
        ("/score", {"codes": CODES, "label": 3}, "label 3 is not known"),
        ("/generate", {"n": 0}, "n must be a whole number from 1 to 16, not 0"),
        ("/generate", {"n": 10**6}, "from 1 to 16, not 1000000"),
        ("/generate", {"n": 2.5}, "not 2.5"),
        ("/generate", {"steps": 257}, "steps must be a whole number from 1 to 256"),
        ("/generate", {"guidance": None}, "guidance must be a number from 0 to 20"),
        ("/generate", {"prior": "x" * 10**5}, "is not known. Known: masked, pixelcnn."),
    ],
)
def test_what_is_wrong_is_named(
    client: Client, studio: FakeStudio, endpoint: str, arguments: dict[str, Any], message: str
) -> None:
    studio.settings = None
    with pytest.raises(Exception, match=re.escape(message)) as refused:
        client.predict(**arguments, api_name=endpoint)
    assert len(str(refused.value)) < 1000 and "Traceback" not in str(refused.value)
    assert studio.settings is None  # nothing was begun


def test_a_failure_of_the_model_tells_nothing(client: Client, studio: FakeStudio) -> None:
    studio.fail_at_step = 1
    with pytest.raises(Exception, match="Something went wrong on the server") as failed:
        client.predict(api_name="/generate")
    assert "secret" not in str(failed.value)


def test_a_message_is_in_the_callers_language(url: str) -> None:
    from gradio_client import Client

    korean = {"accept-language": "ko-KR"}
    client = Client(url, verbose=False, analytics_enabled=False, headers=korean)
    with pytest.raises(Exception, match="정수여야 합니다"):
        client.predict(n=17, api_name="/generate")
    client.close()


def call(url: str, endpoint: str, data: object) -> tuple[int, str]:
    """Status and answer of a request by hand, as curl would make it."""
    request = urllib.request.Request(
        f"{url}gradio_api/call/{endpoint}",
        json.dumps({"data": data}).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    with urllib.request.urlopen(f"{url}gradio_api/call/{endpoint}/{event}") as answer:
        return 200, answer.read().decode()


@pytest.mark.parametrize("data", [[], None, "x", {"a": 1}])
def test_a_request_of_another_form_is_refused_and_hurts_nobody(
    url: str, client: Client, data: object
) -> None:
    status, answer = call(url, "decode", data)
    assert status == 422 or "decode takes 1 values, got 0" in answer
    assert "Traceback" not in answer and "/" not in answer.replace("data:", "")
    assert client.predict(api_name="/models")["models"][0]["checkpoint"] == CHECKPOINT


def test_every_endpoint_is_documented(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert not endpoints["unnamed_endpoints"]
    assert set(endpoints["named_endpoints"]) == {
        *("/models", "/encode", "/decode", "/reconstruct"),
        *("/resample", "/generate", "/score", "/inpaint"),
        *("/encode_latents", "/decode_latents", "/search_codes"),
    }
    for endpoint in endpoints["named_endpoints"].values():
        for parameter in endpoint["parameters"]:
            name = parameter["parameter_name"]
            assert re.search(rf"\b{name}(, \w+)*:", endpoint["description"]), name
