"""The cost of computing one sample with a network: memory and multiplications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from engine.networks.modules.calls import Inputs
from engine.networks.modules.lstm import Lstm


@dataclass(frozen=True)
class Cost:
    """The cost of computing one sample with a network."""

    values: int
    """The number of values that a forward pass keeps for the backward pass, such as inputs and
    layers' outputs. Each takes four bytes, or eight in float64."""
    products: int
    """The number of multiplications by a weight in a forward pass, at least one for each weight."""


def measured_cost(network: nn.Module, x: Inputs) -> Cost:
    """Returns the cost of a sample, from a forward pass over a few samples x (sample, …)."""
    weights = {parameter.data_ptr(): parameter for parameter in network.parameters()}
    inputs = _tensors(x)
    kept: dict[int, int] = {part.data_ptr(): part.nbytes for part in inputs}
    products: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = max(tensor.nbytes, kept.get(tensor.data_ptr(), 0))
        return tensor

    def count(module: nn.Module, inputs: object, output: object) -> None:
        products.append(_products(module, output[0] if isinstance(output, tuple) else output))

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    try:
        with _movable(network), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
            outputs = _tensors(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    samples = len(inputs[0])
    values = (sum(kept.values()) + sum(each.nbytes for each in outputs)) // (4 * samples)
    numel = sum(parameter.numel() for parameter in weights.values())
    # A batched pass keeps about as much again for what it broadcasts and rearranges.
    return Cost(values=max(1, 2 * values), products=max(numel, sum(products) // samples))


@contextmanager
def _movable(network: nn.Module) -> Iterator[None]:
    """Makes all parameters require gradients within the block."""
    real = [parameter for parameter in network.parameters() if parameter.is_floating_point()]
    moved = [(parameter, parameter.requires_grad) for parameter in real]
    for parameter, _ in moved:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter, was in moved:
            parameter.requires_grad_(was)


def _tensors(tree: object) -> list[Tensor]:
    """Returns the tensors of a tree."""
    leaves, _ = tree_flatten(tree)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def _products(module: nn.Module, output: object) -> int:
    """Returns the multiplications by a module's own matrices in a pass that gave this output.

    Each matrix counts once for each place of the output.
    """
    matrices = [p for p in module.parameters(recurse=False) if p.ndim >= 2]
    if not matrices or isinstance(module, nn.Embedding) or not isinstance(output, Tensor):
        return 0
    match module:
        case nn.RNNBase():
            width = module.hidden_size
        case Lstm():
            width = module.hidden
        case _:
            width = matrices[0].shape[0]
    return sum(matrix.numel() for matrix in matrices) * max(1, output.numel() // width)
