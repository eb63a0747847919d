"""A landscape of two weights whose wells and passes are known, as functions of a user's own.

F(x, y) = f(x) + y². The wells are at (0, 0), (1, 0), …, all of height 0. Between well k and well
k + 1 f rises to HEIGHTS[k] and falls again, so that the lowest path from one well to another rises
to the highest pass between them, whatever its y.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

HEIGHTS = (0.5, 0.1, 1.0)


class Wells(nn.Module):
    """A network whose output is the landscape at its weights, whatever the sample."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(2) * torch.tensor([3.0, 0.2]))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (sample, 1)."""
        at, y = self.w[0], self.w[1]
        pass_ = at.detach().floor().long().clamp(0, len(HEIGHTS) - 1)
        inside = (
            torch.tensor(HEIGHTS, dtype=x.dtype)[pass_] * (1 - torch.cos(2 * torch.pi * at)) / 2
        )
        outside = torch.relu(-at) + torch.relu(at - len(HEIGHTS))
        return (inside + outside**2 + y**2).expand(len(x), 1)


def network() -> nn.Module:
    """Returns the network."""
    return Wells()


def points() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns samples, which the landscape does not depend on."""
    zeros = torch.zeros(3, 1)
    return zeros, zeros, zeros, zeros


def height() -> Callable[[Tensor, Tensor], Tensor]:
    """Returns a loss that is the network's output."""
    return lambda output, target: output.flatten()


def lowest_barrier(one: int, other: int) -> float:
    """Returns the highest pass between two wells; 0 where they are the same."""
    return max(HEIGHTS[min(one, other) : max(one, other)], default=0.0)
