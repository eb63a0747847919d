"""Bounds of sums of losses, held against exact fractions and longer floats."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.path.certificate.bernstein import highest
from engine.path.certificate.chord import Chord
from engine.path.certificate.losses import (
    Bound,
    _log_sum,
    _softmax,
    absolute_error,
    cross_entropy,
    errors,
    squared_error,
    total,
    weighted,
)
from engine.path.certificate.network import differences
from tests.support.chords import SAMPLES, models, outside
from tests.support.long_double import LONG, long, losses

needs_long = pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")

seeds = st.integers(0, 2**31)


def constant(values: Tensor) -> Chord:
    """Returns the model of outputs (sample, out) that are the same all over a cell, exactly."""
    zero = torch.zeros_like(values)[None]
    return Chord(values[None], values[None], zero, zero, zero)


def drawn(seed: int, *size: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=rng, dtype=torch.float64)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, count=st.integers(1, 60), outputs=st.integers(1, 3))
def test_sums_of_squares_and_of_distances_are_not_rounded_down(
    seed: int, count: int, outputs: int
) -> None:
    values, y = drawn(seed, count, outputs), drawn(seed + 1, count, outputs)
    apart = [
        Fraction(a) - Fraction(b)
        for a, b in zip(values.flatten().tolist(), y.flatten().tolist(), strict=True)
    ]
    squares = sum(a * a for a in apart)
    distances = sum(abs(a) for a in apart)
    for bound, truth in ((squared_error, squares), (absolute_error, distances)):
        found = bound(constant(values), y).coefficients[0].tolist()
        assert all(truth <= Fraction(each) <= truth * (1 + Fraction(1, 10**9)) for each in found)


@needs_long
@settings(max_examples=200, deadline=None)
@given(seed=seeds, count=st.integers(1, 60), classes=st.integers(2, 12))
def test_sums_of_cross_entropies_are_not_rounded_down(seed: int, count: int, classes: int) -> None:
    scores, labels = 3 * drawn(seed, count, classes), torch.arange(count) % classes
    own = scores.gather(1, labels[:, None])
    margins = scores - own
    truth = losses("cross_entropy", long(margins), labels.numpy()).sum()
    found = cross_entropy(constant(margins), labels).coefficients[0]
    assert (long(found) >= truth * (1 - 1e-18)).all()
    assert (long(found) <= truth + 1e-11 * (count + truth)).all()


@needs_long
def test_cross_entropies_are_added_upwards_in_whatever_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after the other, where each addition to a large sum loses a little."""

    def one_by_one(part: Tensor, axis: int, keepdim: bool = False) -> Tensor:
        last = part.cumsum(axis).narrow(axis, part.shape[axis] - 1, 1)
        return last if keepdim else last.squeeze(axis)

    count, each = 2**15, 1 + 2.0**-41
    margins = torch.zeros(count, 2, dtype=torch.float64)
    margins[:, 1] = float(np.log(np.expm1(each)))
    truth = losses("cross_entropy", long(margins), np.zeros(count, int)).sum()
    monkeypatch.setattr(Tensor, "sum", one_by_one)
    found = cross_entropy(constant(margins), torch.zeros(count, dtype=torch.long)).coefficients[0]
    assert float(_log_sum(margins).cumsum(0)[-1]) < truth  # else nothing is lost here
    assert (long(found) >= truth).all()


@needs_long
@settings(max_examples=200, deadline=None)
@given(seed=seeds, classes=st.integers(2, 12), size=st.floats(-2, 2))
def test_a_softmax_of_scores_without_a_range_is_enclosed(
    seed: int, classes: int, size: float
) -> None:
    scores = 10**size * drawn(seed, 40, classes)
    low, high = _softmax(scores, scores)
    exact = np.exp(long(scores) - long(scores).max(1, keepdims=True))
    exact /= exact.sum(1, keepdims=True)
    assert (long(low) <= exact).all() and (exact <= long(high)).all()
    assert float((high - low).max()) < 1e-12


def test_a_share_is_not_made_large_by_sums_that_cancel() -> None:
    """The least share of a score from very small to 0 is small where another may be larger."""
    least = torch.tensor([[-46.0, -41.5]], dtype=torch.float64)
    most = torch.tensor([[0.0, -41.4]], dtype=torch.float64)
    low, high = _softmax(least, most)
    assert float(low[0, 0]) <= 1 / (1 + np.exp(46.0 - 41.4))
    assert float(high[0, 0]) >= 1 / (1 + np.exp(-41.5))
    assert float(high[0, 1]) >= 1 / (1 + np.exp(41.4 - 46.0))


