"""The files of the Edit tab: what can be saved, and what can be opened beside a picture."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.files import FileInput, Files
from demo.text import INTERFACE as _
from demo.text import language_of, say
from demo.toasts import Updates, guarded

# The browser saves a file that an event has put into a hidden gr.DownloadButton.
DOWNLOAD = """(file) => {
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name;
    link.click();
}"""

_BUTTON: dict[str, Any] = {"size": "md", "min_width": 130}


def build() -> tuple[gr.Button, gr.Button, FileInput, FileInput, FileInput]:
    """Buttons that save the codes and the mask, and where each of them comes in.

    Codes also do where a visitor drops a file: folded away, the buttons are not in the page.
    """
    with gr.Accordion(_("files_label"), open=False, elem_id="files"):
        gr.Markdown(_("files_info"))
        with gr.Row(elem_classes="actions"):
            save_codes = gr.Button(
                _("save_codes"), **_BUTTON, interactive=False, elem_id="save-codes"
            )
            open_codes = FileInput(_("open_codes"), **_BUTTON, elem_id="open-codes")
        with gr.Row(elem_classes="actions"):
            save_mask = gr.Button(_("save_mask"), **_BUTTON, interactive=False, elem_id="save-mask")
            open_mask = FileInput(
                _("open_mask"), **_BUTTON, file_types=["image"], elem_id="open-mask"
            )
    dropped = FileInput(visible="hidden", elem_id="dropped-codes")
    return save_codes, save_mask, open_codes, dropped, open_mask


def wire(files: Files, open_codes: FileInput, dropped: FileInput, open_mask: FileInput) -> None:
    """Has the buttons do what they say."""
    parts = files.parts
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    work: dict[str, Any] = {"concurrency_id": "open", "concurrency_limit": 2, **quiet}

    def begin(request: gr.Request) -> Updates:
        return parts.told(say(language_of(request), "status_animating"))

    begun = parts.save_filling.click(begin, None, parts.status, queue=False, **quiet)
    masked = [parts.session, parts.canvas]
    for trigger, action, inputs in (
        (parts.download.click, files.save_picture, parts.session),
        (parts.save_codes.click, files.save_codes, parts.session),
        (parts.save_mask.click, files.save_mask, masked),
        (begun.success, files.save_filling, parts.session),
    ):
        trigger(guarded(action), inputs, [parts.file, parts.status], **work).success(
            None, parts.file, js=DOWNLOAD, api_visibility="private"
        )
    for codes in (open_codes, dropped):
        codes.upload(
            guarded(files.open_codes),
            [codes, parts.session],
            [files.picture, files.sent, parts.status],
            **work,
        )
    open_mask.upload(
        guarded(files.open_mask),
        [open_mask, parts.session],
        [parts.canvas, parts.status],
        **work,
    )
