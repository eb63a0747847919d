"""The points of curves: steps, breaks, and what is left of very many."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from dss_tui.tui.plot import Curve
from dss_tui.tui.tracks import bars_of, runs_of, sparse, track_of


@pytest.mark.parametrize("count", [4, 3000])
def test_steps_keep_each_height_until_the_next_point(count: int) -> None:
    """Also where there are so many points that the line is thinned."""
    x = tuple(float(at) for at in range(count))
    curve = Curve((*x, 2.0 * count), (*(0.0 for _ in x), 1.0), "", "train", steps=True)
    track = track_of(curve, 60)
    corners = [point for point in track if point is not None]
    assert corners[-2:] == [(2.0 * count, 0.0), (2.0 * count, 1.0)]
    for (left, low), (right, high) in pairwise(corners):
        assert left == right or low == high


def test_a_stepped_line_keeps_its_breaks() -> None:
    curve = Curve((0.0, 1.0, 2.0, 3.0), (5.0, math.nan, 6.0, 7.0), "", "train", steps=True)
    track = track_of(curve, 60)
    assert [point for point in track if point] == [(0, 5), (2, 6), (3, 6), (3, 7)]
    assert None in track[1:2]


def test_many_points_keep_their_ends_and_extremes() -> None:
    count = 5000
    y = [0.0] * count
    y[0], y[1234], y[3456], y[-1] = 0.5, 2.0, -3.0, 0.25
    track = track_of(Curve(tuple(map(float, range(count))), tuple(y), "", "train"), 40)
    assert len(track) <= 4 * 40 + 2
    assert track[0] == (0.0, 0.5) and track[-1] == (4999.0, 0.25)
    assert {(1234.0, 2.0), (3456.0, -3.0)} <= set(track)


def test_dots_that_share_a_cell_are_one_dot() -> None:
    track = [(0.001 * at, 0.5) for at in range(1000)]
    found = sparse([*track, None], 10, 10)
    assert {round(10 * point[0]) for point in found if point} == set(range(11))
    assert len(found) == 11


def test_runs_are_the_stretches_between_breaks() -> None:
    a, b, c = (0.0, 1.0), (1.0, 2.0), (2.0, 4.0)
    assert list(runs_of([None, a, b, None, None, c])) == [[a, b], [c]]


def test_bars_of_what_is_not_finite_are_left_out() -> None:
    errors = (0.5, math.inf, 0.0, math.nan)
    dots = Curve((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0), "", "points", False, errors=errors)
    assert bars_of(dots) == [(1.0, 4.5, 5.5)]
