"""The Space's entry point: build the demo on the weights that come with it, and launch it."""

import os

# Read when gradio and huggingface_hub are imported: nobody is told that this app runs.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from demo import page, studio

if __name__ == "__main__":
    page.build(studio.shelf()).launch(**page.LAUNCH)
