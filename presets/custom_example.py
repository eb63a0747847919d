"""The functions that the preset custom-example names, in plain torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def rings(points: int, noise: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns points in the plane on two rings, whose class is the ring, and as many held out."""
    draw = torch.Generator().manual_seed(0)

    def split() -> tuple[Tensor, Tensor]:
        """Returns x (sample, 2) and y (sample,)."""
        label = torch.arange(points) % 2
        angle = 2 * torch.pi * torch.rand(points, generator=draw)
        radius = 1.0 + label + noise * torch.randn(points, generator=draw)
        return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), label

    return *split(), *split()


def network(width: int) -> nn.Module:
    """Returns a network with fresh random weights.

    Batch normalization is fine, because each model on the path gets statistics of its own.
    """
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 2))


def smoothed_cross_entropy(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns a loss, which gives one value for each sample. The engine takes their mean."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        """Returns the loss of each sample, (sample,)."""
        return functional.cross_entropy(output, target, reduction="none", label_smoothing=smoothing)

    return loss
