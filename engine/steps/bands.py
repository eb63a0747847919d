"""The nudged elastic band: springs along a string, gradients across it (Jónsson et al. 1998).

The tangent at a bead is the improved one, which goes by the losses of its neighbours (Henkelman &
Jónsson 2000), and the highest bead may climb along it to the saddle (Henkelman, Uberuaga & Jónsson
2000). The losses are
those of the last evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from engine.shapes import Beads, PerBead
from engine.steps.tethers import Tied


@dataclass(frozen=True)
class Band(Tied):
    """The tether of a nudged elastic band."""

    spring: float
    """The spring constant, a loss per squared unit of distance."""
    climbs: bool = False
    """Whether the highest inner bead goes up along the band instead of being held by springs."""

    @property
    def steers(self) -> bool:
        """True, because gradients act across the band alone."""
        return True

    def steer(self, theta: Beads, grad: Beads, loss: PerBead) -> Beads:
        """Returns each inner bead's gradient across the band, less the force of its springs."""
        if len(theta) < 3:
            return grad
        before, after = theta[1:-1] - theta[:-2], theta[2:] - theta[1:-1]
        along = tangents(before, after, loss)
        inner = grad[1:-1]
        uphill = (inner * along).sum(1, keepdim=True)
        pull = self.spring * (_length(after) - _length(before))
        steered = inner - uphill * along - pull * along
        if self.climbs:
            inside = loss[1:-1]
            top = (inside == inside.max())[:, None] & (inside.max() > loss[[0, -1]].max())
            steered = torch.where(top, inner - 2 * uphill * along, steered)
        return torch.cat([grad[:1], steered, grad[-1:]])


def tangents(before: Beads, after: Beads, loss: PerBead) -> Beads:
    """Returns the unit tangent at each inner bead (inner bead, param).

    `before` and `after` are the ways from the neighbour before it and to the one after it, and
    `loss` (bead,) the losses of the whole string. Between a lower and a higher neighbour the
    tangent is the way to the higher one. At an extremum it is both, weighted by the rises
    (Henkelman & Jónsson 2000, Eqs. 8 to 11).
    """
    here, left, right = loss[1:-1], (loss[:-2] - loss[1:-1]), (loss[2:] - loss[1:-1])
    least = torch.minimum(left.abs(), right.abs())[:, None]
    most = torch.maximum(left.abs(), right.abs())[:, None]
    right_is_higher = (right > left)[:, None]
    mixed = torch.where(
        right_is_higher, after * most + before * least, after * least + before * most
    )
    flat = (most == 0) | ~here.isfinite()[:, None]
    mixed = torch.where(flat, before + after, mixed)
    rises, falls = ((right > 0) & (left < 0))[:, None], ((right < 0) & (left > 0))[:, None]
    found: Tensor = normalize(torch.where(rises, after, torch.where(falls, before, mixed)))
    return found


def _length(ways: Beads) -> Tensor:
    """Returns the length of each way, (way, 1)."""
    length: Tensor = torch.linalg.vector_norm(ways, dim=1, keepdim=True)
    return length
