"""Networks that compute with weights lent to them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.func import functional_call

from engine.networks.modules.calls import Inputs


def held(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yields each place where a module holds a parameter, by its dotted name, with the parameter.

    Tied parameters are held in several places, and come once for each.
    """
    for module_name, module in network.named_modules():
        for name, parameter in module._parameters.items():  # whatever named_parameters() leaves out
            if parameter is not None:
                yield f"{module_name}.{name}".lstrip("."), parameter


def output(network: nn.Module, weights: dict[str, Tensor], x: Inputs) -> Tensor:
    """Returns the network's output for a batch x, computed with these weights and buffers.

    `weights` names all places of `held`; buffers that it leaves out stay the network's own.
    """
    # Not tied by torch, which does not give back what it ties by itself.
    found = functional_call(network, weights, (x,), tie_weights=False)
    return found  # type: ignore[no-any-return]
