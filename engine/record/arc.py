"""The places of points along a string, by the distance travelled from its first bead.

A string is given by the lengths of its segments and, for each segment, by a track: pairs of
(t, loss) with t from 0 to 1 in growing order, between which the loss is taken to be linear. Viewers
draw by it at once, so it needs neither torch nor numpy, which take their time to be imported.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf, isnan, nan

Place = tuple[float, float]
"""A pair of coordinates in a plot."""

Track = Sequence[Place]
"""The known (t, loss) of a segment. A loss that is NaN leaves a gap."""


def even_grid(points: int) -> tuple[float, ...]:
    """Returns `points` values of t from 0 to 1, both included, at equal distances."""
    if points < 2:
        return (0.0,) * points
    step = 1 / (points - 1)
    return (*(number * step for number in range(points - 1)), 1.0)


def places(lengths: Sequence[float]) -> tuple[float, ...] | None:
    """Returns the place of each bead as a share of the whole length, (bead,), from 0 to 1.

    Returns None where a length is not finite or negative, or where all of them are 0.
    """
    *starts, whole = accumulate(lengths, initial=0.0)
    if not 0 < whole < inf or min(lengths) < 0:
        return None
    return (*(start / whole for start in starts), 1.0)


def loss_along(lengths: Sequence[float], profiles: Sequence[Sequence[float]]) -> list[list[Place]]:
    """Returns (arc length from the first bead, objective) at each point of each segment.

    `lengths` and `profiles` have an item for each segment; a profile is the objective on an even
    grid of t.
    """
    *starts, _ = accumulate(lengths, initial=0.0)
    return [
        [(start + length * t, loss) for t, loss in zip(even_grid(len(y)), y, strict=True)]
        for start, length, y in zip(starts, lengths, profiles, strict=True)
    ]


def landscape(
    lengths: Sequence[float], profiles: Sequence[Sequence[float]], level: float
) -> tuple[Place, ...]:
    """Returns (share of the string's length, objective / level) at each point of a string.

    `lengths` and `profiles` are as `loss_along` takes them. Returns nothing where the length of the
    string is zero or not finite, because nothing has a place along it then.
    """
    total = sum(lengths)
    if not 0 < total < inf:
        return ()
    along = loss_along([length / total for length in lengths], profiles)
    return tuple((x, y / level) for places in along for x, y in places)


def highest(beads: Sequence[float], tracks: Sequence[Track], columns: int) -> tuple[float, ...]:
    """Returns the highest loss in each of `columns` equal stretches of a string, (column,).

    `beads` are the places of the beads as `places` returns them, (bead,), and `tracks` those of the
    segments between them. A stretch without a known loss is NaN.
    """
    x = [
        columns * (start + t * (end - start))
        for start, end, track in zip(beads, beads[1:], tracks, strict=False)
        for t, _ in track
    ]
    y = [loss for track in tracks for _, loss in track]
    borders = [_between(x, y, border) for border in range(columns + 1)]
    found = [_higher(*sides) for sides in pairwise(borders)]
    for at, loss in zip(x, y, strict=True):
        column = min(int(at), columns - 1)
        found[column] = _higher(found[column], loss)
    return tuple(found)


def locate(beads: Sequence[float], share: float) -> tuple[int, float]:
    """Returns the segment, counted from 0, and the t on it at a share of the whole length.

    `beads` are the places of at least two beads, (bead,).
    """
    segment = min(max(bisect_right(beads, share) - 1, 0), len(beads) - 2)
    start, end = beads[segment], beads[segment + 1]
    t = (share - start) / (end - start) if end > start else 0.0
    return segment, min(max(t, 0.0), 1.0)


def loss_at(track: Track, t: float) -> float:
    """Returns the loss at t on a segment, between the nearest known ones; NaN within a gap."""
    return _between([place for place, _ in track], [loss for _, loss in track], t)


def _between(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Returns the value at a place on the line between its neighbours of the places x.

    Beyond the ends it is that of the nearest end, and NaN where there are no places.
    """
    after = bisect_right(x, at)
    if not x:
        return nan
    if after in (0, len(x)) or x[after - 1] == at:
        return y[max(after - 1, 0)]
    left, right = x[after - 1], x[after]
    return y[after - 1] + (y[after] - y[after - 1]) / (right - left) * (at - left)


def _higher(one: float, other: float) -> float:
    """Returns the higher of two losses, or the only one that is known."""
    return other if isnan(one) or other > one else one
