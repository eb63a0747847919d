"""Convolutions in double precision on the CPU, a few samples at a time.

torch computes them as products of matrices. For that it writes the patches that a kernel sees of
each sample beside each other, of all samples of a call before the first product. Where these are
more than the cache holds, which they are for some dozens of images, they go to memory and back, and
a call takes two to four times as long as several calls with a few samples each. A sample's output
is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

#: The bytes of patches that are written at once, which the cache holds.
PATCHES = 2**20

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Takes x (sample, channel, …), weights and biases, as `_conv_forward` of torch's layers does."""


def take_few_at_once(network: nn.Module) -> None:
    """Makes the convolutions of a network take a few samples at a time, where that is faster."""
    for layer in network.modules():
        if isinstance(layer, _ConvNd) and hasattr(layer, "_conv_forward"):  # not a transposed one
            vars(layer)["_conv_forward"] = partial(_in_pieces, layer._conv_forward)


def _in_pieces(convolution: Convolution, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns what a layer makes of samples."""
    kernel = weight.shape[2:]
    patches = prod(x.shape[1:]) * prod(kernel) * x.element_size()
    slow = x.dtype == torch.float64 and x.device.type == "cpu" and prod(kernel) > 1
    at_once = max(1, PATCHES // max(1, patches))
    if not slow or x.ndim != len(kernel) + 2 or at_once >= len(x):
        return convolution(x, weight, bias)
    return torch.cat([convolution(some, weight, bias) for some in torch.split(x, at_once)])
