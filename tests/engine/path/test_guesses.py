"""Profiles of segments that were cut or joined, until they are measured."""

from __future__ import annotations

import numpy as np
import pytest

from engine.path.guesses import halves, joined
from engine.path.segments import Floats, Measured

GRID = np.linspace(0, 1, 9)


def profile(losses: Floats) -> Measured:
    return Measured(GRID, losses, float(losses.max()), float(GRID[losses.argmax()]))


@pytest.mark.parametrize(("peak", "cut"), [(0.375, 0.375), (0.0, 0.05), (1.0, 0.95)])
def test_a_segment_is_cut_at_its_peak_but_not_at_its_ends(peak: float, cut: float) -> None:
    whole = profile(1 - (GRID - peak) ** 2)
    left, right = halves(whole, GRID)
    for half, at in ((left, cut * GRID), (right, cut + (1 - cut) * GRID)):
        np.testing.assert_allclose(half.losses, np.interp(at, GRID, whole.losses))
        assert half.peak == half.losses.max()
        assert half.losses[half.t_star == GRID] == half.peak


def test_segments_are_joined_with_equal_shares_of_t() -> None:
    left, right = profile(2 + GRID), profile(3 - 2 * GRID)
    both = joined([left, right], GRID)
    expected = np.where(GRID <= 0.5, 2 + 2 * GRID, 3 - 2 * (2 * GRID - 1))
    np.testing.assert_allclose(both.losses, expected)
    assert (both.peak, both.t_star) == (3.0, 0.5)
