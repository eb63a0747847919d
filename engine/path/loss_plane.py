"""Measures the objective in the plane through three beads (Garipov et al. 2018).

A point of the plane is a·(1 − u − v) + b·u + c·v, so its weights take no basis of the plane, and at
the three beads they are the beads' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.backends.backend import Backend
from engine.errors import InputError, listed
from engine.record.loss_plane import PlaneBead, Triple
from engine.shapes import Weights
from engine.workers.pool import Workers

Floats = NDArray[np.float64]
Row = tuple[tuple[Weights, Weights, Weights], Floats]
"""The weights of a, b and c, (param,) each, and their shares at the points of a row, (point, 3)."""

#: Number of columns and of rows of the grid.
POINTS = 21
#: The room that the grid leaves on each side of the triangle, as a share of its longer side.
MARGIN = 0.25
#: Below this angle in radians at bead a, three beads count as lying on one line: float32 weights
#: do not tell in which plane they lie.
SMALLEST_ANGLE = 1e-5
#: The number of weights that are computed at once.
AT_ONCE = 2**25
#: The shares of three equal beads that give the bead itself.
ITSELF = np.array([[1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Frame:
    """The coordinates of the plane through three beads a, b and c.

    The origin is at a, the x axis points to b, and c lies on the positive side of the x axis.
    """

    corners: tuple[Weights, Weights, Weights]
    """The weights of a, b and c in float64 on the CPU, (param,) each."""
    base: float
    """The distance of b from a."""
    foot: float
    """The x coordinate of c."""
    height: float
    """The y coordinate of c."""

    @classmethod
    def through(cls, a: Weights, b: Weights, c: Weights, beads: Triple) -> Frame:
        """Returns the frame of the plane through three weight vectors (param,).

        Raises InputError, which names `beads`, where they span no plane.
        """
        # Not on the GPU, whose memory the search may have filled.
        a, b, c = (bead.cpu().double() for bead in (a, b, c))
        base = float(torch.linalg.vector_norm(b - a))
        side = float(torch.linalg.vector_norm(c - a))
        if not np.isfinite(base) or not np.isfinite(side):
            raise InputError(f"{_named(beads)} have weights that are not finite numbers")
        foot = float((c - a) @ (b - a)) / base if base else 0.0
        height = float(torch.linalg.vector_norm((c - a) - (b - a) * (foot / base))) if base else 0.0
        if height <= SMALLEST_ANGLE * side:
            raise InputError(
                f"{_named(beads)} lie on one line and span no plane; choose another bead"
            )
        return cls((a, b, c), base, foot, height)

    def shares(self, x: Floats, y: Floats) -> Floats:
        """Returns the shares of a, b and c at coordinates x and y (point,), as (point, 3)."""
        v = y / self.height
        u = (x - self.foot * v) / self.base
        return np.stack([1 - u - v, u, v], axis=-1)

    def axes(self) -> tuple[Floats, Floats]:
        """Returns the x (column,) and y (row,) of a grid that holds the triangle and a margin."""
        wide = (min(0.0, self.foot), max(self.base, self.foot))
        room = MARGIN * max(wide[1] - wide[0], self.height)
        x = np.linspace(wide[0] - room, wide[1] + room, POINTS)
        return x, np.linspace(-room, self.height + room, POINTS)

    def spot(self, bead: int, theta: Weights, loss: float) -> PlaneBead:
        """Returns the place of a bead's weights (param,) in the plane, and the distance from it.

        `loss` is the objective there.
        """
        a, b, c = self.corners
        across, up = (b - a) / self.base, c - a
        step = theta.cpu().double() - a
        x = float(step @ across)
        y = (float(step @ up) - self.foot * x) / self.height
        _, u, v = self.shares(np.array(x), np.array(y)).tolist()
        off = step - u * (b - a) - v * up
        return PlaneBead(bead, x, y, float(torch.linalg.vector_norm(off)), loss)


@dataclass(frozen=True)
class Measured:
    """The objective on a grid in a plane, and the beads in the plane's coordinates."""

    x: Floats
    """The coordinates of the columns, (column,)."""
    y: Floats
    """The coordinates of the rows, (row,)."""
    losses: Floats
    """The objective, (row, column)."""
    corners: tuple[PlaneBead, PlaneBead, PlaneBead]
    """The places of the three beads."""
    string: tuple[PlaneBead, ...]
    """The places of the beads of a string, in their order."""


