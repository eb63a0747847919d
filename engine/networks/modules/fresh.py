"""What networks of convolutions share: their normalizations, and how fresh weights are drawn."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from engine.networks.base import InitName, NormName

Norm = Callable[[int], nn.Module]
"""Returns the normalization of a number of channels."""

NORMS: dict[NormName, Norm] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
}


def draw_weights(network: nn.Module, init: InitName) -> None:
    """Draws the weights of convolutions and dense layers anew, unless they are to stay torch's.

    With he, weights are normal with variance 2 / (inputs of a unit), and biases are zero (He et al.
    2015, Delving Deep into Rectifiers, Eq. 10). Normalizations stay as they are.
    """
    if init == "torch":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
