"""Steps of a proof on the model of one number, in compiled code. This module needs numba.

A model is its five numbers: start, end, bow, low, high (`chord`). The rectifier does the same
operations in the same order as `piecewise_linear`, so that its models are the same to the bit. The
sigmoid follows `sigmoid`, with the exponential of `falling`. Nothing here branches or calls, so
that a loop over samples takes several of them at once.
"""

from __future__ import annotations

import numpy as np

from engine.path.certificate.chord import EPSILON, TINY
from engine.path.certificate.falling import falling
from engine.path.certificate.jit import inner
from engine.path.certificate.sigmoid import BEND, MOST_BENT

Model = tuple[float, float, float, float, float]

#: By how much `chord.outward` multiplies.
OUTWARD = 1 + 8 * EPSILON

# As in torch, the larger and the smaller of two numbers are not a number where either is none.


@inner
def larger(a: float, b: float) -> float:
    """Returns the larger of two numbers."""
    return a if a > b or np.isnan(a) else b


@inner
def smaller(a: float, b: float) -> float:
    """Returns the smaller of two numbers."""
    return a if a < b or np.isnan(a) else b


@inner
def below(bow: float, low: float) -> float:
    """Returns what `chord.deviation` returns first."""
    return (low + smaller(bow, 0.0) / 4) * OUTWARD


@inner
def above(bow: float, high: float) -> float:
    """Returns what `chord.deviation` returns second."""
    return (high + larger(bow, 0.0) / 4) * OUTWARD


@inner
def sign(start: float, end: float, bow: float, low: float, high: float) -> int:
    """Returns 1 for a number that is nowhere below 0 in the cell, −1 nowhere above, else 0."""
    if smaller(start, end) + below(bow, low) >= 0:
        return 1
    return -1 if larger(start, end) + above(bow, high) <= 0 else 0


@inner
def relu(start: float, end: float, bow: float, low: float, high: float) -> Model:
    """Returns the model of max(x, 0), as `piecewise_linear.relu` makes it."""
    first, last = larger(start, 0.0), larger(end, 0.0)
    keeps = sign(start, end, bow, low, high)
    if keeps > 0:
        return first, last, bow, low, high
    if keeps < 0:
        return first, last, 0.0, 0.0, 0.0
    down, up = below(bow, low), above(bow, high)
    gap = 0.0
    if (start > 0) != (end > 0):
        sizes = larger(abs(start) + abs(end), TINY)
        gap = abs(start) * (abs(end) / sizes) * OUTWARD + TINY
    return first, last, 0.0, larger((down - gap) * OUTWARD, -larger(first, last)), up


@inner
def sigmoid(start: float, end: float, bow: float, low: float, high: float) -> Model:
    """Returns the model of σ(x), as `sigmoid.sigmoid` makes it."""
    least = smaller(start, end) + smaller(bow, 0.0) / 4
    most = larger(start, end) + larger(bow, 0.0) / 4
    slope_least, bend_least = slope_and_bend(least)
    slope_most, bend_most = slope_and_bend(most)
    slope_low, slope_high = smaller(slope_least, slope_most), larger(slope_least, slope_most)
    slope_high = 0.25 if (least <= 0) & (most >= 0) else slope_high
    bend_low, bend_high = smaller(bend_least, bend_most), larger(bend_least, bend_most)
    bend_low = -MOST_BENT if (least <= BEND) & (most >= BEND) else bend_low
    bend_high = MOST_BENT if (least <= -BEND) & (most >= -BEND) else bend_high
    steepest, _ = slope_and_bend(larger(least + low, smaller(most + high, 0.0)))
    along, size = abs(end - start), abs(bow)
    slow, fast = larger(along - size, 0.0), along + size
    slow, fast = slow * slow, fast * fast
    down = smaller(bend_low * slow, bend_low * fast)
    up = larger(bend_high * slow, bend_high * fast)
    down = down - 2 * larger(bow * slope_low, bow * slope_high)
    up = up - 2 * smaller(bow * slope_low, bow * slope_high)
    slack = 64 * EPSILON * (1 + fast + size + high - low)
    spread = (up - down) / 16
    return (
        logistic(start),
        logistic(end),
        -(down + up) / 4,
        steepest * low - spread - slack,
        steepest * high + spread + slack,
    )


@inner
def logistic(x: float) -> float:
    """Returns σ(x), as 1/(1 + e^−|x|) or e^−|x|/(1 + e^−|x|)."""
    shrunk = falling(-abs(x))
    larger_share = 1 / (1 + shrunk)
    return shrunk * larger_share if x < 0 else larger_share


@inner
def slope_and_bend(x: float) -> tuple[float, float]:
    """Returns σ′(x) and σ″(x). Of a range of x, σ′ is largest at the point that is nearest to 0."""
    shrunk = falling(-abs(x))
    larger_share = 1 / (1 + shrunk)
    slope = shrunk * larger_share * larger_share
    bend = slope * ((1 - shrunk) * larger_share)
    return slope, -bend if x > 0 else bend
