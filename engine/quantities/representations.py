"""The hidden representations of a network's models for some samples, layer by layer.

The representation *into* a layer is what a layer with a matrix of weights takes: what the layers
before it make, their activations included, whether these are modules or functions. So what goes
into the last linear layer is the last hidden representation. What does not depend on the weights
that move, such as the samples themselves, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.networks.modules.calls import picked
from engine.quantities.models import OneByOne
from engine.shapes import Weights

#: The name of what the network puts out, which no layer has.
OUTPUT = ""
#: The bytes of representations that are held at a time, in float64.
HELD_BYTES = 2**28
#: The numbers of samples of two trial passes, which tell what has an axis of samples.
FEW = (2, 3)


def layers_of(backend: OneByOne) -> dict[str, int]:
    """Returns the names of the layers that have representations, and how many values of a sample.

    They are in the order in which a pass calls them last, and the network's output comes last.
    """
    few, more = (_tried(backend, count) for count in FEW)
    return {
        name: each.numel() // FEW[0]
        for name, each in few.items()
        if each.requires_grad
        and each.ndim > 1
        and name in more
        and each.shape[0] * FEW[1] == more[name].shape[0] * FEW[0]
        and each.shape[0] % FEW[0] == 0
    }


def centred_grams(
    backend: OneByOne, theta: Weights, layers: dict[str, int], samples: Tensor
) -> list[Tensor]:
    """Returns the products of some training samples' representations, (sample, sample) float64.

    There is one for each layer: X Xᵀ of the representations X (sample, value) less their mean over
    the samples, divided by its Frobenius norm. It is NaN where all samples are represented alike.
    At most HELD_BYTES of representations are held, or those of one layer.
    """
    statistics = backend.statistics(theta)
    found: list[Tensor] = []
    for some in _groups(layers, len(samples)):
        held: dict[str, list[Tensor]] = {name: [] for name in some}
        with backend.model(theta, statistics) as model, watching(model, some) as seen:
            for x, count in _pieces(backend, samples):
                _call(model, x, seen)
                for name in some:
                    held[name].append(seen.pop(name).reshape(count, -1).double())
        found += [_gram(torch.cat(held.pop(name))) for name in some]
    return found


def _gram(values: Tensor) -> Tensor:
    """Returns the centred products of representations (sample, value), of norm 1."""
    values -= values.mean(0)
    products = values @ values.T
    norm: Tensor = torch.linalg.matrix_norm(products)
    return (products / norm).cpu()


def _groups(layers: dict[str, int], samples: int) -> Iterator[list[str]]:
    """Yields layers in groups whose representations are held at a time."""
    group: list[str] = []
    size = 0
    for name, values in layers.items():
        if group and size + 8 * samples * values > HELD_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += 8 * samples * values
    yield group


def _pieces(backend: OneByOne, samples: Tensor) -> Iterator[tuple[Any, int]]:
    """Yields the inputs of training samples by their numbers, piece by piece, and how many."""
    some = backend.problem.train[samples]
    for piece in backend.bounds(some):
        x, y = some.part(piece, backend.problem.dtype)
        yield x, len(y)


def _call(model: Any, x: Any, seen: dict[str, Tensor]) -> None:
    seen[OUTPUT] = picked(model(x))[0]


def _tried(backend: OneByOne, count: int) -> dict[str, Tensor]:
    """Returns the representations of the first samples in a pass that keeps gradients."""
    problem = backend.problem
    x, _ = problem.train[:count].part(slice(None), problem.dtype)
    with backend.stepping(problem.initial(0)) as network, watching(network, None) as seen:
        _call(network, x, seen)
    return seen


@contextmanager
def _layer_by_layer(encoder: nn.TransformerEncoderLayer) -> Iterator[None]:
    """Has an encoder call the layers within it, which it does not without gradients in torch 2.2.

    There its one kernel for all of them is taken where its activation is numbered as relu or gelu.
    """
    number = encoder.activation_relu_or_gelu
    encoder.activation_relu_or_gelu = 0
    try:
        yield
    finally:
        encoder.activation_relu_or_gelu = number


@contextmanager
def watching(network: Any, names: Sequence[str] | None) -> Iterator[dict[str, Tensor]]:
    """Makes a context in which passes put what goes into layers into the dictionary it yields.

    `names` are those of the layers, or None for all with a matrix of weights. A layer that a pass
    calls several times has what it takes last.
    """
    seen: dict[str, Tensor] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        def before(module: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], Tensor) and args[0].is_floating_point():
                seen.pop(name, None)  # its place is that of its last call
                seen[name] = args[0]

        return layer.register_forward_pre_hook(before)

    with ExitStack() as stack:
        for name, layer in network.named_modules():
            if isinstance(layer, nn.TransformerEncoderLayer):
                stack.enter_context(_layer_by_layer(layer))
            matrices = any(each.ndim > 1 for each in layer.parameters(recurse=False))
            if name and (matrices if names is None else name in names):
                stack.callback(watch(name, layer).remove)
        yield seen
