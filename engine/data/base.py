"""What every data set is, whatever it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Samples to train on, and samples held out."""

    x: NDArray[np.float32]
    """(sample, feature)"""
    y: NDArray[np.float32] | NDArray[np.int64]
    """(sample, output) values, or (sample,) class numbers."""
    x_held_out: NDArray[np.float32]
    y_held_out: NDArray[np.float32] | NDArray[np.int64]
    classes: int | None
    """How many classes y numbers; None where y holds values."""

    @property
    def features(self) -> int:
        return int(self.x.shape[1])

    @property
    def outputs(self) -> int:
        """The width that a network's output needs."""
        return int(self.y.shape[1]) if self.classes is None else self.classes

    def checksum(self) -> str:
        """SHA-256 of the training samples."""
        digest = hashlib.sha256()
        for array in (self.x, self.y):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
