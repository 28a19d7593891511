"""What goes out of the Edit tab as a file, and what comes back in.

Each method of `Files` is one thing the visitor does; it returns updates for the parts of the page.
What is opened comes from a stranger: a refusal leaves everything as it was.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache, save_pil_to_cache
from PIL import Image

from demo.animation import gif
from demo.codemap import CodeMap, pack_mask
from demo.codemap.packing import MAX_SIDE
from demo.edit_view import EditParts
from demo.editor import painted_cells
from demo.jobs import Refusal
from demo.picture_input import PictureInput, uploaded_file
from demo.session import Made, Session, Snapshot
from demo.text import language_of, say
from demo.toasts import Updates
from vq.code_file import CodeFile, CodeFileError
from vq.pictures import PictureError, read_mask
from vq.regions import scale_mask


class FileInput(gr.UploadButton):
    """A button that uploads a file. An event gets the file as the browser names it: `str | None`.

    A request written by hand may name any: `demo.picture_input.uploaded_file` has to look at it.
    """

    is_template = True  # the browser shows it with the parts of gr.UploadButton

    def get_config(self, cls: Any = None) -> dict[str, Any]:
        return super().get_config(cls or gr.UploadButton)

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path


class Files:
    def __init__(self, parts: EditParts, picture: PictureInput, sent: gr.State) -> None:
        """`picture` is where a picture comes in, with its codes in `sent` (see `Editor.open`)."""
        self.parts = parts
        self.picture = picture
        self.sent = sent

    def save_picture(self, session: Session | None, request: gr.Request) -> Updates:
        """What the canvas shows, at the size of the upload, as a PNG file to download."""
        picture = Image.fromarray(_opened(session).keep().full_size())
        path = save_pil_to_cache(picture, self._folder, "codebrush", "png")
        return self._saved(
            path, request, "status_downloaded", width=picture.width, height=picture.height
        )

    def save_codes(self, session: Session | None, request: gr.Request) -> Updates:
        """The codes on the canvas as a code file."""
        session = _opened(session)
        about = self.parts.shelf.get(session.current.model).describe()
        codes = session.shown[1]
        data = CodeFile(about.checkpoint, about.num_codes, codes).to_bytes()
        path = save_bytes_to_cache(data, "codebrush.codes", self._folder)
        rows, columns = codes.shape
        return self._saved(
            path,
            request,
            "status_saved_codes",
            rows=rows,
            columns=columns,
            model=about.name,
            bytes=f"{len(data):,}",
        )

    def save_mask(self, session: Session | None, mask: object, request: gr.Request) -> Updates:
        """The painted region as a PNG file of the upload's size, white where it is painted."""
        session = _opened(session)
        cells = painted_cells(session, mask)
        height, width = session.upload.shape[:2]
        # No pixel that lies partly outside, or whoever reads it would paint one cell more.
        painted = Image.fromarray(~scale_mask(~cells, (height, width))).convert("L")
        path = save_pil_to_cache(painted, self._folder, "codebrush-mask", "png")
        return self._saved(path, request, "status_saved_mask", width=width, height=height)

    def save_filling(self, session: Session | None, request: gr.Request) -> Updates:
        """How what the canvas shows was filled, as a GIF."""
        recording = _opened(session).recording
        if session is None or recording is None:
            raise Refusal("error_no_filling")
        studio = self.parts.shelf.get(session.current.model)
        mask = scale_mask(recording.cells, recording.before.shape[:2])
        data = gif(recording.frames(*session.shown, studio.render), mask)
        path = save_bytes_to_cache(data, "codebrush.gif", self._folder)
        size = f"{len(data) / 1000:,.0f}"
        return self._saved(path, request, "status_saved_filling", frames=len(recording), size=size)

    def open_codes(self, file: str | None, session: Session | None, request: gr.Request) -> Updates:
        """The picture of a code file takes the place of the one at work, as an upload does."""
        try:
            read = CodeFile.load(_uploaded(file, "codes"))
        except CodeFileError as error:
            raise Refusal(f"error_code_file_{error.reason}") from None
        rows, columns = read.codes.shape
        if max(rows, columns) > MAX_SIDE:
            raise Refusal("error_map_size", rows=rows, columns=columns, max=MAX_SIDE)
        studio = self.parts.shelf.holding(read.checkpoint)
        about = studio.describe()
        if read.num_codes != about.num_codes:  # made by hand: the id is that of other codes
            raise Refusal("error_code_file_damaged")
        picture = studio.decode(read.codes)
        if session is not None and np.array_equal(session.upload, picture):
            # To the page that is no new picture, and so the edits made of it stay.
            return self.parts.told(say(language_of(request), "status_codes_open"))
        sent = Snapshot.untouched(picture, read.codes, about.name, Made("code_file"))
        return {self.sent: sent, self.picture: picture}

    def open_mask(self, file: str | None, session: Session | None, request: gr.Request) -> Updates:
        """What is white in a mask picture becomes the painted region, of every cell it touches."""
        session = _opened(session)
        try:
            mask = read_mask(_uploaded(file, "mask"))
        except PictureError as error:
            raise Refusal("error_refused", reason=error) from None
        sizes = session.upload.shape[:2], session.current.picture.shape[:2]
        if not any(_of_one_aspect(mask.shape, size) for size in sizes):
            raise Refusal(
                "error_mask_aspect",
                width=mask.shape[1],
                height=mask.shape[0],
                picture_width=sizes[0][1],
                picture_height=sizes[0][0],
            )
        cells = scale_mask(mask, session.current.codes.shape)
        if not cells.any():
            raise Refusal("error_empty_mask")
        text = say(language_of(request), "status_opened_mask", cells=f"{cells.sum():,}")
        canvas = CodeMap.update(value=pack_mask(cells))
        return {self.parts.canvas: canvas, **self.parts.told(text)}

    @property
    def _folder(self) -> str:
        return self.parts.file.GRADIO_CACHE

    def _saved(self, path: str, request: gr.Request, key: str, **values: object) -> Updates:
        return {self.parts.file: path, **self.parts.told(say(language_of(request), key, **values))}


def _opened(session: Session | None) -> Session:
    if session is None:
        raise Refusal("error_no_picture")
    return session


def _uploaded(file: str | None, name: str) -> Any:
    path = uploaded_file(file)
    if path is None:
        raise Refusal("error_file", name=name)
    return path


def _of_one_aspect(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether a picture (H, W) may be another one, scaled and rounded to whole pixels."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= max(b)
