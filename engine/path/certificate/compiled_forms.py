"""Remainders as linear forms in what rectifiers lost, in compiled code. This module needs numba.

An interval forgets where it comes from: two layers on, the same loss of a rectifier is counted once
for each way by which it arrives, and with the worst sign each time. So a remainder is held as

    Σ_j factor_j · r_j + rest,

where r_j, one for each rectifier of the sample that may change its sign in the cell, is a function
of s of which only its range is known. Layers multiply the factors, and what has opposite signs
cancels. See docs/proof.md, "Linear remainders".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.path.certificate import scalar
from engine.path.certificate.chord import EPSILON
from engine.path.certificate.jit import Floats, part
from engine.path.certificate.scalar import larger

Whole = NDArray[np.int64]

#: Unknowns that a sample has at most; of more rectifiers the loss goes into the rest.
MOST = 16


class Forms(NamedTuple):
    """The remainders of a block's numbers in their unknowns."""

    counts: Whole
    """(sample,) The number of unknowns of each."""
    factors: Floats
    """(sample, unknown, value)"""
    born: Whole
    """(sample, unknown) The number of which a new one is the remainder; −1 once it went on."""
    ranges: Floats
    """(2, sample, unknown) What each unknown is at least and at most; 0 lies between."""
    rest: Floats
    """(value, sample) The largest size of the rest."""
    turned: Floats
    """(input, output) Room for a layer's weights."""
    rows: Floats
    """(2, value) Room for the outputs of one sample."""
    moving: Whole
    """(value,) Room for the inputs of one sample that have a remainder."""


@part
def room_for_forms(widest: int, samples: int) -> Forms:
    """Returns forms without unknowns for layers of at most that width."""
    return Forms(
        np.zeros(samples, np.int64),
        np.empty((samples, MOST, widest)),
        np.empty((samples, MOST), np.int64),
        np.empty((2, samples, MOST)),
        np.zeros((widest, samples)),
        np.empty((widest, widest)),
        np.empty((2, widest)),
        np.empty(widest, np.int64),
    )


@part
def without_unknowns(forms: Forms, x: Floats, width: int, count: int) -> None:
    """Makes the remainders of models x (5, value, sample) the rests of forms in no unknown."""
    for s in range(count):
        forms.counts[s] = 0
    for i in range(width):
        for s in range(count):
            forms.rest[i, s] = larger(x[4, i, s], -x[3, i, s])


@part
def carried(
    forms: Forms, x: Floats, weights: Floats, inputs: int, outputs: int, count: int
) -> None:
    """Puts a layer's factors in place of those of its inputs x; weights are (output · input,)."""
    turned, row, moving = forms.turned, forms.rows[0], forms.moving
    for o in range(outputs):
        for i in range(inputs):
            turned[i, o] = weights[o * inputs + i]
    for s in range(count):
        if forms.counts[s] == 0:
            continue
        many = -1
        for j in range(forms.counts[s]):
            factors, born = forms.factors[s, j], forms.born[s, j]
            if born >= 0:
                for o in range(outputs):
                    factors[o] = turned[born, o]
                forms.born[s, j] = -1
                continue
            if many < 0:
                many = with_remainder(x, inputs, s, moving)
            combined(factors, turned, moving[:many], row[:outputs])
            for o in range(outputs):
                factors[o] = row[o]


@part
def with_remainder(x: Floats, inputs: int, s: int, places: Whole) -> int:
    """Writes which of a sample's numbers have a remainder, and returns how many; not those off."""
    many = 0
    for i in range(inputs):
        if not (x[3, i, s] == 0 and x[4, i, s] == 0):
            places[many] = i
            many += 1
    return many


@part
def combined(factors: Floats, turned: Floats, places: Whole, made: Floats) -> None:
    """Writes the sum of factor times weights (output,) over the inputs at these places."""
    for o in range(len(made)):
        made[o] = 0.0
    many = len(places) - len(places) % 4
    for n in range(0, many, 4):
        i, j, k, m = places[n], places[n + 1], places[n + 2], places[n + 3]
        a, b, c, d = factors[i], factors[j], factors[k], factors[m]
        wa, wb, wc, wd = turned[i], turned[j], turned[k], turned[m]
        for o in range(len(made)):
            made[o] = made[o] + a * wa[o] + b * wb[o] + c * wc[o] + d * wd[o]
    for n in range(many, len(places)):
        a, wa = factors[places[n]], turned[places[n]]
        for o in range(len(made)):
            made[o] += a * wa[o]


@part
def factors_against(forms: Forms, classes: int, label: int, count: int) -> None:
    """Takes the label's factors from those of all classes."""
    for s in range(count):
        for j in range(forms.counts[s]):
            factors, own = forms.factors[s, j], forms.factors[s, j, label]
            for o in range(classes):
                factors[o] -= own


@part
def gathered(forms: Forms, x: Floats, outputs: int, count: int) -> None:
    """Keeps the remainders of x as the rests, and adds to them what the forms may be.

    A sum of J products of one sign has a relative error of at most (J+1)·EPSILON.
    """
    for o in range(outputs):
        for s in range(count):
            forms.rest[o, s] = larger(x[4, o, s], -x[3, o, s])
    low, high = forms.rows[0], forms.rows[1]
    for s in range(count):
        if forms.counts[s] == 0:
            continue
        for o in range(outputs):
            low[o], high[o] = 0.0, 0.0
        for j in range(forms.counts[s]):
            factors = forms.factors[s, j]
            least, most = forms.ranges[0, s, j], forms.ranges[1, s, j]
            for o in range(outputs):
                factor = factors[o]
                low[o] += factor * (least if factor > 0 else most)
                high[o] += factor * (most if factor > 0 else least)
        away = 1 + 2 * (forms.counts[s] + 4) * EPSILON
        for o in range(outputs):
            x[3, o, s] = (x[3, o, s] + low[o]) * away
            x[4, o, s] = (x[4, o, s] + high[o]) * away


@part
def rectified(forms: Forms, x: Floats, width: int, count: int) -> None:
    """Puts the models and forms of max(x, 0) in place of those of x.

    One that keeps its sign keeps its form, or is 0. Each other one becomes an unknown.
    """
    for i in range(width):
        for s in range(count):
            a, b, q, low, high = x[0, i, s], x[1, i, s], x[2, i, s], x[3, i, s], x[4, i, s]
            sign = scalar.sign(a, b, q, low, high)
            model = scalar.relu(a, b, q, low, high)
            x[0, i, s], x[1, i, s], x[2, i, s], x[3, i, s], x[4, i, s] = model
            if sign <= 0:
                forms.rest[i, s] = 0.0
            if sign == 0:
                unknown(forms, i, s, model[3], model[4])


@part
def unknown(forms: Forms, i: int, s: int, low: float, high: float) -> None:
    """Makes one number's remainder a new unknown of its sample, or its rest if there are many."""
    j = forms.counts[s]
    for other in range(j):
        if forms.born[s, other] < 0:
            forms.factors[s, other, i] = 0.0
    if j == MOST:
        forms.rest[i, s] = larger(high, -low)
        return
    forms.born[s, j] = i
    forms.ranges[0, s, j], forms.ranges[1, s, j] = low, high
    forms.counts[s] = j + 1
