"""Layers and losses of some samples, and their derivatives.

Values are tiles (unit, sample), with a power of two of both. Weights beyond a network's own are
zero, and what lies beyond its outputs counts for nothing.
"""

from __future__ import annotations

import triton.language as tl

from engine.backends.fused.kernels import arrays
from engine.backends.triton_rounds.kernels.compiling import compiled

RELU = tl.constexpr(arrays.RELU)
SIGMOID = tl.constexpr(arrays.SIGMOID)
TANH = tl.constexpr(arrays.TANH)
SQUARED = tl.constexpr(arrays.SQUARED)
CROSS_ENTROPY = tl.constexpr(arrays.CROSS_ENTROPY)

LN2_INVERSE = tl.constexpr(1.4426950408889634)
#: Nearly ln 2, and so short that its product with a small whole number is exact; and the rest.
LN2_COARSE = tl.constexpr(355 / 512)
LN2_FINE = tl.constexpr(0.6931471805599453 - 355 / 512)


@compiled
def weighted(WIDE: tl.constexpr, weights, values):
    """Returns weights (out, in) times values (in, sample)."""
    if WIDE:
        return tl.dot(weights, values, input_precision="ieee")
    else:
        return tl.sum(weights[:, :, None] * values[None, :, :], axis=1)


@compiled
def weighted_back(WIDE: tl.constexpr, weights, deltas):
    """Returns the transpose of weights (out, in) times deltas (out, sample)."""
    if WIDE:
        return tl.dot(tl.trans(weights), deltas, input_precision="ieee")
    else:
        return tl.sum(weights[:, :, None] * deltas[:, None, :], axis=0)


@compiled
def outer(WIDE: tl.constexpr, deltas, values):
    """Returns deltas (out, sample) times values (in, sample).

    Wide layers sum over the samples, (out, in). Others leave that to the end of a pass, (out, in,
    sample), because for a sum over samples all threads wait for each other.
    """
    if WIDE:
        return tl.dot(deltas, tl.trans(values), input_precision="ieee")
    else:
        return deltas[:, None, :] * values[None, :, :]


@compiled
def activated(KIND: tl.constexpr, x):
    """Returns values after an activation. NaN stays NaN."""
    if KIND == RELU:
        return tl.where(x < 0.0, 0.0, x)
    elif KIND == SIGMOID:
        return 1.0 / (1.0 + tl.exp(-x))
    elif KIND == TANH:
        less = expm1(-2.0 * tl.abs(x))
        size = -less / (less + 2.0)
        return tl.where(x < 0.0, -size, size)
    else:
        return x


@compiled
def to_inner(KIND: tl.constexpr, deltas, values):
    """Returns deltas times the activation's derivative, which follows from its values."""
    if KIND == RELU:
        return tl.where(values > 0.0, deltas, 0.0)
    elif KIND == SIGMOID:
        return deltas * (values * (1.0 - values))
    elif KIND == TANH:
        return deltas * (1.0 - values * values)
    else:
        return deltas


@compiled
def expm1(x):
    """Returns e^x − 1 for x ≤ 0: e^x = 2^n e^r, and Taylor's series of e^r."""
    x = tl.where(x < -60.0, -60.0, x)
    n = tl.floor(x * LN2_INVERSE + 0.5)
    r = (x - n * LN2_COARSE) - n * LN2_FINE
    series = r * (1 / 5040) + (1 / 720)
    series = series * r + (1 / 120)
    series = series * r + (1 / 24)
    series = series * r + (1 / 6)
    series = series * r + 0.5
    scale = tl.exp2(n)
    return (r + r * r * series) * scale + (scale - 1.0)


@compiled
def losses_of(net: tl.constexpr, outputs, targets):
    """Returns the loss of each sample, (sample,), and its derivatives by the outputs.

    `targets` are (out, sample), or the numbers of classes (1, sample).
    """
    units = tl.arange(0, net.tiles[-1])[:, None]
    own = units < net.sizes[-1]
    if net.loss == CROSS_ENTROPY:
        shown = tl.where(own, outputs, float("-inf"))
        top = tl.max(shown, axis=0)[None, :]
        parts = tl.exp(shown - top)
        whole = tl.sum(parts, axis=0)
        labelled = units == targets.to(tl.int32)
        missing = tl.sum(tl.where(labelled, top - outputs, 0.0), axis=0)
        shares = parts / whole[None, :]
        return tl.log(whole) + missing, tl.where(labelled, shares - 1.0, shares)
    else:
        errors = tl.where(own, outputs - targets, 0.0)
        if net.loss == SQUARED:
            return tl.sum(errors * errors, axis=0), errors + errors
        else:
            signs = tl.where(errors > 0.0, 1.0, tl.where(errors < 0.0, -1.0, 0.0))
            return tl.sum(tl.abs(errors), axis=0), signs
