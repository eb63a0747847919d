"""Networks computed by their steps in numpy's longest floats, to hold enclosures against.

None of it shares code with what is tested. On processors whose long double is no longer than a
double, `LONG` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.networks.steps import Activation, Convolution, Dense, Pool, Reshape, Step, Taken

Long = Any
"""An array of long doubles."""

#: Whether long doubles can tell what float64 rounds away.
LONG = np.finfo(np.longdouble).eps < 1e-18


def long(values: Any) -> Long:
    return np.asarray(values).astype(np.longdouble)


def computed(taken: Taken, weights: Mapping[str, Long], x: Long) -> list[Long]:
    """Returns x (sample, …) and what each step makes of it."""
    values = [x]
    for node in taken.nodes:
        values.append(_apply(node.step, [values[place] for place in node.inputs], weights))
    return values


def _apply(step: Step, inputs: Sequence[Long], weights: Mapping[str, Long]) -> Long:
    x = inputs[0]
    match step:
        case Dense(weight, bias):
            product = (x[:, None, :] * weights[weight][None]).sum(-1)
            return product + weights[bias] if bias else product
        case Convolution():
            return _convolved(x, step, weights)
        case Activation("relu"):
            return np.maximum(x, 0)
        case Activation("sigmoid"):
            return sigmoid(x)
        case Activation():
            return np.tanh(x)
        case Pool(by, (high, wide)):
            rows, columns = x.shape[2] // high, x.shape[3] // wide
            cut = x[:, :, : rows * high, : columns * wide]
            cut = cut.reshape(*x.shape[:2], rows, high, columns, wide)
            return cut.max((3, 5)) if by == "max" else cut.mean((3, 5))
        case Reshape(shape):
            return x.reshape(len(x), *shape)
        case _:
            return x + inputs[1]


def sigmoid(x: Long) -> Long:
    with np.errstate(over="ignore"):  # far to the left it is 0
        return 1 / (1 + np.exp(-x))


def _convolved(x: Long, step: Convolution, weights: Mapping[str, Long]) -> Long:
    assert step.groups == 1 and step.dilation == (1, 1)
    kernel = weights[step.weight]
    (down, right), (top, side) = step.stride, step.padding
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (side, side)))
    high, wide = kernel.shape[2:]
    rows, columns = (x.shape[2] - high) // down + 1, (x.shape[3] - wide) // right + 1
    out = np.zeros((len(x), len(kernel), rows, columns), dtype=np.longdouble)
    for i in range(rows):
        for j in range(columns):
            part = x[:, None, :, i * down : i * down + high, j * right : j * right + wide]
            out[:, :, i, j] = (part * kernel[None]).sum((2, 3, 4))
    return out + weights[step.bias][:, None, None] if step.bias else out


def losses(measure: str, outputs: Long, y: NDArray[Any]) -> Long:
    """Returns the loss of each sample (sample,); for error_rate 1 where a margin is at least 0."""
    if measure in ("mse", "l1"):
        apart = (outputs - y.astype(np.longdouble)).reshape(len(y), -1)
        return (apart**2 if measure == "mse" else abs(apart)).sum(1)
    margins = outputs - outputs[np.arange(len(y)), y][:, None]
    if measure == "cross_entropy":
        top = margins.max(1, keepdims=True)
        return np.log(np.exp(margins - top).sum(1)) + top[:, 0]
    margins[np.arange(len(y)), y] = -np.inf
    return (margins.max(1) >= 0).astype(np.longdouble)
