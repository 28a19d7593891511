"""checkpoints/scenes-128-fine: as scenes-128, with K = 4,096 where that has 512.

It starts from that checkpoint's networks (`vq.growth`): the budgets here are beyond theirs.
"""

import dataclasses

from vq.recipes import scenes_128

_COARSE = scenes_128.RECIPE

RECIPE = dataclasses.replace(
    _COARSE,
    name="scenes-128-fine",
    autoencoder=dataclasses.replace(
        _COARSE.autoencoder,
        model=dataclasses.replace(_COARSE.autoencoder.model, num_codes=4096),
        training=dataclasses.replace(_COARSE.autoencoder.training, steps=6_400, learning_rate=6e-4),
    ),
    masked=dataclasses.replace(
        _COARSE.masked,
        training=dataclasses.replace(_COARSE.masked.training, steps=2_100, learning_rate=1e-3),
    ),
    pixelcnn=dataclasses.replace(
        _COARSE.pixelcnn,
        training=dataclasses.replace(_COARSE.pixelcnn.training, steps=1_650, learning_rate=1e-3),
    ),
)
