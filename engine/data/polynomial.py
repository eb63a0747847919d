"""Polynomial regression on [0, 1] (§4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.data.base import DataKeys, Dataset
from engine.part import SeedInt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PolynomialData(DataKeys):
    """Points of the polynomial y = Σ c_k x^k on [0, 1].

    As many points are held out as there are to train on, or one less on a grid.
    On a grid, training points are x_i = i / (points − 1) and held-out points lie halfway between
    them; at random, both are drawn from the uniform distribution.
    """

    kind: Literal["polynomial"]
    coefficients: Annotated[tuple[float, ...], Field(min_length=1)]
    """The coefficients c_k, those of the lowest powers first."""
    points: Annotated[int, Field(ge=2, le=10**7)] = 1000
    """The number of points to train on."""
    sampling: Literal["grid", "random"] = "grid"
    """Whether the points lie on an even grid or are drawn at random."""
    seed: SeedInt = 0
    """The seed of random points. The run's own seed does not change the data."""

    def read(self) -> Dataset:
        """Returns x (sample, 1) and y (sample, 1)."""
        import numpy as np

        if self.sampling == "grid":
            x = np.linspace(0.0, 1.0, self.points)
            held_out = (x[1:] + x[:-1]) / 2
        else:
            draws = np.random.Generator(np.random.Philox(self.seed)).random(2 * self.points)
            x, held_out = draws[: self.points], draws[self.points :]

        def values(at: NDArray[np.float64]) -> NDArray[np.float32]:
            y = np.polynomial.polynomial.polyval(at, np.asarray(self.coefficients))
            return np.asarray(y, dtype=np.float32)[:, None]

        return Dataset(
            x=x.astype(np.float32)[:, None],
            y=values(x),
            x_held_out=held_out.astype(np.float32)[:, None],
            y_held_out=values(held_out),
            classes=None,
        )
