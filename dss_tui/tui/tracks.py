"""The points of curves as they are drawn: broken at what is not finite, stepped, and thinned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dss_tui.tui.plot import Curve, Point

Track = list[Point | None]
"""The points of a curve in order, where None breaks the line."""


def track_of(curve: Curve, width: int) -> Track:
    """Returns the track of a curve, with breaks for points that are not finite.

    A line is thinned for the width.
    """
    track: Track = [
        (x, y) if math.isfinite(x) and math.isfinite(y) else None
        for x, y in zip(curve.x, curve.y, strict=False)
    ]
    if not curve.lines:
        return track
    return _stepped(_thin(track, width)) if curve.steps else _thin(track, width)


def bars_of(curve: Curve) -> list[tuple[float, float, float]]:
    """Returns (x, lower end, upper end) of each error bar of a curve that is finite."""
    bars = [
        (x, y - error, y + error)
        for x, y, error in zip(curve.x, curve.y, curve.errors, strict=False)
        if error > 0
    ]
    return [bar for bar in bars if all(map(math.isfinite, bar))]


def _stepped(track: Track) -> Track:
    """Returns a track that keeps each height until the next point."""
    corners = [
        before and after and (after[0], before[1]) for before, after in pairwise([*track, None])
    ]
    return [point for pair in zip(track, corners, strict=True) for point in pair][:-1]


def _thin(track: Sequence[Point | None], width: int) -> Track:
    """Returns a track with at most some four points for each column of the width.

    It keeps both ends, and the lowest and highest point of each of 2 × width stretches between.
    """
    stretches = 2 * width
    count = len(track)
    if count <= 2 * stretches:
        return list(track)
    cuts = [1 + at * (count - 2) // stretches for at in range(stretches + 1)]
    parts = (track[start:stop] for start, stop in pairwise(cuts))
    return [track[0], *(point for part in parts for point in _extremes(part)), track[-1]]


def _extremes(part: Sequence[Point | None]) -> Track:
    """Returns the lowest and the highest point in their order, or a break where there is none."""
    points = [(at, point) for at, point in enumerate(part) if point is not None]
    if not points:
        return [None]
    low = min(points, key=lambda item: item[1][1])
    high = max(points, key=lambda item: item[1][1])
    return [point for _, point in sorted({low, high})]


def sparse(track: Track, width: int, height: int) -> Track:
    """Returns one of the points that share a cell of the screen, thinned where they are many."""
    cells = {(round(p[0] * width), round(p[1] * height)): p for p in track if p is not None}
    return _thin(sorted(cells.values()), width)


def runs_of(track: Track) -> Iterator[list[Point]]:
    """Yields the stretches between breaks."""
    run: list[Point] = []
    for point in [*track, None]:
        if point is not None:
            run.append(point)
        elif run:
            yield run
            run = []
