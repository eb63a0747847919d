"""Curves with control points between two models, as linear maps of the string of those points.

A curve is trained for the expectation of the loss over t (Garipov et al. 2018, *Loss Surfaces, Mode
Connectivity, and Fast Ensembling of DNNs*, Eq. 2 with t uniform on [0, 1]). Each step draws as many
points as there are control points: one in each of equal parts of the curve. With one control point
that is the rule of that paper. A complex of simplexes is trained for the expectation over its whole
volume (Benton et al. 2021, *Loss Surface Simplexes for Mode Connecting Volumes and Fast
Ensembling*).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor

from engine.draws import mixed, uniform
from engine.shapes import Beads, PerBead
from engine.steps.tethers import Tied

#: The counter of the draws of places under a step's key. Samples have numbers far below.
PLACES = 2**40


@dataclass(frozen=True)
class Curve:
    """The base of curves whose models are weighted sums of their control points, ends included."""

    @property
    def own(self) -> bool:
        """False, because gradients are those of models on the curve."""
        return False

    def shares(self, rows: int, keys: Tensor) -> Tensor:
        """Returns the shares of rows at random places, one in each equal part of the curve."""
        parts = torch.arange(len(keys), device=keys.device)
        drawn = uniform(mixed(keys, PLACES), 1)[:, 0].double()
        return self.along(rows, (parts + drawn) / len(keys))

    def along(self, rows: int, t: Tensor) -> Tensor:
        """Returns the shares of rows (place, row) in the models at places t of the curve."""
        raise NotImplementedError

    def places(self, rows: int) -> list[float]:
        """Returns the t of the fewest models that show the curve, its two ends among them."""
        raise NotImplementedError

    @property
    def bends(self) -> bool:
        """Whether the curve leaves the straight lines between the models of `places`."""
        return False


@dataclass(frozen=True)
class Polychain(Curve):
    """The chain of straight lines through the control points."""

    def along(self, rows: int, t: Tensor) -> Tensor:
        """Returns the shares of the two control points beside each place."""
        corners = torch.arange(rows, dtype=t.dtype, device=t.device)
        return (1 - (t[:, None] * (rows - 1) - corners).abs()).clamp(min=0)

    def places(self, rows: int) -> list[float]:
        """Returns the places of the control points."""
        return [number / (rows - 1) for number in range(rows)]


@dataclass(frozen=True)
class Bezier(Curve):
    """The Bezier curve of the control points."""

    def along(self, rows: int, t: Tensor) -> Tensor:
        """Returns Bernstein's polynomials at each place."""
        degree = rows - 1
        terms = [comb(degree, k) * t**k * (1 - t) ** (degree - k) for k in range(rows)]
        return torch.stack(terms, dim=1)

    def places(self, rows: int) -> list[float]:
        """Returns five places, or as many more as there are further control points."""
        lines = max(4, rows + 1)
        return [number / lines for number in range(lines + 1)]

    @property
    def bends(self) -> bool:
        """True, because a Bezier curve bends everywhere."""
        return True


@dataclass(frozen=True)
class Simplexes(Curve):
    """Two simplexes, one from each end, which share the face of all control points.

    The path goes from one end straight to the middle of that face, and from there to the other.
    """

    def shares(self, rows: int, keys: Tensor) -> Tensor:
        """Returns the shares of rows at uniformly drawn points, each of one simplex or the other.

        The shares of a uniform point are those of exponential draws in their sum.
        """
        drawn = uniform(mixed(keys, PLACES), rows).double()
        waits = -torch.log1p(-drawn[:, 1:])
        shares = waits / waits.sum(1, keepdim=True).clamp(min=1e-30)
        of_end, of_face = shares[:, :1], shares[:, 1:]
        first = (drawn[:, :1] < 0.5).to(shares)
        return torch.cat([of_end * first, of_face, of_end * (1 - first)], dim=1)

    def along(self, rows: int, t: Tensor) -> Tensor:
        """Returns the shares on the way through the middle of the face."""
        nearest = (1 - (2 * t - 1).abs()) / (rows - 2)
        first, last = (1 - 2 * t).clamp(min=0), (2 * t - 1).clamp(min=0)
        return torch.cat(
            [first[:, None], nearest[:, None].expand(-1, rows - 2), last[:, None]], dim=1
        )

    def places(self, rows: int) -> list[float]:
        """Returns the two ends and the middle of the face."""
        return [0.0, 0.5, 1.0]


@dataclass(frozen=True)
class Roomy(Tied):
    """The tether that makes the two simplexes of a complex large: it costs −λ·log V of each.

    V is the volume of a simplex, whose edges from its end are e_i: V² = det⟨e_i, e_j⟩ / (k!)².
    """

    weight: float
    """λ, the loss by which the volume counts."""

    @property
    def pulls(self) -> bool:
        """True, because little room costs something."""
        return True

    def pull(self, theta: Beads, loss: PerBead) -> Beads:
        """Returns the gradient of the cost by each control point."""
        pull = torch.zeros_like(theta)
        for end in (theta[:1], theta[-1:]):
            edges = (theta[1:-1] - end).double()
            pull[1:-1] -= (self.weight * torch.linalg.solve(edges @ edges.T, edges)).to(pull)
        return pull
