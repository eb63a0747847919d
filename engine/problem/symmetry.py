"""Symmetries of fully connected networks: hidden units may change places.

Swapping two units of a hidden layer, with their incoming and outgoing weights, leaves the network's
function as it is. So does, for ReLU, scaling a unit up and its outgoing weights down. Two models
may be the same function and yet far apart, with or without a path between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from engine.problem.copies import Parameter
from engine.shapes import Weights

#: Weights count as equal where they differ by at most this share of the largest weight.
SAME = 1e-4


@dataclass(frozen=True)
class Relabelling:
    """The way in which one model is another with its hidden units in other places.

    For ReLU, units may be rescaled too.
    """

    order: tuple[tuple[int, ...], ...]
    """The orders of the hidden layers: unit k of the second model is unit order[k] of the first."""
    rescaled: bool
    """Whether any unit is multiplied by a number other than 1."""

    @property
    def units(self) -> tuple[tuple[int, int, int], ...]:
        """The moved units: (hidden layer from 1, unit of the second model, unit of the first)."""
        return tuple(
            (layer, unit, source)
            for layer, units in enumerate(self.order, 1)
            for unit, source in enumerate(units)
            if unit != source
        )


@dataclass(frozen=True)
class Layer:
    """The weights and biases of one fully connected layer, in float64."""

    weight: Tensor  # (out, in)
    bias: Tensor | None  # (out,)


def layers_of(theta: Weights, parameters: Sequence[Parameter]) -> list[Layer]:
    """Returns the layers of a fully connected network from its weight vector (param,).

    Returns no layers where the parameters are not those of a fully connected network.
    """
    sizes = [prod(parameter.shape) for parameter in parameters]
    parts = [
        part.reshape(parameter.shape).double()
        for part, parameter in zip(torch.split(theta, sizes), parameters, strict=True)
    ]
    layers: list[Layer] = []
    for part in parts:
        if part.ndim == 2:
            layers.append(Layer(part, None))
        elif part.ndim == 1 and layers and len(part) == len(layers[-1].weight):
            layers[-1] = Layer(layers[-1].weight, part)
        else:
            return []
    fits = all(a.weight.shape[0] == b.weight.shape[1] for a, b in pairwise(layers))
    return layers if fits else []


def swapped(theta: Weights, parameters: Sequence[Parameter], units: tuple[int, int]) -> Weights:
    """Returns the weights (param,) with two units of the first hidden layer swapped."""
    layers = layers_of(theta, parameters)
    order = list(range(len(layers[0].weight)))
    first, second = units
    order[first], order[second] = order[second], order[first]
    parts: list[Tensor] = []
    for number, layer in enumerate(layers):
        weight = layer.weight[order] if number == 0 else layer.weight
        bias = layer.bias[order] if number == 0 and layer.bias is not None else layer.bias
        weight = weight[:, order] if number == 1 else weight
        parts += [weight.flatten()] + ([bias] if bias is not None else [])
    return torch.cat(parts).to(theta)


def relabelling(
    first: Weights, second: Weights, parameters: Sequence[Parameter], *, scalable: bool
) -> Relabelling | None:
    """Returns how the second model is the first with its hidden units relabelled, else None.

    Layer by layer from the input, units are matched by their incoming weights (linear sum
    assignment). With `scalable`, a unit may also be multiplied by a positive number (ReLU). The
    relabelled first model must then equal the second one up to SAME. Nothing more is matched after
    a layer that does not.
    """
    from scipy.optimize import linear_sum_assignment  # which few searches need, and loads slowly

    ours, theirs = layers_of(first, parameters), layers_of(second, parameters)
    if len(ours) < 2:
        return None
    order: list[tuple[int, ...]] = []
    rescaled = False
    for number in range(len(ours) - 1):
        a, b = _incoming(ours[number]), _incoming(theirs[number])
        scale_a, scale_b = a.norm(dim=1), b.norm(dim=1)
        if scalable:
            a, b = a / scale_a.clamp(min=1e-30)[:, None], b / scale_b.clamp(min=1e-30)[:, None]
        _, match = linear_sum_assignment(torch.cdist(b, a).cpu().numpy())
        units = torch.from_numpy(match)
        ratio = scale_b / scale_a[units].clamp(min=1e-30) if scalable else torch.ones(len(units))
        ratio = ratio.to(a)
        rescaled = rescaled or bool(((ratio - 1).abs() > SAME).any())
        here, after = ours[number], ours[number + 1]
        bias = None if here.bias is None else here.bias[units] * ratio
        ours[number] = Layer(here.weight[units] * ratio[:, None], bias)
        if not _equal(ours[number], theirs[number]):  # the next layers take memory and time
            return None
        ours[number + 1] = Layer(after.weight[:, units] / ratio.clamp(min=1e-30), after.bias)
        order.append(tuple(match.tolist()))
    return Relabelling(tuple(order), rescaled) if _equal(ours[-1], theirs[-1]) else None


def _incoming(layer: Layer) -> Tensor:
    """Returns the incoming weights of each unit, and last its bias if any, (unit, input)."""
    if layer.bias is None:
        return layer.weight
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1)


def _equal(a: Layer, b: Layer) -> bool:
    """Returns whether two layers are equal up to SAME."""
    ours, theirs = _incoming(a), _incoming(b)
    scale = torch.maximum(ours.abs().max(), theirs.abs().max())
    return bool((ours - theirs).abs().max() <= SAME * scale)
