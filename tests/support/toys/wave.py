"""A toy data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from engine.data import DataKeys, Dataset
from engine.data.survey import State, Survey


class WaveData(DataKeys):
    """y = sin(frequency · x) on an even grid over [-1, 1]; nothing is held out."""

    kind: Literal["wave"]
    frequency: PositiveFloat
    points: PositiveInt = 21

    def read(self) -> Dataset:
        x = np.linspace(-1.0, 1.0, self.points, dtype=np.float32)[:, None]
        y = np.sin(self.frequency * x).astype(np.float32)
        return Dataset(x, y, x[:0], y[:0], classes=None)

    @classmethod
    def surveys(cls) -> Mapping[str, Callable[[], Survey]]:
        return {"wave": lambda: Survey("wave", "wave", "A sine", State.SHIPPED)}
