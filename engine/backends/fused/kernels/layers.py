"""Activations and losses of a block of samples, and their derivatives."""

from __future__ import annotations

import numpy as np

from engine.backends.fused.kernels.arrays import (
    CROSS_ENTROPY,
    FOUR,
    IDENTITY,
    ONE,
    RELU,
    SIGMOID,
    SQUARED,
    STRIDE,
    ZERO,
    Floats,
    Index,
    Net,
    Scratch,
)
from engine.backends.fused.kernels.compiling import compiled
from engine.backends.fused.kernels.exponentials import exp, expm1, log, logistic


@compiled()
def activate(kind: int, values: Floats, at: Index, rows: Index, n: Index) -> None:
    """Applies an activation to rows of values, in place."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    if kind == IDENTITY:
        return
    for row in range(rows):
        start = at + row * STRIDE
        if kind == RELU:
            for s in range(n):
                value = values[start + s]
                values[start + s] = zero if value < zero else value  # nan stays
        elif kind == SIGMOID:
            for s in range(n):
                values[start + s] = logistic(values[start + s])
        else:
            for s in range(n):
                value = values[start + s]
                less = expm1(-abs(value + value))
                size = -less / (less + one + one)
                values[start + s] = -size if value < zero else size


@compiled()
def to_inner(
    kind: int, deltas: Floats, d_at: Index, values: Floats, at: Index, rows: Index, n: Index
) -> None:
    """Multiplies deltas by the activation's derivative, which follows from its values."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    if kind == IDENTITY:
        return
    for row in range(rows):
        d, v = d_at + row * STRIDE, at + row * STRIDE
        if kind == RELU:
            for s in range(n):
                deltas[d + s] = deltas[d + s] if values[v + s] > zero else zero
        elif kind == SIGMOID:
            for s in range(n):
                deltas[d + s] *= values[v + s] * (one - values[v + s])
        else:
            for s in range(n):
                deltas[d + s] *= one - values[v + s] * values[v + s]


@compiled()
def losses_of(net: Net, scratch: Scratch, y: Floats, real: Index, n: Index) -> float:
    """Returns the sum of the losses of the first `real` of n samples.

    Writes the derivatives by the last layer's values to the deltas of all n, 0 beyond `real`.
    """
    units = net.sizes[-1]
    at = np.uint64(scratch.values.size) - units * STRIDE
    losses, deltas = scratch.losses, scratch.deltas
    for s in range(n):
        losses[s] = 0
    if net.loss == CROSS_ENTROPY:
        _cross_entropy(scratch, at, y, units, n)
    else:
        for o in range(units):
            row = o * STRIDE
            if net.loss == SQUARED:
                _squared(scratch.values, at + row, y, deltas, row, losses, real)
            else:
                _absolute(scratch.values, at + row, y, deltas, row, losses, real)
    for o in range(units):
        for s in range(real, n):
            deltas[o * STRIDE + s] = 0
    return _in_order(losses, real)


@compiled()
def _in_order(losses: Floats, n: Index) -> float:
    """Returns the sum of n losses, in four parts, since each addition waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    end = n - n % FOUR
    for s in range(ZERO, end, FOUR):
        a += losses[s]
        b += losses[s + ONE]
        c += losses[s + ONE + ONE]
        d += losses[s + ONE + ONE + ONE]
    for s in range(end, n):
        a += losses[s]
    return (a + b) + (c + d)


@compiled()
def _squared(
    values: Floats, at: Index, y: Floats, deltas: Floats, row: Index, losses: Floats, n: Index
) -> None:
    """Adds the squared errors of one output to the losses, and writes their derivatives."""
    for s in range(n):
        error = values[at + s] - y[row + s]
        losses[s] += error * error
        deltas[row + s] = error + error


@compiled()
def _absolute(
    values: Floats, at: Index, y: Floats, deltas: Floats, row: Index, losses: Floats, n: Index
) -> None:
    """Adds the absolute errors of one output to the losses, and writes their derivatives."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    for s in range(n):
        error = values[at + s] - y[row + s]
        losses[s] += abs(error)
        sign = one if error > zero else zero
        deltas[row + s] = -one if error < zero else sign


@compiled()
def _cross_entropy(scratch: Scratch, at: Index, y: Floats, units: Index, n: Index) -> None:
    """Writes −log softmax of each label's output to the losses, and its derivatives.

    The largest output is subtracted first, so that no exponential overflows.
    """
    values, deltas = scratch.values, scratch.deltas
    zero, one = values.dtype.type(0), values.dtype.type(1)
    top, whole, losses = scratch.top, scratch.whole, scratch.losses
    for s in range(n):
        top[s] = values[at + s]
        whole[s] = zero
    for k in range(ONE, units):
        row = at + k * STRIDE
        for s in range(n):
            top[s] = values[row + s] if values[row + s] > top[s] else top[s]
    for k in range(units):
        row = at + k * STRIDE
        for s in range(n):
            part = exp(values[row + s] - top[s])
            deltas[k * STRIDE + s] = part
            whole[s] += part
    for s in range(n):
        losses[s] = log(whole[s])
        whole[s] = one / whole[s]
    for k in range(units):
        row, label = at + k * STRIDE, values.dtype.type(k)
        for s in range(n):
            share = deltas[k * STRIDE + s] * whole[s]
            deltas[k * STRIDE + s] = share - one if y[s] == label else share
            losses[s] += top[s] - values[row + s] if y[s] == label else zero
