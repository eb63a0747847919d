"""A path of weight vectors, of which one at a time is in memory, and places along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InputError
from engine.record.geometry import segment_lengths
from engine.shapes import Weights


@dataclass(frozen=True)
class Place:
    """A place along a path: a bead, or a point between two neighbours."""

    left: int
    """The number of the bead at its left, or of the bead that it is, from 0."""
    t: float
    """How far it is from there to the next bead, from 0 to less than 1."""
    bead: int | None
    """The id of the bead that it is; None between two beads."""
    arc: float
    """Where it lies along the path, as a share of the path's length."""


@dataclass(frozen=True, eq=False)
class Path:
    """A path of straight segments between beads."""

    beads: NDArray[Any]
    """The weights, (bead, param), as a string file holds them; large ones are mapped from there."""
    ids: tuple[int, ...]
    """The id of each bead."""
    between: int = 0
    """The number of points between two neighbouring beads."""

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """The Euclidean length of each segment, (bead−1,)."""
        return segment_lengths(self.beads)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every bead, and the points between, from end to end."""
        steps = self.between + 1
        last, whole = len(self.lengths), float(self.lengths.sum())
        shares = self.lengths / whole if whole else np.full(last, 1 / last)
        begins = np.concatenate([[0.0], np.cumsum(shares)]).clip(0, 1)
        inner = [
            Place(left, k / steps, None if k else self.ids[left], _between(begins, left, k / steps))
            for left in range(last)
            for k in range(steps)
        ]
        return (*inner, Place(last, 0.0, self.ids[last], 1.0))

    @property
    def at_beads(self) -> tuple[Place, ...]:
        """The places that are beads."""
        return tuple(place for place in self.places if place.bead is not None)

    def weights(self, place: Place) -> Weights:
        """Returns the weights at a place, (param,) float64."""
        left = self._bead(place.left)
        return left if place.t == 0 else torch.lerp(left, self._bead(place.left + 1), place.t)

    @property
    def centroid(self) -> Weights:
        """The mean of the weights over the path's length, ∫ θ ds / ∫ ds, (param,) float64.

        Over a straight segment that is the mean of its ends, so that it is
        Σ ℓ_k (θ_k + θ_{k+1}) / 2 / Σ ℓ_k with the segments' lengths ℓ_k. A path without a length
        stands for its first bead.
        """
        whole = float(self.lengths.sum())
        if not whole:
            return self._bead(0)
        shares = np.concatenate([[0.0], self.lengths, [0.0]]) / (2 * whole)
        found = torch.zeros(self.beads.shape[1], dtype=torch.float64)
        for number, (before, after) in enumerate(pairwise(shares)):
            found.add_(self._bead(number), alpha=before + after)
        return found

    def spread(self, values: Sequence[float]) -> tuple[float, ...]:
        """Returns values at the beads as values at all places, NaN between beads."""
        left = iter(values)
        return tuple(np.nan if p.bead is None else float(next(left)) for p in self.places)

    def _bead(self, number: int) -> Weights:
        return torch.from_numpy(np.array(self.beads[number], dtype=np.float64))


def _between(begins: NDArray[np.float64], left: int, t: float) -> float:
    """Returns the place of a point of a segment along the path."""
    return float((1 - t) * begins[left] + t * begins[left + 1])


def path_of(beads: Any, ids: tuple[int, ...] | None, parameters: int, between: int) -> Path:
    """Returns the path through beads (bead, param); without ids they are numbered from 1.

    Raises InputError where the beads are not two or more vectors of so many finite numbers, or
    where the number of points between them is negative.
    """
    if between < 0:
        raise InputError(f"is {between}, but must be at least 0", key="between")
    found = beads if hasattr(beads, "shape") else np.asarray(beads)
    if len(found.shape) != 2 or found.shape[1] != parameters or len(found) < 2:
        raise InputError(
            f"the weights have shape {tuple(found.shape)}; give (bead, {parameters}), two beads or "
            "more"
        )
    if not all(_finite(found[number]) for number in range(len(found))):
        raise InputError("the weights are not finite floating-point numbers")
    return Path(found, ids or tuple(range(1, len(found) + 1)), between)


def _finite(bead: NDArray[Any]) -> bool:
    return bead.dtype.kind == "f" and bool(np.isfinite(bead).all())
