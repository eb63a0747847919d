"""What the preset custom-example names: plain torch, nothing of dss-tui."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def rings(points: int, noise: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points in the plane on two rings; the class is the ring. As many are held out."""
    draw = torch.Generator().manual_seed(0)

    def split() -> tuple[Tensor, Tensor]:
        label = torch.arange(points) % 2
        angle = 2 * torch.pi * torch.rand(points, generator=draw)
        radius = 1.0 + label + noise * torch.randn(points, generator=draw)
        return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), label

    return *split(), *split()


def network(width: int) -> nn.Module:
    """Batch normalization is fine: each model on the path gets statistics of its own."""
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 2))


def smoothed_cross_entropy(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss gives one value for each sample; the mean over the samples is taken for you."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(output, target, reduction="none", label_smoothing=smoothing)

    return loss
