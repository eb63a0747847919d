"""The exponential of proofs against the platform's in long doubles."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

import numba

from engine.path.certificate.chord import EPSILON
from engine.path.certificate.falling import LEAST, falling
from tests.support.long_double import LONG

GENERATOR = np.random.default_rng(7)
#: Numbers of all sizes, and those around the multiples of ln 2 / 2, where the power of two changes.
NUMBERS = np.concatenate(
    [
        -(10.0 ** GENERATOR.uniform(-20, 2.8, 200_000)),
        -GENERATOR.uniform(0, -LEAST, 200_000),
        -np.arange(2020)[:, None] * np.log(2) / 2 + 1e-12 * np.arange(-50, 51),
    ],
    axis=None,
)
NUMBERS = NUMBERS[(NUMBERS <= 0) & (NUMBERS >= LEAST)]


@numba.njit
def of_each(x):  # type: ignore[no-untyped-def]
    """Returns the exponential of each number, in a loop that takes several at once."""
    made = np.empty_like(x)
    for i in range(len(x)):
        made[i] = falling(x[i])
    return made


@pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")
def test_it_is_right_to_four_roundings() -> None:
    exact = np.exp(NUMBERS.astype(np.longdouble))
    errors = np.abs(of_each(NUMBERS) - exact) / exact
    assert len(NUMBERS) > 500_000
    assert 0 < errors.max() <= 4 * EPSILON


def test_below_the_least_it_stays_and_beyond_numbers_it_is_none() -> None:
    given = np.array([LEAST, -1e4, -np.inf, np.nan, 0.0, -0.0])
    least = of_each(given)[0]
    assert 0 < least < 1e-300
    np.testing.assert_array_equal(of_each(given), [least, least, least, np.nan, 1.0, 1.0])
