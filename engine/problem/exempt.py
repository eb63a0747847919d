"""The parameters of a network that weight decay leaves alone."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from engine.spec.optimizers import Exempt


def which_decay(network: nn.Module, exempt: Collection[Exempt]) -> list[bool]:
    """Returns for each parameter of a network, in order, whether weight decay applies to it.

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

    return [decays(name, parameter) for name, parameter in network.named_parameters()]


def decaying(network: nn.Module, exempt: Collection[Exempt]) -> Tensor:
    """Returns (param,) 1 for each weight of a network that decays, and 0 for the exempt ones."""
    which = which_decay(network, exempt)
    parts = zip(network.parameters(), which, strict=True)
    return torch.cat([torch.full((each.numel(),), float(decays)) for each, decays in parts])
