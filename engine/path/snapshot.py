"""Strings at one moment in frozen values: what viewers are shown, and what a checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from engine.path.certificate.proof import Proof
from engine.path.segments import Measured
from engine.record.bracket import Bracket
from engine.record.costs import Costs
from engine.record.marks import Count, Depth
from engine.record.progress import SegmentProgress, SegmentState, TrainingProgress
from engine.shapes import Weights

#: The number of weights that are taken in float64 at a time.
PIECE = 2**24

Key = tuple[int, int]
"""The ids of a segment's left and right bead."""


@dataclass(frozen=True)
class MethodProgress:
    """Where a method stands, as `progress.json` shows it."""

    phase: str
    """What the method is doing, for a person, such as "search" or "audit"."""
    aim: float
    """The level that beads are brought below now; the run's own level at the end."""
    beads: int
    """Number of beads on the string, the ends included."""
    order: tuple[int, ...]
    """Ids of the beads from end to end; empty as long as no segment is measured."""
    losses: tuple[float, ...]
    """(bead,) The objective at each of those beads."""
    training: tuple[TrainingProgress, ...]
    segments: tuple[SegmentProgress, ...]
    """The segments from end to end, without the secondary metric, which is measured apart."""
    beads_per_depth: tuple[int, ...]
    """Number of beads at each depth; the ends are at depth 0."""
    bead_steps: int
    """Optimizer steps of all beads together."""
    normalized_length: float
    """The string's length divided by the distance of its ends."""
    max_peak: float
    """The highest loss on the string; NaN while none is measured."""
    normalized_length_weights: float | None = None
    """The normalized length over the weights alone; None where there are only biases."""
    turn_mean: float | None = None
    """The mean angle in degrees by which the string turns at an inner bead; None without one."""
    turn_max: float | None = None
    """The largest of these angles."""
    certified: bool | None = None
    """True where every segment is proven, False where a point above the level is known."""
    level: float = float("nan")
    """The level that the string is held against; infinite as long as none is known."""
    bracket: Bracket | None = None
    """How the level comes about; None where the preset names it."""
    costs: Costs | None = None
    """What the search has computed so far; None where that is not known."""

    @property
    def depth(self) -> int:
        """The depth of the deepest bead, 0 where there are only the ends."""
        return max(0, len(self.beads_per_depth) - 1)

    def count(self, state: SegmentState) -> int:
        """Returns the number of segments in a state."""
        return sum(segment.state == state for segment in self.segments)


# ---------------------------------------------------------------- a string


@dataclass(frozen=True)
class Segment:
    """The straight line between two neighbouring beads, and what is known of it."""

    left: Count
    right: Count
    depth: Depth
    """Number of splits of splits that led to it."""
    length: float
    """Euclidean distance of the two beads' weights."""
    measured: Measured
    state: SegmentState
    bead: Count | None = None
    """Id of the bead in training, or tried last, between the two."""
    attempt: Count = 0
    """Number of the start from which that bead was trained last, from 1."""
    stalled: Count = 0
    """Number of splits in a row, up to this one, that made it neither shorter nor lower."""
    proof: Proof | None = None
    """What is known of the segment for every t; None where nobody tried."""

    @property
    def key(self) -> Key:
        """The ids of the left and the right bead."""
        return self.left, self.right

    @property
    def height(self) -> float:
        """The peak, infinite where it is not finite."""
        return self.measured.peak if np.isfinite(self.measured.peak) else float("inf")


@dataclass(frozen=True)
class Peak:
    """The highest point of a whole string."""

    left: Count
    right: Count
    t: float
    """Where on its segment the peak is, from 0 at the left bead to 1 at the right one."""
    loss: float
    depth: Depth
    """Depth of the segment."""
    place: float
    """Where on the string the peak is, as a share of the string's length."""
    beads: Count
    """Number of beads on the string."""


@dataclass(frozen=True)
class Snapshot:
    """A string with all its segments measured."""

    order: tuple[int, ...]
    """Ids of the beads from end to end."""
    weights: Mapping[int, Weights]
    depths: Mapping[int, int]
    segments: Mapping[Key, Segment]

    @property
    def highest(self) -> float:
        """The highest loss on the string."""
        return max(segment.height for segment in self.segments.values())

    def peak(self) -> Peak:
        """Returns the highest point of the string."""
        before, at, worst = 0.0, 0.0, None
        for key in pairwise(self.order):
            segment = self.segments[key]
            if worst is None or segment.height > worst.height:
                worst, at = segment, before + segment.measured.t_star * segment.length
            before += segment.length
        assert worst is not None
        place = at / before if before > 0 else 0.0
        return Peak(
            *worst.key, worst.measured.t_star, worst.height, worst.depth, place, len(self.order)
        )

    @property
    def normalized_length(self) -> float:
        """The string's length divided by the distance of its ends."""
        return normalized_length(self.order, self.weights)


def normalized_length(order: Sequence[int], weights: Mapping[int, Weights]) -> float:
    """Returns the length of a string divided by the distance of its ends.

    It is NaN for no string, and infinite for a closed loop.
    """
    beads = [weights[bead] for bead in order]
    if not beads:
        return float("nan")
    length = sum(distance(a, b) for a, b in pairwise(beads))
    chord = distance(beads[0], beads[-1])
    return length / chord if chord > 0 else float("inf")


def distance(left: Weights, right: Weights) -> float:
    """Returns the Euclidean distance of two weight vectors, computed in float64."""
    return math.hypot(*(float(torch.linalg.vector_norm(way)) for (way,) in ways(left, right)))


def ways(*vectors: Weights) -> Iterator[tuple[Weights, ...]]:
    """Yields the differences of neighbouring vectors in float64, piece by piece.

    Those of most networks are one piece. Whole ones of large networks would fill the memory.
    """
    for start in range(0, len(vectors[0]), PIECE):
        parts = [vector[start : start + PIECE] for vector in vectors]
        yield tuple(
            after.to(torch.float64, copy=True).sub_(before) for before, after in pairwise(parts)
        )
