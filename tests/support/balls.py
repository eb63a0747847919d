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
import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from engine.record.string_file import StringFile

#: Cuts of cuts after which a cell counts as not confirmed.
DEEPEST = 30
#: Parts of one width that hold in a row, after which wider ones are tried.
AGAIN = 8


@dataclass(frozen=True)
class Dual:
    """A number or a matrix and its derivative by t, balls both."""

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


def layers_between(file: StringFile, number: int) -> tuple[Dense, ...]:
    """Returns the layers between two beads of a file, the bead of that number and the next."""

    def parts(bead: NDArray[Any]) -> list[Any]:
        sizes = [int(np.prod(shape)) for _, shape in file.header.parameters]
        cut = np.split(bead.astype(float), np.cumsum(sizes)[:-1])
        shapes = [shape for _, shape in file.header.parameters]
        return [part.reshape(shape).tolist() for part, shape in zip(cut, shapes, strict=True)]

    left, right = (parts(file.string.beads[place]) for place in (number, number + 1))
    return tuple(
        Dense(left[n], right[n], left[n + 1], right[n + 1]) for n in range(0, len(left), 2)
    )


def confirmed(task: Task, u: float, v: float, bound: float) -> bool:
    """Returns whether the mean loss is at most `bound` on all of [u, v], as balls show.

    Parts are taken from u on. One that fails is halved, and the next ones begin as wide as the last
    one was that held; after a few of them, twice as wide.
    """
    at, width, held = u, v - u, 0
    while at < v:
        end = min(at + width, v)
        if _holds(task, at, end, bound):
            at, held = end, held + 1
            width, held = (2 * width, 0) if held == AGAIN else (width, held)
        elif width <= (v - u) * 2.0**-DEEPEST:
            return False
        else:
            width, held = width / 2, 0
    return True


def _holds(task: Task, u: float, v: float, bound: float) -> bool:
    """Returns whether the enclosure of the mean loss on [u, v] is at most `bound`."""
    low, high = arb(u), arb(v)
    middle, radius = (low + high) / 2, (high - low) / 2
    over = mean_loss(task, middle + radius * arb(0, 1))
    if over.value <= arb(bound):
        return True
    return bool(mean_loss(task, middle).value + over.slope * radius * arb(0, 1) <= arb(bound))


def mean_loss(task: Task, t: Any) -> Dual:
    """Returns the mean loss and its derivative at a ball of t."""
    samples, features = len(task.x), len(task.x[0])
    x = arb_mat(samples, features, [arb(entry) for row in task.x for entry in row])
    numbers = Dual(x, arb_mat(samples, features))
    for number, layer in enumerate(task.layers):
        numbers = _dense(layer, t, numbers)
        if number < len(task.layers) - 1:
            numbers = _each(ACTIVATIONS[task.activation], numbers)
    value, slope = arb(0), arb(0)
    for outputs, y in zip(_rows(numbers), task.y, strict=True):
        loss = LOSSES[task.loss](outputs, y)
        value, slope = value + loss.value, slope + loss.slope
    return Dual(value / samples, slope / samples)


def _dense(layer: Dense, t: Any, x: Dual) -> Dual:
    """Returns a layer's outputs (sample, out) and their derivatives, from those of its inputs."""
    weights, change = _between(layer.left, layer.right, t)
    biases, bias_change = (
        part.transpose() for part in _between([layer.bias_left], [layer.bias_right], t)
    )
    ones = arb_mat(x.value.nrows(), 1, [arb(1)] * x.value.nrows())
    return Dual(
        x.value * weights + ones * biases,
        x.value * change + x.slope * weights + ones * bias_change,
    )


def _between(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]], t: Any) -> Any:
    """Returns a matrix at t between two, and its derivative, both transposed."""
    rows, columns = len(left), len(left[0])
    start = arb_mat(rows, columns, [arb(entry) for row in left for entry in row])
    change = arb_mat(rows, columns, [arb(entry) for row in right for entry in row]) - start
    return (start + change * t).transpose(), change.transpose()


def _rows(numbers: Dual) -> list[list[Dual]]:
    """Returns the entries of two matrices (sample, value), sample by sample."""
    width = numbers.value.ncols()
    entries = list(map(Dual, numbers.value.entries(), numbers.slope.entries()))
    return [entries[at : at + width] for at in range(0, len(entries), width)]


def _each(function: Callable[[Dual], Dual], numbers: Dual) -> Dual:
    """Returns two matrices after a function of each of their entries."""
    found = [function(each) for row in _rows(numbers) for each in row]
    shape = numbers.value.nrows(), numbers.value.ncols()
    values, slopes = [each.value for each in found], [each.slope for each in found]
    return Dual(arb_mat(*shape, values), arb_mat(*shape, slopes))


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
