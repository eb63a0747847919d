"""Each step on models drawn at random: whatever lies in its input's model gives what lies in its
output's model, and the rounding of the step itself is allowed for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.networks.steps import Convolution
from engine.path.certificate.chord import Chord
from engine.path.certificate.convolution import convolution
from engine.path.certificate.dense import dense, margins
from engine.path.certificate.piecewise_linear import added, relu
from engine.path.certificate.pooling import average_pool, max_pool
from engine.path.certificate.sigmoid import sigmoid, tanh
from tests.support import long_double
from tests.support.chords import SAMPLES, members, models, moving, outside, straight
from tests.support.long_double import LONG, Long

pytestmark = pytest.mark.skipif(not LONG, reason="long doubles are no longer than doubles here")

sizes = st.floats(-3, 3).map(lambda exponent: 10.0**exponent)
rests = st.sampled_from([0.0, 1e-15, 1e-9, 1e-3, 0.1])
seeds = st.integers(0, 2**31)


@pytest.mark.parametrize(
    ("step", "truth"),
    [
        (relu, lambda x: np.maximum(x, 0)),
        (sigmoid, long_double.sigmoid),
        (tanh, np.tanh),
    ],
)
@settings(max_examples=60, deadline=None)
@given(seed=seeds, size=sizes, rest=rests)
def test_activations(
    step: Callable[[Chord], Chord],
    truth: Callable[[Long], Long],
    seed: int,
    size: float,
    rest: float,
) -> None:
    x = models(seed, 5, size=size, rest=rest * size)
    found = step(x)
    for s, value in members(x, seed):
        assert outside(found, s, truth(value)) <= 0


@settings(max_examples=60, deadline=None)
@given(seed=seeds, size=sizes, rest=rests)
def test_sums(seed: int, size: float, rest: float) -> None:
    x = models(seed, 5, size=size, rest=rest * size)
    y = models(seed + 1, 5, size=1.0, rest=rest)
    found = added(x, y)
    for (s, one), (same, other) in zip(members(x, seed), members(y, seed), strict=True):
        if np.ptp(s) == 0 and (s == same).all():  # places of the zeros differ
            assert outside(found, s, one + other) <= 0


@pytest.mark.parametrize("by", ["max", "average"])
@settings(max_examples=60, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, alike=st.booleans())
def test_pooling(by: str, seed: int, size: float, rest: float, alike: bool) -> None:
    x = models(seed, 2, 3, 5, size=size, rest=rest * size)
    if alike:  # entries that are nearly the same compete all along the cell
        x = Chord(x.start.round(decimals=1), x.end.round(decimals=1), *x.parts[2:])
    found = (max_pool if by == "max" else average_pool)(x, (2, 2))
    for s, value in members(x, seed):
        if np.ptp(s):
            continue  # entries of a rectangle need the same place
        cut = value[:, :, :2, :4].reshape(SAMPLES, 2, 1, 2, 2, 2)
        truth = cut.max((3, 5)) if by == "max" else cut.mean((3, 5))
        assert outside(found, s.flat[0], truth) <= 0


@settings(max_examples=60, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, input_size=st.sampled_from([1.0, 1e-9]))
def test_dense_layers(seed: int, size: float, rest: float, input_size: float) -> None:
    """Of faint inputs that have no remainders, only the bias has errors that count."""
    x = models(seed, 6, size=input_size, rest=rest)
    x = x if input_size == 1 else straight(x)
    weights, true = moving(seed, 4, 6, size=size)
    found = dense(x, weights)
    for s, value in members(x, seed):
        if np.ptp(s):
            continue
        weight, bias = true(s.flat[0])
        truth = (value[:, None, :] * weight).sum(-1) + bias
        assert outside(found, s.flat[0], truth) <= 0


@settings(max_examples=60, deadline=None)
@given(seed=seeds, size=sizes, rest=rests)
def test_margins_of_classes(seed: int, size: float, rest: float) -> None:
    x = models(seed, 6, size=1.0, rest=rest)
    weights, true = moving(seed, 4, 6, size=size)
    labels = torch.arange(SAMPLES) % 4
    found = margins(x, weights, labels)
    for s, value in members(x, seed):
        if np.ptp(s):
            continue
        weight, bias = true(s.flat[0])
        outputs = (value[:, None, :] * weight).sum(-1) + bias
        truth = outputs - outputs[np.arange(SAMPLES), labels.numpy()][:, None]
        assert outside(found, s.flat[0], truth) <= 0


@settings(max_examples=20, deadline=None)
@given(seed=seeds, size=sizes, rest=rests, stride=st.integers(1, 2))
def test_convolutions(seed: int, size: float, rest: float, stride: int) -> None:
    x = models(seed, 2, 4, 4, size=1.0, rest=rest)
    weights, true = moving(seed, 3, 2, 3, 3, size=size)
    step = Convolution("w", "b", (stride, stride), (1, 1), (1, 1), 1)
    found = convolution(x, weights, step)
    for s, value in members(x, seed)[:9]:
        weight, bias = true(s.flat[0])
        truth = long_double._convolved(value, step, {"w": weight, "b": bias})
        assert outside(found, s.flat[0], truth) <= 0


def test_data_lose_nothing_but_rounding_in_the_first_layer() -> None:
    weights, _ = moving(3, 4, 6, size=1.0)
    x = torch.randn(1, SAMPLES, 6, dtype=torch.float64)
    found = dense(Chord(x, x, None, None, None), weights)
    _, _, bow, low, high = found.parts
    assert not bow.any() and float((high - low).max()) < 1e-11