def test_shares_of_faint_scores_are_not_known() -> None:
    least = torch.tensor([[-3000.0, -3000.0, -3000.0]], dtype=torch.float64)
    most = torch.tensor([[0.0, -900.0, -2000.0]], dtype=torch.float64)
    low, high = _softmax(least, most)
    assert high[0, 0] >= 1 and (high[0] >= 1 - 1e-12).sum() == 3 and not low[0].any()


@needs_long
@settings(max_examples=200, deadline=None)
@given(seed=seeds, classes=st.integers(1, 12), size=st.floats(-2, 2.5))
def test_log_sums_are_not_rounded_down(seed: int, classes: int, size: float) -> None:
    scores = 10**size * drawn(seed, 40, classes)
    top = long(scores).max(1)
    exact = np.log(np.exp(long(scores) - top[:, None]).sum(1)) + top
    assert (long(_log_sum(scores)) >= exact).all()


@settings(max_examples=200, deadline=None)
@given(seed=seeds, parts=st.integers(1, 30))
def test_parts_of_the_data_are_added_upwards(seed: int, parts: int) -> None:
    each = [Bound(drawn(seed + n, 1, 5), torch.zeros(1, 2)) for n in range(parts)]
    found = total(each).coefficients[0].tolist()
    for place, sum_of in enumerate(found):
        assert Fraction(sum_of) >= sum(
            Fraction(float(part.coefficients[0, place])) for part in each
        )


@settings(max_examples=300, deadline=None)
@given(seed=seeds)
def test_a_constant_is_not_rounded_down(seed: int) -> None:
    values = drawn(seed, 50)
    assert (highest(values[:, None].expand(-1, 5)) >= values[:, None]).all()


@settings(max_examples=300, deadline=None)
@given(seed=seeds)
def test_a_polynomial_is_enclosed_closely(seed: int) -> None:
    coefficients = drawn(seed, 1, 5)
    s = [Fraction(n, 64) for n in range(65)]
    pieces = [Fraction(top) for top in highest(coefficients)[0].tolist()]
    row = [Fraction(value) for value in coefficients[0].tolist()]
    values = []
    for at in s:
        cut = row
        while len(cut) > 1:
            cut = [(1 - at) * a + at * b for a, b in pairwise(cut)]
        values.append(cut[0])
    assert len(pieces) == 32
    for number, top in enumerate(pieces):  # of which each has two steps of s
        highest_value = max(values[2 * number : 2 * number + 3])
        assert highest_value <= top <= highest_value + Fraction(1, 20)
    assert max(pieces) <= max(values) + Fraction(1, 50)


@settings(max_examples=300, deadline=None)
@given(seed=seeds, exponent=st.integers(40, 52))
def test_a_flat_hill_is_not_rounded_down(seed: int, exponent: int) -> None:
    """So flat that its coefficients on 32 pieces lie above it by less than a rounding."""
    top = drawn(seed, 1, 1).abs() + 1
    hill = torch.tensor([[0.0, 0.25, 1 / 3, 0.25, 0.0]], dtype=torch.float64)
    coefficients = top + hill * 2.0**-exponent
    found = Fraction(float(highest(coefficients)[0].max()))
    row = [Fraction(value) for value in coefficients[0].tolist()]
    middle = (row[0] + 4 * row[1] + 6 * row[2] + 4 * row[3] + row[4]) / 16
    assert middle <= found


def test_polynomials_that_are_not_finite_have_no_bound() -> None:
    coefficients = torch.zeros(3, 5, dtype=torch.float64)
    coefficients[0, 2], coefficients[1, 4] = torch.nan, torch.inf
    found = highest(coefficients).amax(1)
    assert found[:2].isnan().all() and found[2] == 0


# ---------------------------------------------------------------- error rates


@settings(max_examples=500, deadline=None)
@given(
    chord=st.floats(-4, -1e-3),
    high=st.floats(0, 5) | st.floats(0, 1e-15),
    steps=st.integers(-3, 3),
)
def test_a_margin_computed_below_zero_is_below_zero(chord: float, high: float, steps: int) -> None:
    """The bow nearly cancels the rest, a few of the smallest steps away."""
    bow = -(chord + high)
    for _ in range(abs(steps)):
        bow = float(np.nextafter(bow, np.sign(steps) * np.inf))
    if bow < 0:
        return
    margin = torch.tensor([[[0.0, chord]]], dtype=torch.float64)
    parts = [torch.tensor([[[0.0, value]]], dtype=torch.float64) for value in (4 * bow, 0.0, high)]
    found = errors(Chord(margin, margin, *parts), torch.zeros(1, dtype=torch.long))
    if Fraction(chord) + Fraction(high) + Fraction(bow) >= 0:
        assert found.coefficients[0, 0] == 1


