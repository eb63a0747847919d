"""A user's arrays and polynomials, as several tests of data need them."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data import Dataset, load_data
from engine.data.arrays import ArraysData
from engine.data.polynomial import PolynomialData

COEFFICIENTS = (0.7, -1.3, 0.4, 2.1)


def polynomial(**keys: Any) -> Dataset:
    return load_data(PolynomialData(kind="polynomial", coefficients=COEFFICIENTS, **keys))


SAMPLES = 30


def x_of(samples: int = SAMPLES, *shape: int) -> NDArray[np.float64]:
    """Rows that tell which they are: their first entry is their number."""
    size = shape or (3,)
    return 0.5 * np.arange(samples * prod(size), dtype=np.float64).reshape(samples, *size)


def classes_of(x: NDArray[Any]) -> NDArray[np.int64]:
    return (np.arange(len(x)) * 7 % 5).astype(np.int64)


def ours(**arrays: Any) -> dict[str, Any]:
    x = x_of()
    return {"x": x, "y": classes_of(x)} | arrays


def load(path: object, **keys: Any) -> Dataset:
    return load_data(ArraysData(kind="arrays", path=str(path), **keys))


def stored(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def held(**changes: Any) -> Dataset:
    x, y = x_of().astype(np.float32), classes_of(x_of())
    parts: dict[str, Any] = {"x": x, "y": y, "x_held_out": x[:4], "y_held_out": y[:4], "classes": 5}
    return Dataset(**(parts | changes))


#: An array of each kind that files of tensors hold, and of which they are read again as they were.
OF_EACH_KIND: dict[str, Any] = {
    "odd": np.array([1, 2, 3], np.int8),
    "one": np.array(2.5),
    "none": np.empty((0, 3), np.float32),
    "flags": np.array([True, False]),
    "table": np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32),
    "counts": np.arange(6).reshape(2, 3),
}
