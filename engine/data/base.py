"""What every data set is, whatever it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """What pixels, bytes from 0 to 255, become: (pixel / 255 − mean) / std, channel by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Dataset:
    """Samples to train on, and samples held out. x keeps the compact type of its files."""

    x: NDArray[Any]
    """(sample, …) float32 values, uint8 pixels (sample, channel, height, width), or int32 token
    numbers (sample, time)."""
    y: NDArray[Any]
    """(sample, output) float32 values, (sample,) int64 class numbers, or (sample, time) int64
    numbers of the tokens after those of x."""
    x_held_out: NDArray[Any]
    y_held_out: NDArray[Any]
    classes: int | None
    """How many classes y numbers; None where y holds values."""
    scaling: Scaling | None = None
    """Of uint8 pixels."""

    @property
    def features(self) -> int:
        return prod(self.x.shape[1:])

    @property
    def outputs(self) -> int:
        """The width that a network's output needs."""
        return int(self.y.shape[1]) if self.classes is None else self.classes

    def checksum(self) -> str:
        """SHA-256 of the training samples."""
        digest = hashlib.sha256()
        for array in (self.x, self.y):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        if self.scaling is not None:
            digest.update(repr(self.scaling).encode())
        return digest.hexdigest()
