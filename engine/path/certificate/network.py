"""The objective of a problem along segments, taken apart into steps that can be bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engine.networks.modules.known_steps import Untraceable
from engine.networks.modules.tracing import computed, taken_apart
from engine.networks.steps import Activation, Convolution, Dense, Pool, Reshape, Step, Sum, Taken
from engine.path.certificate.affine import Moving
from engine.path.certificate.chord import Chord, fixed
from engine.path.certificate.convolution import convolution
from engine.path.certificate.dense import dense, margins
from engine.path.certificate.layers import Layers, in_compiled_code
from engine.path.certificate.losses import (
    Bound,
    absolute_error,
    cross_entropy,
    errors,
    squared_error,
    total,
)
from engine.path.certificate.piecewise_linear import added, relu
from engine.path.certificate.pooling import average_pool, max_pool
from engine.path.certificate.sigmoid import sigmoid, tanh
from engine.problem.losses import LOSSES, CrossEntropy
from engine.problem.problem import Problem
from engine.problem.samples import Samples
from engine.shapes import Weights

#: Numbers of one layer's output that are held at once.
AT_ONCE = 200_000

BY_VALUES = {"mse": squared_error, "l1": absolute_error}
BY_MARGINS = {"cross_entropy": cross_entropy, "error_rate": errors}


class NotAvailable(Exception):
    """There is no proof for a problem; `str` is a clause that says why."""


@dataclass(frozen=True, eq=False)
class Provable:
    """A problem whose objective can be bounded over a whole cell of t; equal to itself alone."""

    taken: Taken
    """The network's steps."""
    measure: str
    """Which bound of `BY_VALUES` or `BY_MARGINS` is the objective's."""
    widest: int
    """The largest number of values that a sample has between two steps."""
    samples: Samples
    """The samples, on the CPU, that the objective is the mean over."""
    named: Callable[[Tensor], dict[str, Tensor]]
    """Takes weight vectors (cell, param) apart into parameters (cell, …) by their places."""
    parameters: int
    """The number of weights of a vector."""

    @cached_property
    def layers(self) -> Layers | None:
        """The network as compiled code takes it; None where it is bounded with tensors."""
        return in_compiled_code(self.taken, self.measure, self.samples, self.named, self.parameters)

    @property
    def cells_at_once(self) -> int:
        """How many cells of one segment are bounded in one call."""
        return max(1, AT_ONCE // (self.widest * len(self.samples)))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the samples (sample, …) and what outputs are compared with, in parts."""
        yield from self.samples.pieces(max(1, AT_ONCE // self.widest), torch.float64)


def provable(problem: Problem) -> Provable:
    """Returns a problem ready to be proven. Raises NotAvailable where there is no proof for it."""
    measure = _measure(problem)
    if problem.carried is not None:
        raise NotAvailable("some of its buffers change along the path")
    if not problem.moves_all:
        raise NotAvailable("some of its parameters do not move")
    exact = problem.to(torch.device("cpu"), torch.float64)
    x, y = exact.samples(exact.objective.split).part(slice(0, 1), torch.float64)
    try:
        taken = taken_apart(exact.network, x)
    except Untraceable as why:
        raise NotAvailable(f"the network is not made of known steps alone: {why}") from why
    if measure in BY_MARGINS and y.ndim > (2 if y.is_floating_point() else 1):
        raise NotAvailable("each sample has several labels")
    samples = exact.samples(exact.objective.split)
    return Provable(
        taken, measure, _widest(exact, taken, x), samples, exact.named, exact.parameter_count
    )


def _measure(problem: Problem) -> str:
    """Returns which bound the objective needs. Raises NotAvailable."""
    if problem.normalizes:
        raise NotAvailable("batch normalization is not affine in the weights")
    metric = problem.objective.metric
    if metric == "loss":
        for name, loss in LOSSES.items():
            if problem.sample_loss is loss:
                return name
        if isinstance(problem.sample_loss, CrossEntropy):
            raise NotAvailable("means with weights of classes are not bounded")
        raise NotAvailable("the loss is a function of a user's own")
    if metric == "perplexity":
        raise NotAvailable("perplexities are not bounded")
    return metric


def _widest(problem: Problem, taken: Taken, x: Tensor) -> int:
    """Returns how many numbers one sample x (1, …) has in the widest of its layers."""
    weights = problem.named(torch.zeros(1, problem.parameter_count, dtype=torch.float64))
    values = computed(taken, {place: weight[0] for place, weight in weights.items()}, x)
    return max(value.numel() for value in values)


@dataclass(frozen=True)
class Segment:
    """The straight line between two weight vectors, in float64."""

    left: Weights
    right: Weights

    def at(self, t: Tensor) -> Tensor:
        """Returns the weights (cell, param) at places t (cell,)."""
        t = t[:, None]
        return (1 - t) * self.left + t * self.right


def bounded(net: Provable, segment: Segment, u: Tensor, v: Tensor) -> Bound:
    """Returns the bound of the objective's sum over all samples on cells [u, v], (cell,) each.

    A fully connected network is bounded in compiled code where there is a compiler.
    """
    if net.layers is not None:
        return net.layers.bounded(segment.left, segment.right, u, v)
    return bounded_by_tensors(net, segment, u, v)


def bounded_by_tensors(net: Provable, segment: Segment, u: Tensor, v: Tensor) -> Bound:
    """Returns what `bounded` returns, computed with tensors.

    The number of samples is small enough, or the cells are few enough, to be held at once.
    """
    weights = moving(net, segment, u, v)
    return total([_of_batch(net, weights, x, y) for x, y in net.batches()])


def _of_batch(net: Provable, weights: Mapping[str, Moving], x: Tensor, y: Tensor) -> Bound:
    labels = y.argmax(1) if net.measure in BY_MARGINS and y.is_floating_point() else y
    *hidden, last = net.taken.nodes
    uses = net.taken.last_uses
    values = {0: fixed(x[None])}
    for number, node in enumerate(hidden, 1):
        values[number] = enclosed(node.step, [values[place] for place in node.inputs], weights)
        values = {place: value for place, value in values.items() if uses.get(place, 0) > number}
    inputs = [values[place] for place in last.inputs]
    if net.measure in BY_VALUES:
        return BY_VALUES[net.measure](enclosed(last.step, inputs, weights), y)
    of_margins = BY_MARGINS[net.measure]
    if isinstance(last.step, Dense):
        return of_margins(margins(inputs[0], weights[last.step.weight], labels), labels)
    return of_margins(differences(enclosed(last.step, inputs, weights), labels), labels)


def differences(outputs: Chord, labels: Tensor) -> Chord:
    """Returns the margins of outputs that are no linear step: differences of two models."""
    index = labels[None, :, None].expand(len(outputs.start), -1, 1)
    start, end, bow, low, high = outputs.parts
    own = torch.nn.functional.one_hot(labels, start.shape[-1]).bool()
    start, end, bow = (part - part.gather(2, index) for part in (start, end, bow))
    slack = 8 * torch.finfo(torch.float64).eps * (start.abs() + end.abs() + bow.abs())
    down, up = low - high.gather(2, index) - slack, high - low.gather(2, index) + slack
    return Chord(start, end, bow, down.masked_fill(own, 0.0), up.masked_fill(own, 0.0))


def moving(net: Provable, segment: Segment, u: Tensor, v: Tensor) -> dict[str, Moving]:
    """Returns each layer's weights over the cells, by the place of its weight."""
    start, end = (net.named(segment.at(t)) for t in (u, v))
    sizes = net.named((segment.left.abs() + segment.right.abs())[None])
    found = {}
    for node in net.taken.nodes:
        step = node.step
        if not isinstance(step, Dense | Convolution):
            continue
        mass = sizes[step.weight][0].flatten(1).sum(1)
        found[step.weight] = Moving(
            start[step.weight],
            end[step.weight],
            start[step.bias] if step.bias else None,
            end[step.bias] if step.bias else None,
            mass,
            sizes[step.bias][0] if step.bias else torch.zeros_like(mass),
        )
    return found


def enclosed(step: Step, inputs: list[Chord], weights: Mapping[str, Moving]) -> Chord:
    """Returns the model of what a step makes of its inputs."""
    x = inputs[0]
    match step:
        case Dense(weight):
            return dense(x, weights[weight])
        case Convolution(weight):
            return convolution(x, weights[weight], step)
        case Activation("relu"):
            return relu(x)
        case Activation("sigmoid"):
            return sigmoid(x)
        case Activation():
            return tanh(x)
        case Pool("max", size):
            return max_pool(x, size)
        case Pool(_, size):
            return average_pool(x, size)
        case Reshape(shape):
            return x.map(lambda part: part.reshape(*part.shape[:2], *shape))
        case Sum():
            return added(x, inputs[1])
