"""Loss planes through three beads, as `planes/A-B-C.json` in a run's folder holds them.

The file of a plane answers whoever asked for it: with the plane, or with the reason why there is
none. It is named by the ids of the three beads in the order in which they were asked for, and the
newest answer replaces the one before. No torch here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

from engine.record.decoding import decoder, parse_json
from engine.record.events import dump_json
from engine.record.marks import Count, Length, Level, Seconds, Tolerance
from engine.record.reading import LARGEST_JSON, Damaged, read_bytes
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writing import is_folder, made_folder, replace
from engine.spec.level import Measure, bound

Triple = tuple[Count, Count, Count]
"""The ids of the beads a, b and c that span a plane."""

Axis = Annotated[tuple[float, ...], Length(2)]
"""The coordinates of a grid's columns or rows, in ascending order."""


@dataclass(frozen=True)
class PlaneBead:
    """The loss of a bead, and its place in a plane, in the units of the weights."""

    bead: Count
    """The bead's id."""
    x: float
    """The coordinate along the line from a to b; NaN where a weight is not finite."""
    y: float
    """The coordinate across that line; positive on the side of c."""
    distance: float
    """The Euclidean distance of the bead from the plane."""
    loss: float
    """The objective at the bead itself, which may lie off the plane."""


def _ascends(axis: Axis) -> bool:
    """Returns whether each coordinate is above the one before it, and all are finite."""
    return all(low < high for low, high in pairwise(axis)) and isfinite(axis[-1] - axis[0])


@dataclass(frozen=True, kw_only=True)
class LossPlane:
    """The objective on a grid in the plane through three beads (Garipov et al. 2018).

    The origin is at bead a. The x axis points to bead b, and the y axis is orthogonal to it, with
    bead c on its positive side. Raises ValueError where its parts contradict each other.
    """

    kind: Literal["plane"] = "plane"
    beads: Triple
    """The ids of the beads a, b and c."""
    level_on: Measure
    """The objective."""
    level: Level
    """The level that the string is to stay below."""
    tolerance: Tolerance = 0.0
    """A segment is closed up to (1 + tolerance) × level."""
    time: Seconds
    """Running time of the run in seconds when the weights were as they are here."""
    precision: Literal["float32", "float64"]
    """The precision of the measurement."""
    x: Axis
    """The coordinates of the grid's columns, (column,)."""
    y: Axis
    """The coordinates of the grid's rows, (row,)."""
    losses: tuple[tuple[float, ...], ...]
    """The objective at the grid's points, (row, column); NaN where it is not finite."""
    corners: tuple[PlaneBead, PlaneBead, PlaneBead]
    """The places of the beads a, b and c."""
    string: tuple[PlaneBead, ...]
    """The beads of the string from end to end, projected into the plane."""

    def __post_init__(self) -> None:
        """Raises ValueError where the parts contradict each other."""
        for name, axis in (("x", self.x), ("y", self.y)):
            if not _ascends(axis):
                raise ValueError(f"{name} does not ascend from one finite number to another")
        if len(self.losses) != len(self.y) or {len(row) for row in self.losses} != {len(self.x)}:
            raise ValueError(f"losses has no row of {len(self.x)} values for each y")
        if tuple(corner.bead for corner in self.corners) != self.beads:
            raise ValueError("corners are not the places of its beads")
        if not all(isfinite(at) for corner in self.corners for at in (corner.x, corner.y)):
            raise ValueError("corners holds a place that is not finite")

    @property
    def bound(self) -> float:
        """The highest objective that a closed segment may have."""
        return bound(self.level, self.tolerance)

    @property
    def values(self) -> list[float]:
        """All objectives that are finite, row by row."""
        return [loss for row in self.losses for loss in row if isfinite(loss)]

    def at(self, x: Sequence[float], y: Sequence[float]) -> list[list[float]]:
        """Returns the objective at each y (row) and x (column), interpolated linearly in both.

        Coordinates beyond the grid are moved to its edge. NaN stands next to grid points where the
        objective is not finite.
        """
        columns = [_between(place, self.x) for place in x]
        rows = {
            row: [_blend(self.losses[row], *at) for at in columns] for row in range(len(self.y))
        }
        found = []
        for place in y:
            row, share = _between(place, self.y)
            pairs = zip(rows[row], rows[row + 1], strict=True)
            found.append([_mean(low, high, share) for low, high in pairs])
        return found


def _between(place: float, axis: Sequence[float]) -> tuple[int, float]:
    """Returns the last number on an axis before a place, and the place's share of the way on."""
    low = min(max(bisect_right(axis, place) - 1, 0), len(axis) - 2)
    share = (place - axis[low]) / (axis[low + 1] - axis[low])
    return low, min(max(share, 0.0), 1.0)


def _blend(values: Sequence[float], low: int, share: float) -> float:
    """Returns the value at a share of the way from one item to the next."""
    return _mean(values[low], values[low + 1], share)


def _mean(low: float, high: float, share: float) -> float:
    """Returns the mean of two values that gives a share of the weight to the second."""
    return (1 - share) * low + share * high


@dataclass(frozen=True, kw_only=True)
class NoPlane:
    """The answer where there is no plane through three beads."""

    kind: Literal["refused"] = "refused"
    beads: Triple
    """The ids of the beads that were asked for."""
    time: Seconds
    """Running time of the run in seconds when it was asked for."""
    reason: str
    """Why there is none, in a sentence for a person."""


Answer = LossPlane | NoPlane
"""The content of a plane's file."""


# ---------------------------------------------------------------- files


def path_of(run: RunDir, beads: Triple) -> Path:
    """Returns the path of the file of the plane through three beads."""
    return run.planes / f"{'-'.join(map(str, beads))}.json"


def write_answer(run: RunDir, answer: Answer) -> Path:
    """Replaces the file of a plane in a run's folder, and returns its path.

    Raises SaveError where it cannot be written, also where `planes` is no folder but a link.
    """
    made_folder(run.planes)
    path = path_of(run, answer.beads)
    replace(path, encode(answer))
    return path


def encode(answer: Answer) -> bytes:
    """Returns the content of a plane's file."""
    return dump_json(answer).encode()


def read_answer(run: RunDir, beads: Triple) -> Answer | None:
    """Returns the newest answer about the plane through three beads, or None before the first.

    Raises Damaged.
    """
    try:
        folder = is_folder(run.planes)
    except OSError:
        return None
    if not folder:
        raise Damaged(run.planes, "it is no folder")
    return read_plane_file(path_of(run, beads))


def read_plane_file(path: Path) -> Answer | None:
    """Returns the content of a plane's file, or None where there is no file. Raises Damaged."""
    content = read_bytes(path, LARGEST_JSON)
    if content is None:
        return None
    try:
        answer: Answer = decoder(Answer)(parse_json(content))
    except Unfit as unfit:
        raise Damaged(path, str(unfit)) from None
    return answer
