"""The picture component: the same to the browser as `gr.Image`, another reader on the server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio.data_classes import ImageData
from gradio_client import Client, handle_file
from PIL import Image

from demo.picture_input import PictureInput, uploaded_file

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def png(image: Image.Image | None = None) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(file, "PNG")
    return file.getvalue()


def test_the_browser_is_told_the_same_as_by_gradios_image() -> None:
    options = {"label": "Picture", "height": 120, "sources": ["upload"], "elem_id": "p"}
    ours = PictureInput(**options).get_config()
    settled = {"format": "png", "type": "pil", "image_mode": "RGB"}
    theirs = gr.Image(**options, **settled, buttons=["download", "fullscreen"]).get_config()
    assert ours == theirs
    assert PictureInput().get_block_name() == "image"
    assert PictureInput().sources == ["upload", "clipboard", "webcam"]


def test_no_picture_is_none() -> None:
    assert PictureInput().preprocess(None) is None


def test_an_upload_is_read_by_the_projects_reader(uploads: Path) -> None:
    """Alpha over white, which gr.Image drops; and a name that would make gr.Image skip its mode."""
    alpha = np.arange(9 * 13, dtype=np.uint8).reshape(9, 13)
    (uploads / "x.gif").write_bytes(png(Image.fromarray(np.dstack([PIXELS, alpha]))))
    payload = ImageData(path=str(uploads / "x.gif"), orig_name="x.gif")
    picture = PictureInput().preprocess(payload)
    assert picture is not None and picture.mode == "RGB"
    share = alpha[..., None] / 255
    expected = np.rint(PIXELS * share + 255 * (1 - share))
    np.testing.assert_array_equal(np.asarray(picture), expected)


def test_a_refusal_is_shown_with_cause_and_limit_and_without_the_path(uploads: Path) -> None:
    # 13,000 x 13,000 pixels in a WebP of 32 bytes: gr.Image needs 2.6 GB for it.
    size = (12_999 | 12_999 << 14).to_bytes(4, "little")
    chunk = b"VP8L" + (12).to_bytes(4, "little") + b"\x2f" + size + bytes(7)
    (uploads / "bomb.webp").write_bytes(b"RIFF" + (24).to_bytes(4, "little") + b"WEBP" + chunk)
    with pytest.raises(gr.Error) as error:
        PictureInput().preprocess(ImageData(path=str(uploads / "bomb.webp")))
    assert "13,000 × 13,000" in error.value.message and "36" in error.value.message
    assert str(uploads) not in error.value.message
    assert not error.value.print_exception


def test_messages_are_escaped(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (uploads / "x.png").write_bytes(png())

    def refuse(_: object) -> None:
        from vq.pictures import PictureError

        raise PictureError("damaged", "<img src=x onerror=alert(1)>")

    monkeypatch.setattr("demo.picture_input.read_picture", refuse)
    with pytest.raises(gr.Error) as error:
        PictureInput().preprocess(ImageData(path=str(uploads / "x.png")))
    assert error.value.message == "&lt;img src=x onerror=alert(1)&gt;"


def test_only_uploaded_files_are_read(uploads: Path, tmp_path: Path) -> None:
    inside, outside = uploads / "in.png", tmp_path / "out.png"
    for place in (inside, outside):
        place.write_bytes(png())
    link = uploads / "link.png"
    link.symlink_to(outside)
    assert uploaded_file(str(inside)) == inside.resolve()
    for path in (outside, link, uploads / ".." / "out.png", uploads, uploads / "missing.png"):
        assert uploaded_file(str(path)) is None
        with pytest.raises(gr.Error, match="uploaded"):
            PictureInput().preprocess(ImageData(path=str(path)))
    for named in (None, 3, "", "a\0b", "http://127.0.0.1/x.png", "data:image/png;base64,AAAA"):
        assert uploaded_file(named) is None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("served")))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        with gr.Blocks() as demo:
            picture, size = PictureInput(), gr.Textbox()
            gr.Button().click(
                lambda image: ("none" if image is None else f"{image.mode} {image.size}", image),
                picture,
                [size, picture],
                api_name="look",
            )
            gr.Button().click(lambda: gr.update(label="new"), None, picture, api_name="rename")
        _, url, _ = demo.launch(prevent_thread_lock=True, show_error=True, quiet=True)
        yield url
        demo.close()


def test_a_picture_goes_in_and_comes_back_the_same(served: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png())
    client = Client(served, verbose=False, analytics_enabled=False)
    client.predict(api_name="/rename")  # Gradio makes the component anew from its options
    said, path = client.predict(handle_file(tmp_path / "x.png"), api_name="/look")
    assert said == "RGB (13, 9)"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), PIXELS)
    assert client.predict(None, api_name="/look")[0] == "none"


def test_a_request_cannot_name_a_file_of_the_server(served: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    call = f"{served}gradio_api/call/look"
    event = httpx.post(call, json={"data": [{"path": str(secret)}]}).json()["event_id"]
    answer = httpx.get(f"{call}/{event}").text
    assert "event: error" in answer and "must be a file that was uploaded" in answer
    assert "secret" not in answer
