"""The geometry of a string of beads, in numpy alone. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Place = tuple[float, float]
"""A pair of coordinates in a plot."""


@dataclass(frozen=True)
class BeadString:
    """Beads in their order along the string, with their losses and their segments' profiles."""

    beads: NDArray[np.float32]
    """The weights, (bead, param)."""
    losses: NDArray[np.float64]
    """The objective at each bead, (bead,)."""
    t: NDArray[np.float64]
    """The places along a segment, from 0 to 1, both included, (point,)."""
    profiles: NDArray[np.float64]
    """The objective along each segment, (bead−1, point)."""
    cells: NDArray[np.float64] | None = None
    """The segment's number from 0, u, v, and what the objective is proven not to exceed on [u, v]
    of that segment, (cell, 4); None where nothing is proven."""

    @property
    def max_peak(self) -> float:
        """The highest value of all profiles."""
        return float(self.profiles.max())


def segment_lengths(beads: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns ‖θ_{k+1} − θ_k‖₂ over all parameters, (bead−1,)."""
    steps = np.diff(beads.astype(np.float64), axis=0)
    return np.asarray(np.linalg.norm(steps, axis=1))


def normalized_length(beads: NDArray[np.float32]) -> float:
    """Returns Σ‖θ_{k+1} − θ_k‖₂ / ‖θ_end − θ_start‖₂: 1 if straight, infinite if closed."""
    chord = float(np.linalg.norm(beads[-1].astype(np.float64) - beads[0]))
    return float(segment_lengths(beads).sum()) / chord if chord > 0 else float("inf")


def turning_angles(beads: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the angle in radians between consecutive segments at each inner bead, (bead−2,)."""
    steps = np.diff(beads.astype(np.float64), axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    cosines = (steps[:-1] * steps[1:]).sum(axis=1) / (lengths[:-1] * lengths[1:])
    return np.asarray(np.arccos(np.clip(cosines, -1.0, 1.0)))


def even_grid(points: int) -> tuple[float, ...]:
    """Returns `points` values of t from 0 to 1, both included, at equal distances."""
    return tuple(np.linspace(0.0, 1.0, points).tolist())


def loss_along(lengths: Sequence[float], profiles: Sequence[Sequence[float]]) -> list[list[Place]]:
    """Returns (arc length from the first bead, objective) at each point of each segment.

    `lengths` and `profiles` have an item for each segment; a profile is the objective on an even
    grid of t.
    """
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    with np.errstate(invalid="ignore"):  # an infinite length has no places along it
        return [
            list(zip((start + length * np.array(even_grid(len(y)))).tolist(), y, strict=True))
            for start, length, y in zip(starts, lengths, profiles, strict=True)
        ]


def in_plane(beads: NDArray[np.float32]) -> list[Place]:
    """Returns the place of each bead in the plane of the first two principal components.

    Returns no places where there are fewer than three beads, or where a weight is not finite.
    """
    if len(beads) < 3 or not np.isfinite(beads).all():
        return []
    centred = beads.astype(np.float64) - beads.mean(axis=0, dtype=np.float64)
    # By way of the (bead, bead) products: there are far more parameters than beads.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    plane = vectors[:, [-1, -2]] * np.sqrt(np.clip(values[[-1, -2]], 0, None))
    return [(x, y) for x, y in plane.tolist()]
