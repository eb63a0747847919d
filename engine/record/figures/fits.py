"""Power laws through points, with what their exponents are known to.

scipy is imported where a law is fitted, since most figures need none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log

import numpy as np

#: The confidence of intervals and bands.
CONFIDENCE = 0.95
#: The number of places at which a fitted line is told.
PLACES = 41


@dataclass(frozen=True)
class PowerLaw:
    """The law y = factor · x^exponent, fitted to points by least squares of the logarithms."""

    factor: float
    exponent: float
    exponent_low: float
    """The lower end of the exponent's confidence interval."""
    exponent_high: float
    points: int
    """Number of points."""
    x: tuple[float, ...]
    """The places at which the law is told, evenly far apart in the logarithm."""
    y: tuple[float, ...]
    low: tuple[float, ...]
    """The lower edge of the confidence band of the law at each place."""
    high: tuple[float, ...]

    @property
    def words(self) -> str:
        """The law in words."""
        share = f"{100 * CONFIDENCE:g} %"
        return (
            f"{self.factor:.4g} × level^{self.exponent:.4f} ({share} confidence "
            f"{self.exponent_low:.4f} to {self.exponent_high:.4f}; least squares of logarithms "
            f"over {self.points} levels, each counting alike)"
        )


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw | None:
    """Returns the power law through points (x, y), or None where there is none to speak of.

    That is so where fewer than three can be used, and where all y are the same. Points that are not
    finite and positive are left out. Each point counts alike, because the scatter about a law is
    larger than the errors of the means. Intervals are those of Student's t with two degrees of
    freedom less than points, on the scatter of the logarithms about the line.
    """
    sane = [(log(a), log(b)) for a, b in zip(x, y, strict=True) if _is_sane(a) and _is_sane(b)]
    if len({a for a, _ in sane}) < 3 or len({b for _, b in sane}) < 2:
        return None
    from scipy.stats import linregress, t

    across, up = np.array(sane).T
    line = linregress(across, up)
    count, middle = len(sane), float(across.mean())
    spread = float(((across - middle) ** 2).sum())
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 2))
    places = np.linspace(across.min(), across.max(), PLACES)
    values = line.intercept + line.slope * places
    scatter = float(line.stderr) * spread**0.5
    half = reach * scatter * np.sqrt(1 / count + (places - middle) ** 2 / spread)
    interval = reach * float(line.stderr)
    return PowerLaw(
        factor=exp(line.intercept),
        exponent=float(line.slope),
        exponent_low=float(line.slope) - interval,
        exponent_high=float(line.slope) + interval,
        points=count,
        x=_from_logarithms(places),
        y=_from_logarithms(values),
        low=_from_logarithms(values - half),
        high=_from_logarithms(values + half),
    )


def _is_sane(value: float) -> bool:
    """Returns whether a value has a logarithm."""
    return isfinite(value) and value > 0


def _from_logarithms(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Returns the numbers of which these are the logarithms."""
    return tuple(np.exp(values).tolist())
