"""The evaluator of a comparison, on profiles whose numbers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine.path.segments import Measured
from engine.run.compare.evaluator import over_arc, profiles
from presets import load_preset

T = np.linspace(0.0, 1.0, 5)


def test_the_mean_and_the_barrier_are_taken_over_arc_length() -> None:
    """From 0.2 to 1 over three quarters of the path, and down to 0.4 over the last one."""
    up = Measured(T, 0.2 + 0.8 * T, 1.0, 1.0)
    down = Measured(T, 1.0 - 0.6 * T, 1.0, 0.0)
    barrier, mean = over_arc([up, down], np.array([3.0, 1.0]))
    assert mean == pytest.approx((3 * 0.6 + 0.7) / 4)
    assert barrier == pytest.approx(1.0 - (0.2 + 0.75 * 0.2))


def test_a_peak_between_the_points_counts() -> None:
    flat = Measured(T, np.full(5, 0.3), 0.7, 0.375)
    assert over_arc([flat], np.array([2.0])) == pytest.approx((0.4, 0.3))


def test_a_path_below_its_ends_has_no_barrier() -> None:
    valley = Measured(T, (T - 0.5) ** 2, 0.25, 0.0)
    assert over_arc([valley], np.array([1.0]))[0] == 0.0


def test_numbers_are_the_same_on_any_number_of_cores() -> None:
    """Products of matrices are rounded otherwise where more of them are computed in one call."""
    with engine.search(load_preset("quadratic", ["problem.data.points=4096"], seed=1)) as search:
        search.run()
        file = search.string()
    (one, _), (two, _), (many, _) = (profiles(file, 9, cores) for cores in (1, 2, 7))
    assert len(one) > 3
    for each in (two, many):
        assert [found.peak for found in each] == [found.peak for found in one]
        assert [found.losses.tolist() for found in each] == [found.losses.tolist() for found in one]
