"""Samples of a polynomial."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.arrays import polynomial


def cubic(x: NDArray[Any]) -> NDArray[np.float64]:
    wide = x.astype(np.float64)
    return np.asarray(0.7 - 1.3 * wide + 0.4 * wide**2 + 2.1 * wide**3)


def test_a_grid_is_even_and_the_held_out_points_lie_halfway() -> None:
    data = polynomial(points=37)
    steps = np.arange(37)[:, None] / 36
    np.testing.assert_allclose(data.x, steps, rtol=1e-6)
    np.testing.assert_allclose(data.x_held_out, steps[:-1] + 1 / 72, rtol=1e-6)
    assert (data.x[0, 0], data.x[-1, 0]) == (0.0, 1.0)


def test_random_points_are_drawn_from_the_interval() -> None:
    data = polynomial(points=4000, sampling="random", seed=5)
    for x in (data.x, data.x_held_out):
        assert x.shape == (4000, 1)
        assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1
        # Uniform: mean 1/2 and variance 1/12, within five standard errors.
        assert abs(x.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / 4000)
        assert abs(x.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / 4000)


@pytest.mark.parametrize("sampling", ["grid", "random"])
def test_values_are_the_polynomials(sampling: str) -> None:
    data = polynomial(points=53, sampling=sampling, seed=5)
    np.testing.assert_allclose(data.y, cubic(data.x), atol=1e-6)
    np.testing.assert_allclose(data.y_held_out, cubic(data.x_held_out), atol=1e-6)
    assert (data.features, data.outputs, data.classes) == (1, 1, None)
    assert {a.dtype for a in (data.x, data.y, data.x_held_out, data.y_held_out)} == {
        np.dtype(np.float32)
    }


def test_random_points_follow_their_seed() -> None:
    one, same, other = (polynomial(points=29, sampling="random", seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.x, same.x)
    np.testing.assert_array_equal(one.x_held_out, same.x_held_out)
    assert not np.isin(one.x, other.x).any()
    assert not np.isin(one.x, one.x_held_out).any()
