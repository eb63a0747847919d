"""The points at which gradients are taken: a linear map of the rows of a string.

Beads are trained where they are, by the identity. A curve with control points is trained at points
that are weighted sums of its rows, and a gradient comes back to a row by its weight in each sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class LinearMap(Protocol):
    """A linear map from the rows of a string to the weight vectors at which losses are computed."""

    @property
    def own(self) -> bool:
        """Whether the point of each row is the row itself. If so, `shares` is not called."""

    def shares(self, rows: int, keys: Tensor) -> Tensor:
        """Returns the shares of rows in the points of a step, (point, row).

        The string has `rows` rows, its two ends included, which rest. The others move, all or none,
        and there are as many points as those, so that a step of a row costs one gradient. `keys`
        (point,) int64 are the keys of their steps, from which the map may draw.
        """


@dataclass(frozen=True)
class Identity:
    """The map that trains each row at its own weights."""

    @property
    def own(self) -> bool:
        """True, because each row is a point."""
        return True

    def shares(self, rows: int, keys: Tensor) -> Tensor:
        """Returns a one for each row that moves."""
        return torch.eye(rows, device=keys.device)[1:-1]
