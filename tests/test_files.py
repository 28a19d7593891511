"""What the Edit tab saves and opens, without a browser: others read it, and strangers made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo.choices import Dropdown, Radio
from demo.codemap import pack_mask, read_mask
from demo.editor import Editor
from demo.files import FileInput, Files
from demo.jobs import Refusal
from demo.session import Session
from demo.toasts import guarded
from tests.edit_tab import ENGLISH, KOREAN, filling_of, mask_of, run, tab_of
from tests.fake_studio import CHECKPOINT, FakeStudio
from vq import pictures
from vq.code_file import CodeFile
from vq.regions import hole_from_mask, scale_mask

BARE = FakeStudio(priors=(), name="bare", checkpoint="ba9876543210", stride=8)
PARTS = tab_of(FakeStudio(), BARE)


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a browser's files are put."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def files(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(Files, "_folder", str(uploads))
    names: list[Any] = ["picture", "sent"]
    return Files(PARTS, *names)


def opened(width: int = 333, height: int = 205) -> Session:
    """One whose sides the stride does not divide, nor does the map divide the upload."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    session: Session = Editor(PARTS).open(Image.fromarray(pixels), None, "fake", ENGLISH)["session"]
    return session


def filled(session: Session, **changes: Any) -> Session:
    proposed: Session = run(filling_of(PARTS), session, mask_of(session), **changes)[-1]["session"]
    return proposed


def cells_of(session: Session) -> np.ndarray:
    rows, columns = session.current.codes.shape
    return read_mask(mask_of(session), rows, columns)


def png(pixels: np.ndarray, path: Path) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


def test_the_code_map_of_what_the_canvas_shows_is_saved_and_opens_again(files: Files) -> None:
    session = filled(opened()).choose(1)
    updates = files.save_codes(session, ENGLISH)
    path = Path(updates["file"])
    assert path.name == "codebrush.codes"
    file = CodeFile.load(path)
    assert (file.checkpoint, file.num_codes, file.picture_size) == (CHECKPOINT, 512, None)
    assert session.draft is not None
    np.testing.assert_array_equal(file.codes, session.draft.codes[1])
    assert f"{path.stat().st_size:,} bytes" in updates["status"]

    updates = files.open_codes(str(path), None, ENGLISH)
    sent = updates["sent"]
    np.testing.assert_array_equal(sent.codes, file.codes)
    np.testing.assert_array_equal(updates["picture"], FakeStudio().decode(file.codes))
    # The picture comes in as an upload does, and brings its codes with it.
    upload = Image.fromarray(updates["picture"])
    again = Editor(PARTS).open(upload, sent, "bare", ENGLISH)["session"]
    np.testing.assert_array_equal(again.current.codes, file.codes)
    assert again.current.model == "fake" and not again.current.edited.any()
    # Once more it would be no new picture for the page: nothing happens, and it is said.
    once_more = files.open_codes(str(path), again, KOREAN)
    assert once_more.keys() == {"status"} and "이미 열려" in once_more["status"]


def test_a_code_map_is_opened_by_the_checkpoint_that_it_names(files: Files, uploads: Path) -> None:
    codes = np.arange(12).reshape(3, 4)
    CodeFile(BARE.describe().checkpoint, 512, codes).save(uploads / "a.codes")
    updates = files.open_codes(str(uploads / "a.codes"), None, ENGLISH)
    assert updates["sent"].model == "bare" and updates["picture"].shape == (24, 32, 3)


GOOD = CodeFile(CHECKPOINT, 512, np.zeros((3, 4), int)).to_bytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no code map file"),
        (GOOD[:-1], "ends too early"),
        (GOOD[:-1] + b"!", "is damaged"),
        (GOOD[:8] + b"\2" + GOOD[9:], "later version"),
        (GOOD[:19] + b"\xff" * 4 + GOOD[23:], "too large to be read"),
        (CodeFile(CHECKPOINT, 511, np.zeros((3, 4), int)).to_bytes(), "is damaged"),
        (CodeFile(CHECKPOINT, 512, np.zeros((129, 4), int)).to_bytes(), "129 × 4 codes.*128"),
        (
            CodeFile("cafecafecafe", 512, np.zeros((3, 4), int)).to_bytes(),
            f"cafecafecafe.*{CHECKPOINT}, ba9876543210",
        ),
    ],
)
def test_a_code_file_that_cannot_be_opened_is_refused_with_the_reason(
    files: Files, uploads: Path, data: bytes, message: str
) -> None:
    (uploads / "a.codes").write_bytes(data)
    with pytest.raises(gr.Error, match=message):
        guarded(files.open_codes)(str(uploads / "a.codes"), opened(), ENGLISH)


@pytest.mark.parametrize("size", [(333, 205), (320, 200), (1200, 31), (9, 9), (60, 777)])
def test_a_mask_goes_out_and_comes_in_again(
    files: Files, uploads: Path, size: tuple[int, int]
) -> None:
    session = opened(*size)
    shape = session.current.codes.shape
    cells = np.random.default_rng(1).random(shape) < 0.3
    cells[0, 0] = True
    updates = files.save_mask(session, pack_mask(cells), ENGLISH)
    assert Path(updates["file"]).name == "codebrush-mask.png"
    with Image.open(updates["file"]) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", size)
    # As the command line and the API read it, it makes the same hole.
    mask = pictures.read_mask(updates["file"], size)
    working = session.current.picture.shape[:2]
    np.testing.assert_array_equal(hole_from_mask(scale_mask(mask, working), 4), cells)

    back = files.open_mask(updates["file"], session, ENGLISH)
    np.testing.assert_array_equal(read_mask(back["canvas"]["value"], *shape), cells)
    assert f"{cells.sum():,} codes are painted" in back["status"]


