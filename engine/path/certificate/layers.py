"""Fully connected networks as compiled code takes them. This module does not import numba.

What a proof with tensors costs of a small network is mostly torch's overhead of some seventy calls
a cell. `compiled_layers` bounds such a network in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.networks.steps import Activation, Dense, Reshape, Taken
from engine.path.certificate.losses import Bound, of_chords, of_counts, of_squares
from engine.problem.samples import Samples

#: The widest layer that is computed so: the models of a block of samples stay in a core's cache.
WIDEST = 1024
#: Numbers of a problem's inputs up to which they are held in float64.
MOST_DATA = 2**24


@dataclass(frozen=True)
class Layer:
    """A fully connected layer, and what follows it."""

    inputs: int
    outputs: int
    weight: int
    """Where its weights (output, input) begin in a weight vector."""
    bias: int
    """Where its biases begin, or -1 where it has none."""
    activation: str | None = None
    """The kind of the activation that follows; None where there is none."""


def layers_of(taken: Taken, places: dict[str, Tensor]) -> tuple[Layer, ...]:
    """Returns a network's layers from the first to the last, empty where it is no chain of them.

    `places` are the parameters (1, …) of a weight vector that counts up from 0.
    """
    found: list[Layer] = []
    for number, node in enumerate(taken.nodes):
        if node.inputs != (number,):
            return ()
        match node.step:
            case Reshape() if not found:
                continue  # samples are flattened in any case
            case Dense(weight, bias):
                found.append(_layer(places[weight][0], places[bias][0] if bias else None))
            case Activation(kind) if found and found[-1].activation is None:
                found[-1] = replace(found[-1], activation=kind)
            case _:
                return ()
    return tuple(found)


def _layer(weight: Tensor, bias: Tensor | None) -> Layer:
    """Returns a layer from the places of its weights (output, input) and biases (output,)."""
    outputs, inputs = weight.shape
    return Layer(inputs, outputs, int(weight[0, 0]), -1 if bias is None else int(bias[0]))


class Layers:
    """A fully connected network and its samples, ready to be bounded in compiled code."""

    def __init__(self, layers: Sequence[Layer], measure: str, samples: Samples) -> None:
        """Takes the samples in the order of their labels, and cuts them into blocks of one label.

        Raises ImportError where numba cannot be imported.
        """
        from engine.path.certificate import compiled_layers as code
        from engine.path.certificate.jit import is_compiled

        self._sums, self._is_compiled = code.sums, is_compiled
        self._measure = measure
        x, y = samples.part(slice(None), torch.float64)
        x, labels = x.flatten(1), torch.zeros(len(x), dtype=torch.long)
        if measure in ("mse", "l1"):
            y = y.flatten(1)
        else:
            labels = y.argmax(1) if y.is_floating_point() else y
            order = labels.argsort(stable=True)
            x, labels, y = x[order], labels[order], torch.zeros(len(x), 0, dtype=torch.float64)
        blocks = _blocks(labels.numpy(), code.BLOCK)
        self._count = max(1, y.shape[1]) * len(x)
        self._data = code.Data(
            np.ascontiguousarray(x.numpy().T),
            np.ascontiguousarray(y.numpy().T),
            labels.numpy()[blocks[:, 0]],
            blocks,
        )
        self._network = code.Network(
            np.array([layers[0].inputs, *(layer.outputs for layer in layers)]),
            np.array([layer.weight for layer in layers]),
            np.array([layer.bias for layer in layers]),
            np.array([code.ACTIVATIONS[layer.activation] for layer in layers]),
            code.MEASURES[measure],
        )

    @property
    def is_compiled(self) -> bool:
        """Whether the first bound need not wait for the compiler."""
        return self._is_compiled(self._sums)

    def bounded(self, left: Tensor, right: Tensor, u: Tensor, v: Tensor) -> Bound:
        """Returns the bound on cells [u, v], (cell,) each, of the segment from left to right."""
        arrays = (each.contiguous().numpy() for each in (left, right, u, v))
        sums = torch.from_numpy(self._sums(self._network, self._data, *arrays))
        rest, sizes, ends = sums[:, 5], sums[:, 6], sums[:, 7:]
        if self._measure == "error_rate":
            return of_counts(sums[:, 0], ends)
        if self._measure == "mse":
            return of_squares(sums[:, :5], rest, sizes, ends, self._count)
        return of_chords(sums[:, :2], sums[:, 2], rest, sizes, ends, self._count)


def _blocks(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Returns first and last-plus-one (block, 2) of blocks of at most `most` samples of one label.

    Samples of a label are next to each other, and its blocks are as even as possible.
    """
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    found: list[tuple[int, int]] = []
    for first, last in pairwise(cuts):
        count = -(-(last - first) // most)
        edges = [first + (last - first) * number // count for number in range(count + 1)]
        found += pairwise(edges)
    return np.array(found, np.int64).reshape(-1, 2)


def in_compiled_code(
    taken: Taken,
    measure: str,
    samples: Samples,
    named: Callable[[Tensor], dict[str, Tensor]],
    parameters: int,
) -> Layers | None:
    """Returns a network ready to be bounded in compiled code, or None where tensors bound it.

    The choice depends on the network, the data, and on whether numba can be imported, so that it
    is the same whenever a search goes on. `named` takes weight vectors (cell, param) apart.
    """
    layers = layers_of(taken, named(torch.arange(parameters, dtype=torch.float64)[None]))
    by_margins = measure not in ("mse", "l1")
    if not layers or max(max(each.inputs, each.outputs) for each in layers) > WIDEST:
        return None
    if by_margins and layers[-1].activation is not None:
        return None
    try:
        return Layers(layers, measure, samples)
    except ImportError:
        return None
