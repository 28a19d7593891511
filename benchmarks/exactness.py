"""How fast fillings approach the exact conditional as particles grow, where that is enumerable."""

from __future__ import annotations

import math
from typing import Any

from tests.test_pixelcnn import model
from tests.test_smc import SMALL, distance, exact

PARTICLES = (1, 4, 16, 64, 256)


def measure(seeds: int = 2000) -> dict[str, Any]:
    """Total variation between what `seeds` seeds give and the truth, by number of particles.

    The prior, map (3x3, K = 3) and hole are those of `tests/test_smc.py`. `sampling_noise` is
    the expected distance of as many exact draws: no number of particles can do better.
    """
    prior = model(SMALL, sharp=20.0)
    truth = exact(prior)
    # The mean absolute value of a normal variable is sqrt(2 / pi) of its deviation.
    noise = sum(math.sqrt(2 / math.pi * p * (1 - p) / seeds) for p in truth.values())
    return {
        "seeds": seeds,
        "total_variation_by_particles": {
            str(n): distance(prior, truth, seeds, particles=n) for n in PARTICLES
        },
        "sampling_noise": noise / 2,
    }
