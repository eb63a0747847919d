"""Power laws through points: exact ones, and intervals against another way to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import t

from engine.record.figures.fits import power_law

LEVELS = (0.001, 0.004, 0.02, 0.05, 0.3)


def test_an_exact_law_is_found_with_no_doubt() -> None:
    law = power_law(LEVELS, [2.5 * level**-0.4 for level in LEVELS])
    assert law is not None and law.points == 5
    assert (law.factor, law.exponent) == pytest.approx((2.5, -0.4), rel=1e-9)
    assert (law.exponent_low, law.exponent_high) == pytest.approx((-0.4, -0.4), rel=1e-6)
    assert (law.x[0], law.x[-1]) == pytest.approx((0.001, 0.3))
    for edge in (law.y, law.low, law.high):
        assert edge == pytest.approx([2.5 * x**-0.4 for x in law.x], rel=1e-6)


def test_intervals_are_those_of_least_squares_with_students_t() -> None:
    """By the covariance that scipy's general fit gives, and its propagation to the line."""
    noise = np.random.default_rng(7).normal(0, 0.1, len(LEVELS))
    values = 2.5 * np.array(LEVELS) ** -0.4 * np.exp(noise)
    law = power_law(LEVELS, values.tolist())
    assert law is not None
    (cut, slope), covariance = curve_fit(
        lambda x, cut, slope: cut + slope * x, np.log(LEVELS), np.log(values)
    )
    reach = t.ppf(0.975, len(LEVELS) - 2)
    error = reach * covariance[1, 1] ** 0.5
    assert law.exponent == pytest.approx(slope, rel=1e-6)
    assert (law.exponent_low, law.exponent_high) == pytest.approx(
        (slope - error, slope + error), rel=1e-6
    )
    along = np.stack([np.ones(len(law.x)), np.log(law.x)])
    half = reach * np.sqrt(np.einsum("ip,ij,jp->p", along, covariance, along))
    assert law.high == pytest.approx(np.exp(cut + slope * along[1] + half), rel=1e-6)
    assert law.low == pytest.approx(np.exp(cut + slope * along[1] - half), rel=1e-6)


def test_a_band_of_95_percent_holds_the_truth_as_often() -> None:
    """The exponent lies within its interval in 95 of 100 draws, up to chance."""
    draw = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        values = np.array(LEVELS) ** -0.5 * np.exp(draw.normal(0, 0.2, len(LEVELS)))
        law = power_law(LEVELS, values.tolist())
        assert law is not None
        hits += law.exponent_low <= -0.5 <= law.exponent_high
    assert 0.92 < hits / 400 < 0.98


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0.1, 2.0), (0.2, 3.0)],
        [(0.1, 2.0), (0.1, 2.5), (0.2, 3.0)],  # two levels
        [(0.1, 2.0), (0.2, 3.0), (0.3, float("nan")), (0.4, 0.0), (float("inf"), 2.0)],
    ],
)
def test_fewer_than_three_usable_levels_have_no_law(points: list[tuple[float, float]]) -> None:
    assert power_law([x for x, _ in points], [y for _, y in points]) is None


def test_a_law_is_told_in_words() -> None:
    law = power_law(LEVELS, [2.5 * level**-0.4 for level in LEVELS])
    assert law is not None
    assert law.words.startswith("2.5 × level^-0.4000 (95 % confidence -0.4000 to -0.4000;")


def test_values_that_do_not_change_have_no_law() -> None:
    assert power_law([0.6, 0.7, 0.8], [3.0, 3.0, 3.0]) is None
