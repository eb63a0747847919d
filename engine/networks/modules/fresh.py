"""What networks of convolutions share: their normalizations, and how fresh weights are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from engine.networks.base import Init, NormName, TruncatedNormal

Norm = Callable[[int], nn.Module]
"""Returns the normalization of a number of channels."""

NORMS: dict[NormName, Norm] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
}


def draw_weights(network: nn.Module, init: Init) -> None:
    """Draws the weights of convolutions and dense layers anew, unless they are to stay torch's.

    With he, weights are normal with variance 2 / (inputs of a unit), and biases are zero (He et al.
    2015, Delving Deep into Rectifiers, Eq. 10). A truncated normal distribution is that of its
    keys. Normalizations stay as they are.
    """
    if init == "torch":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _draw(module.weight, init)
            if module.bias is not None:
                biases = init.biases if isinstance(init, TruncatedNormal) else 0.0
                nn.init.constant_(module.bias, biases)


def _draw(weight: Tensor, init: Literal["he"] | TruncatedNormal) -> None:
    """Draws the weights (output, input, …) of one layer anew."""
    if isinstance(init, TruncatedNormal):
        cut = 2 * init.deviation
        nn.init.trunc_normal_(weight, std=init.deviation, a=-cut, b=cut)
    else:
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
