"""A network that computes with weights lent to it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.func import functional_call


def held(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Each place where a module holds a parameter: tied ones stand in several, under each name."""
    for module_name, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield f"{module_name}.{name}".lstrip("."), parameter


def output(network: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """That with these weights, all places of `held` among them, and buffers."""
    # Not tied by torch, which does not give back what it ties by itself.
    found = functional_call(network, weights, (x,), tie_weights=False)
    return found  # type: ignore[no-any-return]
