"""The mean loss and the gradient of one weight vector: the passes forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.backends.fused.kernels.arrays import (
    BLOCK_SIZE,
    ONE,
    STRIDE,
    WIDTH,
    ZERO,
    Blocks,
    Floats,
    Index,
    Net,
    Scratch,
    Table,
)
from engine.backends.fused.kernels.compiling import STRICT, compiled, inlined
from engine.backends.fused.kernels.layers import activate, losses_of, to_inner
from engine.backends.fused.kernels.products import add_outer, add_product, row_sum


@inlined
def mean_loss(
    net: Net,
    blocks: Blocks,
    table: Table,
    numbers: NDArray[np.int64],
    theta: Floats,
    scratch: Scratch,
    grads: Floats | None,
    needed: bool,
) -> Any:
    """Returns the mean loss of a weight vector over the samples of `numbers`, or over all if none.

    Writes the gradient to scratch.grad where it is `needed`. Where `grads` is None, the code for
    gradients is not even compiled.
    """
    for p in range(scratch.total.size):
        scratch.total[p] = 0.0
    samples, size = blocks.samples, blocks.size
    if numbers.size:
        samples, size = np.uint64(numbers.size), BLOCK_SIZE
    loss = 0.0
    x, y = scratch.x, scratch.y
    for block in range((samples + size - ONE) // size):
        done = block * size
        real = min(size, samples - done)
        n = (real + WIDTH - ONE) // WIDTH * WIDTH
        if numbers.size:
            _gather(table.x, numbers, done, real, n, x)
            _gather(table.y, numbers, done, real, n, y)
        else:
            x, y = blocks.x[block], blocks.y[block]
        _forward(net, theta, x, scratch.values, n)
        loss += losses_of(net, scratch, y, real, n)
        if grads is not None and needed:
            _backward(net, theta, x, scratch, n)
    if grads is not None and needed:
        _mean(scratch, samples)
    return loss / np.float64(samples)


@inlined
def _forward(net: Net, theta: Floats, x: Floats, values: Floats, n: Index) -> None:
    """Writes the outputs of all layers for a block x to values."""
    layers, zero = net.sizes.size - 1, theta.dtype.type(0)
    source, in_at, out_at, at = x, ZERO, ZERO, ZERO
    for layer in range(layers):
        fan_in, fan_out = net.sizes[layer], net.sizes[layer + 1]
        biases_at = at + fan_in * fan_out
        for o in range(fan_out):
            bias, row = theta[biases_at + o] if net.biases else zero, out_at + o * STRIDE
            for s in range(n):
                values[row + s] = bias
        add_product(values, out_at, source, in_at, theta, at, fan_in, ONE, fan_out, fan_in, n)
        kind = net.activation if layer < layers - 1 else net.output_activation
        activate(kind, values, out_at, fan_out, n)
        source, in_at = values, out_at
        out_at += fan_out * STRIDE
        at = biases_at + fan_out * net.biases


@inlined
def _backward(net: Net, theta: Floats, x: Floats, scratch: Scratch, n: Index) -> None:
    """Adds a block's gradient to scratch.total, from the deltas of the last layer's values."""
    layers, zero = net.sizes.size - 1, theta.dtype.type(0)
    values, deltas, total = scratch.values, scratch.deltas, scratch.total
    here, there = ZERO, np.uint64(deltas.size) // (ONE + ONE)
    out_at, at = np.uint64(values.size), np.uint64(theta.size)
    for layer in range(layers - 1, -1, -1):
        fan_in, fan_out = net.sizes[layer], net.sizes[layer + 1]
        out_at -= fan_out * STRIDE
        kind = net.activation if layer < layers - 1 else net.output_activation
        to_inner(kind, deltas, here, values, out_at, fan_out, n)
        if net.biases:
            at -= fan_out
            for o in range(fan_out):
                total[at + o] += row_sum(deltas, here + o * STRIDE, n)
        at -= fan_in * fan_out
        source, in_at = (values, out_at - fan_in * STRIDE) if layer else (x, ZERO)
        add_outer(total, at, deltas, here, source, in_at, fan_out, fan_in, n)
        if layer:
            for i in range(fan_in):
                row = there + i * STRIDE
                for s in range(n):
                    deltas[row + s] = zero
            add_product(deltas, there, deltas, here, theta, at, ONE, fan_in, fan_in, fan_out, n)
            here, there = there, here


@compiled(STRICT)
def _mean(scratch: Scratch, samples: Index) -> None:
    """Writes the mean gradient to scratch.grad."""
    for p in range(scratch.grad.size):
        scratch.grad[p] = scratch.total[p] / np.float64(samples)


@compiled()
def _gather(
    rows: Floats, numbers: NDArray[np.int64], start: Index, real: Index, n: Index, out: Floats
) -> None:
    """Writes the columns of `real` numbered samples to rows of out, the last repeated up to n."""
    for column in range(np.uint64(rows.shape[1])):
        at = column * STRIDE
        for s in range(real):
            out[at + s] = rows[np.uint64(numbers[start + s]), column]
        last = out[at + real - ONE]
        for s in range(real, n):
            out[at + s] = last
