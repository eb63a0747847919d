"""The objective of a problem along segments, taken apart into steps that can be bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from engine.networks.modules.known_steps import Untraceable
from engine.networks.modules.tracing import computed, taken_apart
from engine.networks.steps import Activation, Convolution, Dense, Pool, Reshape, Step, Sum, Taken
from engine.path.certificate.affine import Moving
from engine.path.certificate.chord import Chord, fixed
from engine.path.certificate.convolution import convolution
from engine.path.certificate.dense import dense, margins
from engine.path.certificate.layers import MOST_DATA, Layers, in_compiled_code
from engine.path.certificate.losses import (
    Bound,
    absolute_error,
    cross_entropy,
    errors,
    squared_error,
    total,
    weighted,
)
from engine.path.certificate.piecewise_linear import added, relu
from engine.path.certificate.pooling import average_pool, max_pool
from engine.path.certificate.sigmoid import sigmoid, tanh
from engine.problem import copies
from engine.problem.copies import Parameter
from engine.problem.losses import LOSSES, CrossEntropy, counted
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
class Group:
    """Samples that count alike in the mean."""

    samples: Samples
    """The samples, on the CPU."""
    weight: float
    """What each of them counts for."""


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
    """Takes vectors (cell, param) of all weights apart into parameters (cell, …), by place."""
    parameters: int
    """The number of weights of the network, those that do not move among them."""
    whole: Callable[[Weights], Weights] = lambda theta: theta
    """Takes a weight vector of the path to all weights of the network, (param,) float64."""
    weights: Tensor | None = None
    """(sample,) What each sample counts for in the mean, above 0; None: each counts 1."""

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The samples in groups of one weight each."""
        if self.weights is None:
            return (Group(self.samples, 1.0),)
        return tuple(
            Group(self.samples[(self.weights == weight).nonzero()[:, 0]], weight)
            for weight in sorted(set(self.weights.tolist()))
        )

    @cached_property
    def mass(self) -> float:
        """The sum of all samples' weights: their number, where each counts 1."""
        return float(sum(group.weight * len(group.samples) for group in self.groups))

    @cached_property
    def layers(self) -> tuple[Layers, ...]:
        """The network as compiled code takes it, for each group; empty where tensors bound it."""
        if self.samples.values - self.samples.y.numel() > MOST_DATA:
            return ()
        found = [
            in_compiled_code(self.taken, self.measure, group.samples, self.named, self.parameters)
            for group in self.groups
        ]
        return tuple(each for each in found if each is not None)

    @property
    def cells_at_once(self) -> int:
        """How many cells of one segment are bounded in one call."""
        return max(1, AT_ONCE // (self.widest * len(self.samples)))

    def batches(self) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Yields samples (sample, …) of one weight and what outputs are compared with, in parts.

        Each part is (weight, x, y).
        """
        for group in self.groups:
            for x, y in group.samples.pieces(max(1, AT_ONCE // self.widest), torch.float64):
                yield group.weight, x, y


def provable(problem: Problem) -> Provable:
    """Returns a problem ready to be proven. Raises NotAvailable where there is no proof for it."""
    measure = _measure(problem)
    if problem.carried is not None:
        raise NotAvailable("some of its buffers change along the path")
    exact = problem.to(torch.device("cpu"), torch.float64)
    whole, widened = _with_all_weights(exact)
    x, y = exact.samples(exact.objective.split).part(slice(0, 1), torch.float64)
    try:
        taken = taken_apart(exact.network, x)
    except Untraceable as why:
        raise NotAvailable(f"the network is not made of known steps alone: {why}") from why
    if measure in BY_MARGINS and y.ndim > (2 if y.is_floating_point() else 1):
        raise NotAvailable("each sample has several labels")
    samples = exact.samples(exact.objective.split)
    weights = counted(samples.y) if measure == "error_rate" else exact.weights(samples.y)
    some = bool((weights != 1).any())
    which = (weights > 0).nonzero()[:, 0]
    return Provable(
        taken,
        measure,
        _widest(whole, taken, x),
        samples[which] if some else samples,
        whole.named,
        whole.parameter_count,
        widened,
        weights[which] if some else None,
    )


def _with_all_weights(problem: Problem) -> tuple[Problem, Callable[[Weights], Weights]]:
    """Returns the problem in which all parameters move, and what takes weight vectors there.

    A parameter that does not move along the path is one whose values at both ends are the same.
    """
    every = {
        name: each
        for name, each in copies.named_parameters(problem.network)
        if each.is_floating_point()
    }
    parameters = tuple(Parameter(name, tuple(each.shape)) for name, each in every.items())
    places = copies.places_of(problem.network, parameters)
    sizes = {each.name: prod(each.shape) for each in problem.parameters}

    def widened(theta: Weights) -> Weights:
        own = dict(zip(sizes, torch.split(theta, list(sizes.values())), strict=True))
        fixed = {name: every[name].detach().flatten() for name in every.keys() - own.keys()}
        return torch.cat([(own | fixed)[name].double() for name in every])

    return replace(problem, parameters=parameters, places=places), widened


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
            return "cross_entropy"
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
    if not net.layers:
        return bounded_by_tensors(net, segment, u, v)
    parts = [each.bounded(segment.left, segment.right, u, v) for each in net.layers]
    if net.weights is None:
        return parts[0]
    weights = (group.weight for group in net.groups)
    return total([weighted(*pair) for pair in zip(parts, weights, strict=True)])


def bounded_by_tensors(net: Provable, segment: Segment, u: Tensor, v: Tensor) -> Bound:
    """Returns what `bounded` returns, computed with tensors.

    The number of samples is small enough, or the cells are few enough, to be held at once.
    """
    moved = moving(net, segment, u, v)
    return total([weighted(_of_batch(net, moved, x, y), w) for w, x, y in net.batches()])


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
