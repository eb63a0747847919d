"""The points at which gradients are taken: a linear map of a group's rows.

Beads are trained where they are, by the identity. A curve with control points is trained at points
that are sums of its rows, and a gradient comes back to the rows by the transposed map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.shapes import Beads, PerBead


@runtime_checkable
class LinearMap(Protocol):
    """A linear map from the rows of a round to the weight vectors at which losses are computed."""

    def points(self, theta: Beads) -> Beads:
        """Returns the weight vectors at which losses and gradients are computed, (point, param)."""

    def pull_back(self, loss: PerBead, grad: Beads) -> tuple[PerBead, Beads]:
        """Returns the losses (row,) and gradients (row, param) of the rows from those of points."""


@dataclass(frozen=True)
class Identity:
    """The map that trains each row at its own weights."""

    def points(self, theta: Beads) -> Beads:
        """Returns the rows."""
        return theta

    def pull_back(self, loss: PerBead, grad: Beads) -> tuple[PerBead, Beads]:
        """Returns the losses and gradients as they are."""
        return loss, grad
