"""A certificate checked by ball arithmetic: python-flint's, and none of the engine's code.

Within a cell, the mean loss is enclosed by its value at the middle and its derivative over the
cell, both balls that hold every rounding error. Cells are cut until the enclosure lies below what
is claimed. Fully connected networks with ReLU or tanh, squared errors and cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flint
from flint import arb

#: Cuts of cuts after which a cell counts as not confirmed.
DEEPEST = 30


@dataclass(frozen=True)
class Dual:
    """A number and its derivative by t, balls both."""

    value: Any
    slope: Any


@dataclass(frozen=True)
class Dense:
    """The weights (out, in) and biases (out,) of one layer at the two beads, as floats."""

    left: Sequence[Sequence[float]]
    right: Sequence[Sequence[float]]
    bias_left: Sequence[float]
    bias_right: Sequence[float]


@dataclass(frozen=True)
class Task:
    """A fully connected network between two beads, with its data."""

    layers: tuple[Dense, ...]
    activation: str
    loss: str
    x: Sequence[Sequence[float]]
    y: Sequence[Any]


def confirmed(task: Task, u: float, v: float, bound: float, deep: int = 0) -> bool:
    """Returns whether the mean loss is at most `bound` on all of [u, v], as balls show."""
    low, high = arb(u), arb(v)
    middle, radius = (low + high) / 2, (high - low) / 2
    ball = middle + radius * arb(0, 1)
    at, over = mean_loss(task, middle), mean_loss(task, ball)
    enclosure = at.value + over.slope * radius * arb(0, 1)
    if enclosure <= arb(bound) or over.value <= arb(bound):
        return True
    if deep == DEEPEST:
        return False
    half = (u + v) / 2
    return confirmed(task, u, half, bound, deep + 1) and confirmed(task, half, v, bound, deep + 1)


def mean_loss(task: Task, t: Any) -> Dual:
    """Returns the mean loss and its derivative at a ball of t."""
    value, slope = arb(0), arb(0)
    layers = [_at(layer, t) for layer in task.layers]
    for x, y in zip(task.x, task.y, strict=True):
        numbers = [Dual(arb(entry), arb(0)) for entry in x]
        for number, layer in enumerate(layers):
            numbers = _dense(layer, numbers)
            if number < len(layers) - 1:
                numbers = [ACTIVATIONS[task.activation](each) for each in numbers]
        loss = LOSSES[task.loss](numbers, y)
        value, slope = value + loss.value, slope + loss.slope
    return Dual(value / len(task.x), slope / len(task.x))


Layer = tuple[list[list[Dual]], list[Dual]]


def _at(layer: Dense, t: Any) -> Layer:
    def between(left: float, right: float) -> Dual:
        change = arb(right) - arb(left)
        return Dual(arb(left) + t * change, change)

    weights = [
        [between(*pair) for pair in zip(*rows, strict=True)]
        for rows in zip(layer.left, layer.right, strict=True)
    ]
    return weights, [between(*p) for p in zip(layer.bias_left, layer.bias_right, strict=True)]


def _dense(layer: Layer, x: list[Dual]) -> list[Dual]:
    weights, biases = layer
    found = []
    for row, bias in zip(weights, biases, strict=True):
        value, slope = bias.value, bias.slope
        for weight, number in zip(row, x, strict=True):
            value = value + weight.value * number.value
            slope = slope + weight.slope * number.value + weight.value * number.slope
        found.append(Dual(value, slope))
    return found


def _relu(x: Dual) -> Dual:
    if x.value >= 0:
        return x
    if x.value <= 0:
        return Dual(arb(0), arb(0))
    # The derivative is between 0 and that of x wherever the sign may change.
    half = x.slope / 2
    return Dual(x.value.max(arb(0)), half + half * arb(0, 1))


def _tanh(x: Dual) -> Dual:
    value = x.value.tanh()
    return Dual(value, (1 - value * value) * x.slope)


def _squares(outputs: list[Dual], y: Sequence[float]) -> Dual:
    value, slope = arb(0), arb(0)
    for output, target in zip(outputs, y, strict=True):
        apart = output.value - arb(target)
        value, slope = value + apart * apart, slope + 2 * apart * output.slope
    return Dual(value, slope)


def _cross_entropy(outputs: list[Dual], label: int) -> Dual:
    margins = [each.value - outputs[label].value for each in outputs]
    powers = [margin.exp() for margin in margins]
    total = sum(powers, arb(0))
    slope = sum(
        (
            power / total * (each.slope - outputs[label].slope)
            for power, each in zip(powers, outputs, strict=True)
        ),
        arb(0),
    )
    return Dual(total.log(), slope)


ACTIVATIONS: dict[str, Callable[[Dual], Dual]] = {"relu": _relu, "tanh": _tanh}
LOSSES: dict[str, Callable[[list[Dual], Any], Dual]] = {
    "mse": _squares,
    "cross_entropy": _cross_entropy,
}
flint.ctx.prec = 64
