"""Regression on a noisy linear map: what a deep linear network can learn (§2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.seeds import generator
from engine.spec.keys import LinearMapData


def make_linear_map(spec: LinearMapData) -> Dataset:
    """As many samples are held out as there are to train on."""
    random = generator(spec.seed, "linear map")
    matrix = random.standard_normal((spec.outputs, spec.features)) / spec.features**0.5

    def draw() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        x = random.standard_normal((spec.samples, spec.features))
        y = x @ matrix.T + spec.noise * random.standard_normal((spec.samples, spec.outputs))
        return x.astype(np.float32), y.astype(np.float32)

    return Dataset(*draw(), *draw(), classes=None)
