"""checkpoints/scenes-128-fine: as scenes-128, with K = 4,096 where that has 512.

It starts from that checkpoint's networks (`vq.growth`): the budgets here are beyond theirs.
"""

import dataclasses

from vq.recipes import scenes_128

RECIPE = dataclasses.replace(scenes_128.RECIPE, name="scenes-128-fine").override(
    {
        "autoencoder.model.num_codes": "4096",
        "autoencoder.training.steps": "6400",
        "autoencoder.training.learning_rate": "6e-4",
        "masked.training.steps": "2100",
        "masked.training.learning_rate": "1e-3",
        "masked.training.seed": "3",
        "pixelcnn.training.steps": "1650",
        "pixelcnn.training.learning_rate": "1e-3",
        "pixelcnn.training.seed": "3",
    }
)
