"""The parameters of a network that weight decay leaves alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from engine.problem.copies import named_parameters
from engine.spec.optimizers import Exempt


def which_decay(network: nn.Module, exempt: Collection[Exempt]) -> dict[str, bool]:
    """Returns for each parameter of a network, by name, whether weight decay applies to it.

    With bias in `exempt` it does not apply to parameters with "bias" in their own name, with norm
    to those of layers whose class has "Norm" in its name, such as LayerNorm and RMSNorm, and with
    vectors to those of one axis or none.
    """
    normalizing = {
        id(parameter)
        for module in network.modules()
        if "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    }

    def decays(name: str, parameter: nn.Parameter) -> bool:
        kinds: dict[Exempt, bool] = {
            "bias": "bias" in name.rpartition(".")[2],
            "norm": id(parameter) in normalizing,
            "vectors": parameter.ndim < 2,
        }
        return not any(kinds[kind] for kind in exempt)

    return {name: decays(name, parameter) for name, parameter in named_parameters(network)}


def decaying(network: nn.Module, exempt: Collection[Exempt], moving: Sequence[str]) -> Tensor:
    """Returns (param,) 1 for each weight of a vector that decays, and 0 for the exempt ones.

    `moving` are the names of the parameters that the vector holds, in order.
    """
    decays, parameters = which_decay(network, exempt), dict(named_parameters(network))
    parts = [torch.full((parameters[name].numel(),), float(decays[name])) for name in moving]
    return torch.cat(parts)
