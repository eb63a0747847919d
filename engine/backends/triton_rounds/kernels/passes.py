"""The mean loss and the gradient of one weight vector: the passes forward and backward."""

from __future__ import annotations

import triton.language as tl

from engine.backends.triton_rounds.kernels.compiling import compiled
from engine.backends.triton_rounds.kernels.layers import (
    CROSS_ENTROPY,
    activated,
    losses_of,
    outer,
    to_inner,
    weighted,
    weighted_back,
)


@compiled
def mean_loss(
    net: tl.constexpr,
    data,
    theta,
    grad,
    numbers,
    count,
    NUMBERED: tl.constexpr,
    NEEDED: tl.constexpr,
):
    """Returns the mean loss of the weights at `theta`, float64, and writes its gradient to `grad`.

    The mean is over the first `count` samples, or with NUMBERED over those of the `count` numbers
    at `numbers`. The gradient is written where it is NEEDED.
    """
    weights, biases = _weights(net, theta)
    slopes, shifts = _zeros(net)
    total = tl.full((net.block,), 0.0, tl.float32)
    for start in range(0, count, net.block):
        lanes = start + tl.arange(0, net.block)
        real = lanes < count
        places = lanes
        if NUMBERED:
            places = tl.load(numbers + lanes, real, 0)
        x = _rows(data.x, data.samples, places, real, net.sizes[0], net.tiles[0])
        values, outputs = _forward(net, x, weights, biases)
        losses, deltas = losses_of(net, outputs, _targets(net, data, places, real))
        total += tl.where(real, losses, 0.0)
        if NEEDED:
            deltas = to_inner(net.output, tl.where(real[None, :], deltas, 0.0), outputs)
            slopes, shifts = _backward(net, values, deltas, weights, slopes, shifts)
    if NEEDED:
        _write(net, slopes, shifts, grad, count)
    return tl.sum(total.to(tl.float64), axis=0) / count


@compiled
def _weights(net: tl.constexpr, theta):
    """Returns the layers' weights (out, in) and biases (out, 1); zero where there are none."""
    weights, biases, at = (), (), 0
    for layer in tl.static_range(len(net.sizes) - 1):
        o = tl.arange(0, net.tiles[layer + 1])[:, None]
        i = tl.arange(0, net.tiles[layer])[None, :]
        own = o < net.sizes[layer + 1]
        weights += (
            tl.load(theta + at + o * net.sizes[layer] + i, own & (i < net.sizes[layer]), 0.0),
        )
        at += net.sizes[layer + 1] * net.sizes[layer]
        biases += (tl.load(theta + at + o, own & net.bias, 0.0),)
        at += net.sizes[layer + 1] * net.bias
    return weights, biases


@compiled
def _zeros(net: tl.constexpr):
    """Returns zeros, to which `_backward` adds the gradients of weights and biases."""
    slopes, shifts = (), ()
    for layer in tl.static_range(len(net.sizes) - 1):
        if net.wide:
            slopes += (tl.full((net.tiles[layer + 1], net.tiles[layer]), 0.0, tl.float32),)
        else:
            slopes += (
                tl.full((net.tiles[layer + 1], net.tiles[layer], net.block), 0.0, tl.float32),
            )
        shifts += (tl.full((net.tiles[layer + 1], net.block), 0.0, tl.float32),)
    return slopes, shifts


@compiled
def _rows(table, stride, places, real, SIZE: tl.constexpr, TILE: tl.constexpr):
    """Returns the columns `places` of a table (row, sample) as a tile, with zeros elsewhere."""
    rows = tl.arange(0, TILE)[:, None]
    return tl.load(table + rows * stride + places[None, :], (rows < SIZE) & real[None, :], 0.0)


@compiled
def _targets(net: tl.constexpr, data, places, real):
    """Returns the targets of samples, (out, sample), or the numbers of their classes."""
    if net.loss == CROSS_ENTROPY:
        return _rows(data.y, data.samples, places, real, 1, 1)
    else:
        return _rows(data.y, data.samples, places, real, net.sizes[-1], net.tiles[-1])


@compiled
def _forward(net: tl.constexpr, x, weights, biases):
    """Returns the values that each layer takes, and the outputs of the last one."""
    layers: tl.constexpr = len(net.sizes) - 1
    values, here = (), x
    for layer in tl.static_range(layers):
        values += (here,)
        here = weighted(net.wide, weights[layer], here) + biases[layer]
        here = activated(net.output if layer == layers - 1 else net.activation, here)
    return values, here


@compiled
def _backward(net: tl.constexpr, values, deltas, weights, slopes, shifts):
    """Returns the sums of gradients with those of some samples added.

    `deltas` are derivatives by the last layer's values before its activation.
    """
    layers: tl.constexpr = len(net.sizes) - 1
    new_slopes, new_shifts = (), ()
    for layer in tl.static_range(layers - 1, -1, -1):
        here = outer(net.wide, deltas, values[layer])
        new_slopes = (slopes[layer] + here,) + new_slopes
        new_shifts = (shifts[layer] + deltas,) + new_shifts
        if layer > 0:
            deltas = weighted_back(net.wide, weights[layer], deltas)
            deltas = to_inner(net.activation, deltas, values[layer])
    return new_slopes, new_shifts


@compiled
def _write(net: tl.constexpr, slopes, shifts, grad, count):
    """Writes the mean gradient, from sums over samples, in the order of the weights."""
    at = 0
    for layer in tl.static_range(len(net.sizes) - 1):
        o = tl.arange(0, net.tiles[layer + 1])
        i = tl.arange(0, net.tiles[layer])[None, :]
        own = o[:, None] < net.sizes[layer + 1]
        slope = slopes[layer] if net.wide else tl.sum(slopes[layer], axis=2)
        places = grad + at + o[:, None] * net.sizes[layer] + i
        tl.store(places, slope / count, own & (i < net.sizes[layer]))
        at += net.sizes[layer + 1] * net.sizes[layer]
        if net.bias:
            shift = tl.sum(shifts[layer], axis=1)
            tl.store(grad + at + o, shift / count, o < net.sizes[layer + 1])
            at += net.sizes[layer + 1]
