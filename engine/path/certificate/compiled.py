"""Steps of a proof in compiled code: each number's model in one pass. This module needs numba.

A rectifier or a pooling reads five tensors and makes five. Written with tensors, it goes through
memory some thirty times, which is most of what the proof of a convolutional network costs. The
functions here do the same operations on the same float64 numbers in the same order, so that the
models are those of `piecewise_linear` and `pooling` to the bit. Nothing is contracted or reordered.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from engine.networks.steps import Sides
from engine.path.certificate import scalar
from engine.path.certificate.chord import TINY, Chord
from engine.path.certificate.jit import Floats, entry, inner
from engine.path.certificate.scalar import OUTWARD, above, below, larger, smaller


def relu(x: Chord) -> Chord:
    """Returns the model of max(x, 0), as `piecewise_linear.relu` makes it."""
    made = _relu(*(_array(part).reshape(-1) for part in x.parts))
    return _chord(made, x.start.shape)


def max_pool(x: Chord, size: Sides) -> Chord:
    """Returns the model of the maxima over rectangles, as `pooling.max_pool` makes it."""
    *before, rows, columns = x.start.shape
    start, end, bow, low, high = (_array(part).reshape(-1, rows, columns) for part in x.parts)
    made = _max_pool(start, end, bow, low, high, *size)
    return _chord(made, [*before, *made.shape[2:]])


def _array(part: Tensor) -> Floats:
    """Returns a tensor as a contiguous array."""
    return cast(Floats, part.contiguous().numpy())


def _chord(made: Floats, shape: Any) -> Chord:
    """Returns the model with the five parts (5, …)."""
    return Chord(*(part.reshape(shape) for part in torch.from_numpy(made)))


@entry
def _relu(start: Floats, end: Floats, bow: Floats, low: Floats, high: Floats) -> Floats:
    """Returns the five parts (5, number) of the models of max(x, 0)."""
    made = np.empty((5, len(start)))
    for i in range(len(start)):
        made[0, i], made[1, i], made[2, i], made[3, i], made[4, i] = scalar.relu(
            start[i], end[i], bow[i], low[i], high[i]
        )
    return made


@entry
def _max_pool(
    start: Floats,
    end: Floats,
    bow: Floats,
    low: Floats,
    high: Floats,
    tall: int,
    wide: int,
) -> Floats:
    """Returns the five parts (5, image, row, column) of the maxima's models."""
    images, rows, columns = start.shape[0], start.shape[1] // tall, start.shape[2] // wide
    made = np.empty((5, images, rows, columns))
    inside = np.empty((5, tall * wide))  # the entries of one rectangle
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                k = 0
                for i in range(row * tall, (row + 1) * tall):
                    for j in range(column * wide, (column + 1) * wide):
                        inside[0, k], inside[1, k] = start[image, i, j], end[image, i, j]
                        inside[2, k] = bow[image, i, j]
                        inside[3, k] = below(bow[image, i, j], low[image, i, j])
                        inside[4, k] = above(bow[image, i, j], high[image, i, j])
                        k += 1
                a, b = _where_largest(inside[0]), _where_largest(inside[1])
                if _leads(inside, a):
                    i, j = row * tall + a // wide, column * wide + a % wide
                    made[0, image, row, column] = start[image, i, j]
                    made[1, image, row, column] = end[image, i, j]
                    made[2, image, row, column] = bow[image, i, j]
                    made[3, image, row, column] = low[image, i, j]
                    made[4, image, row, column] = high[image, i, j]
                else:
                    lowest, highest = _of_maxima(inside, a, b)
                    made[0, image, row, column] = inside[0, a]
                    made[1, image, row, column] = inside[1, b]
                    made[2, image, row, column] = 0.0
                    made[3, image, row, column] = lowest
                    made[4, image, row, column] = highest
    return made


@inner
def _of_maxima(inside: Floats, a: int, b: int) -> tuple[float, float]:
    """Returns bounds of the largest number less the chord of the largest at start and end."""
    p, q = inside[1, b] - inside[1, a], inside[0, a] - inside[0, b]
    gap = p * (q / larger(p + q, TINY)) * OUTWARD + TINY
    lowest = (smaller(inside[3, a], inside[3, b]) - gap) * OUTWARD
    highest = inside[4, 0]
    for k in range(1, inside.shape[1]):
        highest = larger(highest, inside[4, k])
    return lowest, highest


@inner
def _where_largest(values: Floats) -> int:
    """Returns the place of the first of the largest, where what is not a number is larger still."""
    place = 0
    for k in range(1, len(values)):
        if values[k] > values[place] or (np.isnan(values[k]) and not np.isnan(values[place])):
            place = k
    return place


@inner
def _leads(inside: Floats, a: int) -> bool:
    """Returns whether one number of a rectangle is the largest for every t."""
    for k in range(inside.shape[1]):
        ahead = smaller(inside[0, a] - inside[0, k], inside[1, a] - inside[1, k])
        if k != a and not ahead - (inside[4, k] - inside[3, a]) >= 0:
            return False
    return True