def test_a_mask_of_any_size_but_of_no_other_shape_is_opened(files: Files, uploads: Path) -> None:
    session = opened(333, 205)  # worked on at 256 × 156, in 64 × 39 codes

    def painted(width: int, height: int) -> np.ndarray:
        mask = np.zeros((height, width), np.uint8)
        mask[height // 2, width // 2] = 255
        path = png(mask, uploads / "mask.png")
        value = files.open_mask(path, session, ENGLISH)["canvas"]["value"]
        return read_mask(value, *session.current.codes.shape)

    for width, height in ((333, 205), (666, 410), (256, 156), (256, 158), (64, 39)):
        assert painted(width, height)[19, 32]
    assert painted(666, 410).sum() == 1
    assert painted(16, 10).sum() >= 12  # one pixel lies over as many codes
    for width, height in ((205, 333), (333, 333), (320, 200), (333, 208)):
        with pytest.raises(Refusal, match=f"'width': {width}, 'height': {height}.*333.*205"):
            painted(width, height)


def test_a_mask_that_cannot_be_used_is_refused_with_the_reason(files: Files, uploads: Path) -> None:
    session = opened(64, 32)
    open_mask = guarded(files.open_mask)
    empty = png(np.zeros((32, 64), np.uint8), uploads / "empty.png")
    with pytest.raises(gr.Error, match="mask is empty"):
        open_mask(empty, session, ENGLISH)
    (uploads / "bad.png").write_bytes(Path(empty).read_bytes()[:-20])
    with pytest.raises(gr.Error, match="cannot be done"):
        open_mask(str(uploads / "bad.png"), session, ENGLISH)
    with pytest.raises(gr.Error, match="Open a picture first"):
        open_mask(empty, None, ENGLISH)
    with pytest.raises(gr.Error, match="같아야 합니다"):
        open_mask(png(np.zeros((64, 32), np.uint8), uploads / "b.png"), session, KOREAN)


def test_only_what_was_uploaded_here_is_opened(files: Files, uploads: Path) -> None:
    secret = uploads.parent / "secret.codes"
    secret.write_bytes(GOOD)
    for name in (str(secret), str(uploads / "missing.codes"), str(uploads), "a\0b", "", None):
        for action in (files.open_codes, files.open_mask):
            with pytest.raises(gr.Error, match="must be a file that was uploaded"):
                guarded(action)(name, opened(64, 32), ENGLISH)


def test_choices_are_gradios_in_the_browser_and_give_what_was_sent() -> None:
    for ours, gradios in ((Radio, gr.Radio), (Dropdown, gr.Dropdown)):
        control = ours(["a"], value="a")
        assert control.get_config() == gradios(["a"], value="a").get_config()
        assert control.get_block_name() == gradios.__name__.lower()
        assert control.preprocess("b") == "b"  # it was among the choices when it was sent


def test_the_upload_button_is_gradios_in_the_browser_and_names_a_file_only() -> None:
    button = FileInput("Open")
    assert button.get_config() == gr.UploadButton("Open").get_config()
    assert button.get_block_name() == "uploadbutton"
    assert button.preprocess(None) is None
    assert button.preprocess(button.data_model(path="/etc/passwd")) == "/etc/passwd"


def test_a_filling_is_saved_as_the_chosen_variation_came_about(files: Files) -> None:
    session = filled(opened(), variations=3).choose(2)
    assert session.draft is not None
    for shown in (session, session.keep()):
        updates = files.save_filling(shown, ENGLISH)
        assert Path(updates["file"]).name == "codebrush.gif"
        with Image.open(updates["file"]) as image:
            assert image.format == "GIF" and image.size == session.current.picture.shape[1::-1]
            assert getattr(image, "n_frames", 1) == 12 + 2  # its steps, before, and the empty hole
            image.seek(13)
            last = np.asarray(image.convert("RGB")).astype(int)
        cells = session.draft.cells.repeat(4, 0).repeat(4, 1)
        wanted = session.draft.pictures
        errors = [np.abs(last - one)[cells].mean() for one in wanted]
        assert int(np.argmin(errors)) == 2
        assert "a GIF of 14 pictures" in updates["status"]
    for nothing in (opened(), session.keep().undo(), session.discard()):
        with pytest.raises(gr.Error, match="resample something first"):
            guarded(files.save_filling)(nothing, ENGLISH)


def test_without_a_picture_or_a_painted_cell_nothing_is_saved(files: Files) -> None:
    for action in (files.save_picture, files.save_codes, files.save_filling):
        with pytest.raises(gr.Error, match="Open a picture first"):
            guarded(action)(None, ENGLISH)
    with pytest.raises(gr.Error, match="at least one cell"):
        guarded(files.save_mask)(opened(), None, ENGLISH)
    with pytest.raises(gr.Error, match="사진을 여세요"):
        guarded(files.save_mask)(None, None, KOREAN)


def test_the_saved_picture_is_the_upload_but_for_the_edits(files: Files) -> None:
    session = filled(opened())
    with Image.open(files.save_picture(session, ENGLISH)["file"]) as image:
        saved = np.asarray(image)
    outside = ~scale_mask(cells_of(session), session.upload.shape[:2])
    np.testing.assert_array_equal(saved[outside], session.upload[outside])
    assert not np.array_equal(saved, session.upload)
