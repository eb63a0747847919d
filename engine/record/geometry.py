"""The geometry of a string of beads, in numpy alone. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engine.record.arc import Place
from engine.record.reading import MIB
from engine.record.tensor_file import Stacked

#: The bytes of all beads of a string up to which they are copied into one array.
COPIED = 8 * MIB


@dataclass(frozen=True)
class BeadString:
    """Beads in their order along the string, with their losses and their segments' profiles."""

    beads: NDArray[np.float32]
    """The weights, (bead, param). Large ones of a search at work are `Stacked`, which has the
    shape, the rows and the length of such an array, and becomes one by `np.asarray`."""
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


def stacked(beads: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Returns beads (param,) as those of a `BeadString`, large ones without a copy of them."""
    vectors = [bead.astype(np.float32, copy=False) for bead in beads]
    if sum(vector.nbytes for vector in vectors) <= COPIED:
        return np.stack(vectors)
    return cast("NDArray[np.float32]", Stacked(vectors))


def segment_lengths(beads: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns ‖θ_{k+1} − θ_k‖₂ over all parameters, (bead−1,)."""
    lengths = [np.linalg.norm(step[None], axis=1)[0] for step in _steps(beads)]
    return np.array(lengths, dtype=np.float64)


def _steps(beads: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    """Yields θ_{k+1} − θ_k one after another, since large beads fill the memory."""
    for left, right in pairwise(beads):
        yield right.astype(np.float64) - left.astype(np.float64)


def normalized_length(beads: NDArray[np.float32]) -> float:
    """Returns Σ‖θ_{k+1} − θ_k‖₂ / ‖θ_end − θ_start‖₂: 1 if straight, infinite if closed."""
    chord = float(np.linalg.norm(beads[-1].astype(np.float64) - beads[0]))
    return float(segment_lengths(beads).sum()) / chord if chord > 0 else float("inf")


def turning_angles(beads: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the angle in radians between consecutive segments at each inner bead, (bead−2,)."""
    lengths = segment_lengths(beads)
    products = [(before * after)[None].sum(axis=1)[0] for before, after in pairwise(_steps(beads))]
    cosines = np.array(products, dtype=np.float64) / (lengths[:-1] * lengths[1:])
    return np.asarray(np.arccos(np.clip(cosines, -1.0, 1.0)))


@dataclass(frozen=True)
class Space:
    """Beads in the space of the first three principal components of a string."""

    places: tuple[tuple[float, float, float], ...]
    """The place of each bead, in the units of the weights. Endpoint 1 is left of endpoint 2."""
    shares: tuple[float, float, float]
    """The shares of the beads' variance that the three components hold."""

    def seen(self, turn: float, tilt: float) -> tuple[Place, ...]:
        """Returns the place of each bead in the plane of somebody who looks from another side.

        The beads are turned by `turn` degrees about the second axis, which brings the third one
        from behind to the right, and then tilted by `tilt` degrees about the line to the right,
        which brings what is behind downwards. With 0 and 0 the plane is that of the first two
        components. Distances in it are never larger than those of the beads.
        """
        x, y, z = np.array(self.places).T
        a, b = np.radians(turn), np.radians(tilt)
        across, behind = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
        up = y * np.cos(b) - behind * np.sin(b)
        return tuple(zip(across.tolist(), up.tolist(), strict=True))


def in_space(beads: NDArray[np.float32]) -> Space | None:
    """Returns the space of the beads (bead, param).

    Returns None where there are fewer than three beads, or where a weight is not finite.
    """
    if len(beads) < 3 or not np.isfinite(beads).all():
        return None
    centred = beads.astype(np.float64) - beads.mean(axis=0, dtype=np.float64)
    # By way of the (bead, bead) products: there are far more parameters than beads.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    total = float(np.clip(values, 0, None).sum())
    places, shares = principal(values, vectors, total, last=len(beads) - 1, axes=3)
    first, second, third = shares.tolist()
    return Space(tuple((x, y, z) for x, y, z in places.tolist()), (first, second, third))


def principal(
    values: NDArray[np.float64],
    vectors: NDArray[np.float64],
    total: float,
    last: int,
    axes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the place of each bead in its first principal components, and their shares.

    Args:
        values: The eigenvalues of the (bead, bead) products of centred beads, ascending; the
            largest are the last ones.
        vectors: Their eigenvectors, (bead, value).
        total: The sum of all eigenvalues.
        last: The number of the bead that bead 0 is put to the left of.
        axes: The number of components.

    Returns:
        The places in the units of the weights, (bead, axis), and the shares of the variance,
        (axis,).
    """
    largest = np.arange(-1, -1 - axes, -1)
    values = np.clip(values[largest], 0, None)
    places = vectors[:, largest] * np.sqrt(values)
    # The signs of eigenvectors are arbitrary, and may change from one string to the next.
    turned = -places.min(axis=0) > places.max(axis=0)
    turned[0] = places[0, 0] > places[last, 0]
    places *= np.where(turned, -1, 1)
    return places, values / max(total, np.finfo(float).tiny)
