"""The handwritten digits that ship with the package (attribution in DIGITS.md)."""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset


def load_digits() -> Dataset:
    """64 pixels scaled to [0, 1], ten classes, 1 437 samples to train and 360 held out."""
    with (resources.files("engine.data") / "digits.npz").open("rb") as file, np.load(file) as held:

        def pixels(name: str) -> NDArray[np.float32]:
            return np.asarray(held[name], np.float32) / np.float32(16)

        return Dataset(
            x=pixels("x"),
            y=held["y"].astype(np.int64),
            x_held_out=pixels("x_test"),
            y_held_out=held["y_test"].astype(np.int64),
            classes=10,
        )
