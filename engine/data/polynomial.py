"""Polynomial regression on [0, 1] (§4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.data.base import Dataset
from engine.spec.keys import PolynomialData


def make_polynomial(spec: PolynomialData) -> Dataset:
    """y = Σ c_k x^k; grid: x_i = i/(points-1), held-out points halfway between; random: uniform."""
    if spec.sampling == "grid":
        x = np.linspace(0.0, 1.0, spec.points)
        held_out = (x[1:] + x[:-1]) / 2
    else:
        draws = np.random.Generator(np.random.Philox(spec.seed)).random(2 * spec.points)
        x, held_out = draws[: spec.points], draws[spec.points :]

    def values(at: NDArray[np.float64]) -> NDArray[np.float32]:
        y = np.polynomial.polynomial.polyval(at, np.asarray(spec.coefficients))
        return np.asarray(y, dtype=np.float32)[:, None]

    return Dataset(
        x=x.astype(np.float32)[:, None],
        y=values(x),
        x_held_out=held_out.astype(np.float32)[:, None],
        y_held_out=values(held_out),
        classes=None,
    )
