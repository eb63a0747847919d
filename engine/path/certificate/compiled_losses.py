"""Sums of losses over the samples of a block, in compiled code. This module needs numba.

They are what `losses` sums before it makes a bound of it, by the same formulas.
"""

from __future__ import annotations

import numpy as np

from engine.path.certificate.chord import EPSILON
from engine.path.certificate.jit import Floats, part
from engine.path.certificate.losses import FAINT, SURE
from engine.path.certificate.scalar import above, below, larger, smaller

#: Sums of a cell: five of its curve, then the rest, sizes, and the values at the two ends. Squares
#: have five powers of s as the curve, the others the two ends of a chord and a bow.
SUMS = 9


@part
def squares(x: Floats, y: Floats, found: Floats) -> None:
    """Adds the sums that `losses.of_squares` needs."""
    for o in range(len(y)):
        for s in range(y.shape[1]):
            start, end = x[0, o, s] - y[o, s], x[1, o, s] - y[o, s]
            bow, low, high = x[2, o, s], x[3, o, s], x[4, o, s]
            slope = end - start + bow
            least = smaller(start, end) + smaller(bow, 0.0) / 4
            most = larger(start, end) + larger(bow, 0.0) / 4
            corner = larger(larger(most * high, most * low), larger(least * high, least * low))
            far = larger(high, -low)
            rest = 2 * corner + far * far
            found[0] += start * start
            found[1] += 2 * start * slope
            found[2] += slope * slope - 2 * start * bow
            found[3] += -2 * slope * bow
            found[4] += bow * bow
            found[5] += rest
            found[6] += start * start + end * end + bow * bow + abs(rest)
            found[7] += start * start
            found[8] += end * end


@part
def distances(x: Floats, y: Floats, found: Floats) -> None:
    """Adds the sums that `losses.of_chords` needs of absolute values."""
    for o in range(len(y)):
        for s in range(y.shape[1]):
            start, end = x[0, o, s] - y[o, s], x[1, o, s] - y[o, s]
            bow, low, high = x[2, o, s], x[3, o, s], x[4, o, s]
            up, down = above(bow, high), below(bow, low)
            if smaller(start, end) + down >= 0:
                bump, rest = bow, high
            elif larger(start, end) + up <= 0:
                bump, rest = -bow, -low
            else:
                bump, rest = 0.0, larger(up, -down)
            add(found, abs(start), abs(end), bump, rest, abs(start), abs(end))


@part
def add(
    found: Floats, first: float, last: float, bump: float, rest: float, start: float, end: float
) -> None:
    """Adds a chord from `first` to `last` with a bump and a rest; `start`, `end` are the values."""
    found[0] += first
    found[1] += last
    found[2] += bump
    found[5] += rest
    found[6] += abs(first) + abs(last) + abs(bump) + abs(rest)
    found[7] += start
    found[8] += end


@part
def entropies(x: Floats, room: Floats, count: int, found: Floats) -> None:
    """Adds the sums that `losses.of_chords` needs of cross-entropies, x the models of margins."""
    classes, values_of = x.shape[1], np.empty(4)
    error = (classes + 16) * EPSILON
    least, most, sums_of = room[0], room[1], room[2:6]
    for k in range(classes):
        for s in range(count):
            start, end, bow, high = x[0, k, s], x[1, k, s], x[2, k, s], x[4, k, s]
            most[k, s] = larger(start, end) + high + larger(bow, 0.0) / 4
            least[k, s] = smaller(start, end) + high + smaller(bow, 0.0) / 4
            sums_of[0, k, s], sums_of[1, k, s] = start + high, end + high
            sums_of[2, k, s], sums_of[3, k, s] = start, end
    for s in range(count):
        bump = share_of_bows(least, most, x[2], classes, s)
        for p in range(4):
            value, size = log_sum(sums_of[p], classes, s)
            values_of[p] = value + (error * (1 + size) if p < 2 else 0.0)
        add(found, values_of[0], values_of[1], bump, 0.0, values_of[2], values_of[3])


@part
def log_sum(scores: Floats, classes: int, s: int) -> tuple[float, float]:
    """Returns log Σ exp of one sample's scores (class, sample), and the largest absolute score."""
    top, size = scores[0, s], 0.0
    for k in range(classes):
        top = larger(top, scores[k, s])
        size = larger(size, abs(scores[k, s]))
    total = 0.0
    for k in range(classes):
        total += np.exp(scores[k, s] - top)
    return np.log(total) + top, size


@part
def share_of_bows(least: Floats, most: Floats, bow: Floats, classes: int, s: int) -> float:
    """Returns Σ sup(π·bow) of one sample, π the softmax of scores between `least` and `most`.

    `least` and `most` are overwritten. See `losses._softmax`.
    """
    shift = most[0, s]
    for k in range(1, classes):
        shift = larger(shift, most[k, s])
    highs, lows = 0.0, 0.0
    for k in range(classes):
        most[k, s] = np.exp(most[k, s] - shift)
        least[k, s] = np.exp(least[k, s] - shift)
        highs += most[k, s]
        lows += least[k, s]
    error = (classes + 32) * 4 * EPSILON
    total = 0.0
    for k in range(classes):
        high, low = most[k, s], least[k, s]
        if bow[k, s] > 0:
            share = 1.0 if high < FAINT else high / (high + larger(lows - low, 0.0))
            total += (share + error) * bow[k, s]
        else:
            others = larger(highs - high, 0.0) + error * highs
            total += larger(low / (low + others) - error, 0.0) * bow[k, s]
    return total


@part
def errors(x: Floats, label: int, count: int, found: Floats) -> None:
    """Adds the number of samples that may be wrong, and of those wrong for certain at the ends."""
    sure = 0.0
    for k in range(x.shape[1]):
        for s in range(count):
            sure = larger(sure, larger(abs(x[0, k, s]), abs(x[1, k, s])))
    sure = SURE * (1 + sure)
    for s in range(count):
        right, start, end = True, False, False
        for k in range(x.shape[1]):
            if k != label:
                highest = larger(x[0, k, s], x[1, k, s]) + x[4, k, s]
                right = right and highest + larger(x[2, k, s], 0.0) / 4 < 0
                start, end = start or x[0, k, s] > sure, end or x[1, k, s] > sure
        found[0] += 0.0 if right else 1.0
        found[7] += 1.0 if start else 0.0
        found[8] += 1.0 if end else 0.0