def test_samples_count_as_wrong_where_a_margin_may_reach_zero() -> None:
    start = torch.tensor([[0.0, -1.0], [0.0, -1.0], [0.0, -1e-3], [0.0, 0.0]]).double()[None]
    end = torch.tensor([[0.0, -2.0], [0.0, 1.0], [0.0, -1e-3], [0.0, 0.0]]).double()[None]
    zero = torch.zeros_like(start)
    high = zero.clone()
    high[0, 2, 1] = 2e-3
    found = errors(Chord(start, end, zero, zero, high), torch.zeros(4, dtype=torch.long))
    assert found.counted and found.coefficients[0].tolist() == [3.0] * 5
    assert found.ends[0].tolist() == [0.0, 1.0]  # ties and what may be rounding are not certain


def test_a_margin_that_touches_zero_by_rounding_counts() -> None:
    """−1 + (1 − 2⁻⁵³), the true margin's highest value, is below 0 by less than a rounding."""
    start = torch.tensor([[[0.0, -1.0]]]).double()
    zero = torch.zeros_like(start)
    high = torch.tensor([[[0.0, 1 - 2.0**-53]]]).double()
    found = errors(Chord(start, start, zero, zero, high), torch.zeros(1, dtype=torch.long))
    assert found.coefficients[0, 0] == 1


def test_margins_that_are_not_numbers_count_as_errors() -> None:
    start = torch.tensor([[[0.0, torch.nan]]]).double()
    zero = torch.zeros_like(start)
    found = errors(Chord(start, start, zero, zero, zero), torch.zeros(1, dtype=torch.long))
    assert found.coefficients[0, 0] == 1


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_differences_of_outputs_are_enclosed(seed: int) -> None:
    """Outputs that are no linear step: the difference of two floats is rounded, and it is told."""
    outputs, labels = drawn(seed, 30, 4), torch.arange(30) % 4
    found = differences(constant(outputs), labels)
    start, _, _, low, high = found.parts
    for sample in range(30):
        for k in range(4):
            truth = Fraction(float(outputs[sample, k])) - Fraction(
                float(outputs[sample, labels[sample]])
            )
            rest = truth - Fraction(float(start[0, sample, k]))
            assert Fraction(float(low[0, sample, k])) <= rest
            assert rest <= Fraction(float(high[0, sample, k]))


@needs_long
@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_differences_of_outputs_that_deviate_are_enclosed(seed: int) -> None:
    """Each output lies at either edge of its model, for itself."""
    outputs, labels = models(seed, 4, size=2.0, rest=0.5), torch.arange(SAMPLES) % 4
    found = differences(outputs, labels)
    start, end, bow, low, high = (long(part[0]) for part in outputs.parts)
    rng = np.random.default_rng(seed)
    for s in np.linspace(0, 1, 5, dtype=np.longdouble):
        curve = (1 - s) * start + s * end + s * (1 - s) * bow
        for _ in range(4):
            values = curve + np.where(rng.random(low.shape) < 0.5, low, high)
            of_label = np.take_along_axis(values, labels.numpy()[:, None], axis=1)
            assert outside(found, np.full_like(start, s), values - of_label) <= 0


# ---------------------------------------------------------------- samples that count differently


def means(weights: list[float], sums: list[float]) -> tuple[Fraction, Fraction]:
    """Returns a weighted mean of sums over 7 samples each, by the code and exactly."""
    parts = [
        weighted(
            Bound(torch.full((1, 5), value, dtype=torch.float64), torch.zeros(1, 2).double()),
            weight,
        )
        for weight, value in zip(weights, sums, strict=True)
    ]
    mass = float(sum(7 * weight for weight in weights))
    exact = [Fraction(w) * Fraction(value) for w, value in zip(weights, sums, strict=True)]
    found = Fraction(float(total(parts).coefficients[0, 3])) / Fraction(mass)
    return found, sum(exact, Fraction()) / sum(7 * Fraction(w) for w in weights)


positive = st.floats(1e-3, 1e3)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=12))
def test_a_weighted_mean_is_at_least_the_exact_one(pairs: list[tuple[float, float]]) -> None:
    found, exact = means([w for w, _ in pairs], [value for _, value in pairs])
    assert exact <= found <= exact * (1 + Fraction(1, 10**13))


def test_without_its_margin_a_weighted_mean_would_be_too_low(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.path.certificate.losses.EPSILON", 0.0)
    draws = np.random.default_rng(5).uniform(0.001, 9, (50, 2, 3))
    pairs = [means(weights.tolist(), sums.tolist()) for weights, sums in draws]
    assert any(found < exact for found, exact in pairs)


def test_samples_that_count_once_are_left_alone() -> None:
    bound = Bound(torch.rand(2, 5).double(), torch.rand(2, 2).double())
    assert weighted(bound, 1.0) is bound
