"""checkpoints/maze-84: frames of mazes, 84x84x3 -> 21x21x1, K = 512 (the paper, section 4.1).

The frames are drawn by `vq.mazes`, the mazes of the test split being none of those trained on.
"""

from vq.autoencoder import VQVAEConfig
from vq.priors.masked import MaskedPriorConfig
from vq.priors.pixelcnn import PixelCNNConfig
from vq.recipes import AutoencoderStage, MaskedStage, PixelCNNStage, Recipe
from vq.training import TrainingConfig

RECIPE = Recipe(
    name="maze-84",
    data=("mazes/train",),
    held_out=("mazes/test",),
    license="apache-2.0",
    size=84,
    autoencoder=AutoencoderStage(
        model=VQVAEConfig(decoder_blocks=4),
        training=TrainingConfig(minutes=60.0, batch=16, learning_rate=1e-3, average=0.998),
        crop=64,
    ),
    masked=MaskedStage(
        # A token for 3x3 codes: 2 does not divide 21, and 441 tokens would take too long.
        model=MaskedPriorConfig(
            map_size=(21, 21), merge=3, width=192, depth=4, heads=3, local_blocks=3
        ),
        training=TrainingConfig(
            minutes=28.0, batch=16, learning_rate=1.5e-3, weight_decay=0.02, average=0.998
        ),
    ),
    pixelcnn=PixelCNNStage(
        model=PixelCNNConfig(layers=8, channels=96),
        training=TrainingConfig(
            minutes=32.0, batch=16, learning_rate=1.5e-3, weight_decay=0.02, average=0.998
        ),
    ),
)
