"""The Space's entry point: build the demo on the weights that come with it, and launch it."""

import os
import tempfile

# Read when gradio and huggingface_hub are imported: nobody is told that this app runs.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# A folder of its own, which it may sweep: by default all Gradio apps of a machine share one.
os.environ.setdefault("GRADIO_TEMP_DIR", os.path.join(tempfile.gettempdir(), "codebrush"))

from demo import page, zerogpu
from demo.models import Library
from demo.shelf import Shelf

if __name__ == "__main__":
    loader = zerogpu.loader()
    shelf = Shelf.of_folder(loader)
    page.build(shelf, Library(shelf, loader)).launch(**page.LAUNCH)
