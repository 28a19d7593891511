"""checkpoints/scenes-128: photographs, 128x128x3 -> 32x32x1, K = 512 (the paper, section 4.1).

Six kinds of landscape (Intel scene set) and ten kinds of things (Imagenette).
"""

from vq.autoencoder import VQVAEConfig
from vq.priors.masked import MaskedPriorConfig
from vq.priors.pixelcnn import PixelCNNConfig
from vq.recipes import AutoencoderStage, MaskedStage, PixelCNNStage, Recipe
from vq.training import TrainingConfig

RECIPE = Recipe(
    name="scenes-128",
    data=("scenes128/train", "imagenette128/train"),
    held_out=("scenes128/test", "imagenette128/val"),
    size=128,
    label_names={
        "n01440764": "tench",
        "n02102040": "springer",
        "n02979186": "cassette player",
        "n03000684": "chain saw",
        "n03028079": "church",
        "n03394916": "french horn",
        "n03417042": "garbage truck",
        "n03425413": "gas pump",
        "n03445777": "golf ball",
        "n03888257": "parachute",
    },
    autoencoder=AutoencoderStage(
        model=VQVAEConfig(decoder_blocks=4),
        training=TrainingConfig(steps=11_000, batch=32, learning_rate=1e-3, average=0.999),
        crop=64,
    ),
    masked=MaskedStage(
        # The best of three shapes at equal time: python -m benchmarks prior-architectures.
        model=MaskedPriorConfig(width=192, depth=4, heads=3, local_blocks=3),
        training=TrainingConfig(
            steps=13_600, batch=16, learning_rate=1.5e-3, weight_decay=0.02, average=0.999
        ),
    ),
    pixelcnn=PixelCNNStage(
        # As shallow as it is so that many particles stay quick on two cores.
        model=PixelCNNConfig(layers=8, channels=128),
        training=TrainingConfig(
            steps=7_100, batch=16, learning_rate=1.5e-3, weight_decay=0.02, average=0.998
        ),
    ),
)
