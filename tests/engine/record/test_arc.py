"""Places along a string, against hand-made strings and a fine walk along them."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from engine.record.arc import even_grid, highest, locate, loss_along, loss_at, places

LENGTHS = (1.5, 0.5, 2.0)
TENT = ((0.0, 0.2), (0.25, 0.9), (1.0, 0.3))


def test_an_even_grid_is_numpys_to_the_bit() -> None:
    for points in (0, 1, 2, 3, 17, 33, 50, 1001):
        assert even_grid(points) == tuple(np.linspace(0.0, 1.0, points).tolist())


def test_beads_stand_at_their_shares_of_the_length() -> None:
    assert places(LENGTHS) == (0.0, 0.375, 0.5, 1.0)


@pytest.mark.parametrize("bad", [(1.0, math.nan), (1.0, math.inf), (0.0, 0.0), (2.0, -1.0)])
def test_without_lengths_there_are_no_places(bad: tuple[float, ...]) -> None:
    assert places(bad) is None


def test_the_loss_along_a_string_is_laid_end_to_end() -> None:
    along = loss_along([4.0, 10.0], [[0.3, 0.5, 0.2], [0.2, 0.9, 0.4]])
    assert along == [[(0, 0.3), (2, 0.5), (4, 0.2)], [(4, 0.2), (9, 0.9), (14, 0.4)]]


def test_a_place_is_found_on_its_segment() -> None:
    beads = places(LENGTHS)
    assert beads is not None
    assert locate(beads, 0.4375) == (1, 0.5)
    assert locate(beads, 0.0) == (0, 0.0)
    assert locate(beads, 1.0) == (2, 1.0)
    assert locate((0.0, 0.5, 0.5, 1.0), 0.5) == (2, 0.0)


def test_the_loss_between_known_ones_is_on_their_line() -> None:
    assert loss_at(TENT, 0.125) == pytest.approx(0.55)
    assert loss_at(TENT, 0.625) == pytest.approx(0.6)
    assert math.isnan(loss_at((), 0.5))


def test_a_column_holds_the_highest_loss_of_a_fine_walk() -> None:
    draw = random.Random(3)
    heights = [draw.uniform(0.1, 1.0) for _ in range(25)]
    tracks = [tuple((t / 8, heights[8 * k + t]) for t in range(9)) for k in range(3)]
    beads = places(LENGTHS)
    assert beads is not None
    for columns in (3, 7, 40, 200):
        found = highest(beads, tracks, columns)
        walked = [-math.inf] * columns
        for step in range(40001):
            share = step / 40000
            segment, t = locate(beads, share)
            at = min(int(share * columns), columns - 1)
            walked[at] = max(walked[at], loss_at(tracks[segment], t))
        assert found == pytest.approx(walked, abs=2e-2)
        assert all(a >= b - 1e-9 for a, b in zip(found, walked, strict=True))


def test_a_spike_narrower_than_a_column_is_seen() -> None:
    spike = ((0.0, 0.1), (0.4999, 0.1), (0.5, 7.0), (0.5001, 0.1), (1.0, 0.1))
    assert max(highest((0.0, 1.0), [spike], 12)) == 7.0


def test_a_gap_stays_a_gap() -> None:
    track = ((0.0, 0.1), (0.2, 0.1), (0.4, math.nan), (0.8, math.nan), (0.9, 0.3), (1.0, 0.3))
    found = highest((0.0, 1.0), [track], 10)
    assert [math.isnan(value) for value in found] == [False] * 3 + [True] * 5 + [False] * 2
    assert all(map(math.isnan, highest((0.0, 1.0), [()], 4)))
