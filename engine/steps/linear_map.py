"""Where gradients are taken: at a linear map of a group's rows.

Beads are trained where they are, by the identity. A curve with control points is trained at points
that are sums of its rows, and a gradient comes back to the rows by the transposed map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.shapes import Beads, PerBead


@runtime_checkable
class LinearMap(Protocol):
    """A linear map from the rows of a round to the weight vectors at which losses are taken."""

    def points(self, theta: Beads) -> Beads:
        """Returns the weight vectors at which losses and gradients are taken, (point, param)."""

    def pull_back(self, loss: PerBead, grad: Beads) -> tuple[PerBead, Beads]:
        """Returns the rows' losses and gradients from those of the points."""


@dataclass(frozen=True)
class Identity:
    """Each row is trained where it is."""

    def points(self, theta: Beads) -> Beads:
        """Returns the rows."""
        return theta

    def pull_back(self, loss: PerBead, grad: Beads) -> tuple[PerBead, Beads]:
        """Returns the losses and gradients as they are."""
        return loss, grad