def measure_plane(
    pool: Workers,
    beads: Triple,
    weights: Mapping[int, Weights],
    order: Sequence[int],
    *,
    samples: int,
    dtype: torch.dtype,
) -> Measured:
    """Returns the objective in the plane through three beads, and at the beads of a string.

    Args:
        pool: The workers that compute it.
        beads: The ids of the beads a, b and c.
        weights: The weights of the beads that there are, by id, (param,) each.
        order: The ids of the beads of the string from end to end.
        samples: The number of samples of the objective.
        dtype: The precision in which the objective is computed.

    Raises:
        InputError: A bead does not exist, or the three span no plane.
    """
    a, b, c = (found(bead, weights) for bead in beads)
    frame = Frame.through(a, b, c, beads)
    x, y = frame.axes()
    shown = [*beads, *order]
    rows: list[Row] = [(frame.corners, frame.shares(x, np.full_like(x, at))) for at in y]
    rows += [((weights[bead],) * 3, ITSELF) for bead in shown]
    measured = pool.run(InPlane(samples, dtype), rows)
    losses = [float(values[0]) for values in measured[POINTS:]]
    first, second, third = losses[:3]
    corners = (
        PlaneBead(beads[0], 0.0, 0.0, 0.0, first),
        PlaneBead(beads[1], frame.base, 0.0, 0.0, second),
        PlaneBead(beads[2], frame.foot, frame.height, 0.0, third),
    )
    string = [
        frame.spot(bead, weights[bead], loss) for bead, loss in zip(order, losses[3:], strict=True)
    ]
    return Measured(x, y, np.stack(measured[:POINTS]), corners, tuple(string))


def found(bead: int, weights: Mapping[int, Weights]) -> Weights:
    """Returns the weights of a bead. Raises InputError where it does not exist."""
    if bead in weights:
        return weights[bead]
    if not weights:
        raise InputError(f"there is no bead {bead}: there are no beads yet; ask again later")
    raise InputError(f"there is no bead {bead}; choose from {listed(map(str, weights), 12)}")


def _named(beads: Triple) -> str:
    """Returns the names of three beads for a sentence."""
    return f"beads {beads[0]}, {beads[1]} and {beads[2]}"


@dataclass(frozen=True)
class InPlane:
    """The task of measuring the objective at points of planes."""

    samples: int
    """The number of samples of the objective."""
    dtype: torch.dtype

    def size(self, row: Row) -> int:
        """Returns the number of samples that are computed for a row of points."""
        return self.samples * len(row[1])

    def __call__(self, backend: Backend, rows: Sequence[Row]) -> list[Floats]:
        """Returns the objective at the points of each row, (point,) each."""
        backend = backend.to(self.dtype)
        return [_row(backend, *row) for row in rows]


def _row(backend: Backend, corners: tuple[Weights, ...], shares: Floats) -> Floats:
    """Returns the objective at points of a plane (point,), a few models at a time."""
    problem = backend.problem
    beads = torch.stack([each.to(problem.device, problem.dtype) for each in corners])
    size = max(1, AT_ONCE // beads.shape[1])
    parts = torch.split(torch.from_numpy(shares).to(beads), size)
    # No product of matrices, which GPUs may round to TF32.
    a, b, c = beads
    models = (p[:, 0, None] * a + p[:, 1, None] * b + p[:, 2, None] * c for p in parts)
    losses = torch.cat([backend.objective(theta) for theta in models])
    found: Floats = losses.double().cpu().numpy()
    return found
