"""A few samples written out in the preset."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.errors import InputError
from engine.spec.keys import PointsData


def make_points(spec: PointsData) -> Dataset:
    """Raises InputError where rows differ in length, or x and y in number."""
    x, y = _rows(spec, "x"), _rows(spec, "y")
    if len(x) != len(y):
        raise InputError(
            f"has {len(y)} rows, but x has {len(x)}; give a row of y for each of x",
            key="problem.data.y",
        )
    return Dataset(x, y, x[:0], y[:0], classes=None)


def _rows(spec: PointsData, name: Literal["x", "y"]) -> NDArray[np.float32]:
    rows = spec.x if name == "x" else spec.y
    widths = {len(row) for row in rows}
    if len(widths) > 1 or 0 in widths:
        raise InputError(
            f"its rows have {sorted(widths)} values; make them equally long",
            key=f"problem.data.{name}",
        )
    values = np.array(rows)
    if abs(values).max() > np.finfo(np.float32).max:
        raise InputError("holds values too large for float32", key=f"problem.data.{name}")
    return values.astype(np.float32)
