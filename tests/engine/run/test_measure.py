"""Profiles between weight vectors, held against a network that is written out in numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import engine
from engine.run.measure import measure
from engine.spec.keys import Spec

SIZES = (1, 4, 4, 1)
PARAMETERS = sum(i * o + o for i, o in pairwise(SIZES))


def spec_for(**more: Any) -> Spec:
    return engine.load_preset("quadratic", {"problem.data.points": 64, **more})


def random_beads(count: int, seed: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.1, 0.7, (count, PARAMETERS))


def loss(theta: NDArray[np.float64]) -> float:
    """F_e of the preset's network, ReLU between its layers, on 64 points of its parabola."""
    x = np.arange(64) / 63
    at, out = 0, x[:, None]
    for layer, (into, outof) in enumerate(pairwise(SIZES)):
        weight = theta[at : at + into * outof].reshape(outof, into)
        at += into * outof
        out = (np.maximum(out, 0) if layer else out) @ weight.T + theta[at : at + outof]
        at += outof
    return float(((out[:, 0] - (0.1 + 0.25 * x + 0.5 * x**2)) ** 2).mean())


@pytest.mark.parametrize("shape", [np.asarray, np.ndarray.tolist])
def test_profiles_and_peaks_are_those_of_numpy(shape: Callable[[Any], Any]) -> None:
    beads = random_beads(4)
    found = measure(shape(beads), spec_for(), points=33)
    assert len(found) == 3
    for measured, left, right in zip(found, beads, beads[1:], strict=False):
        expected = [loss((1 - t) * left + t * right) for t in np.linspace(0, 1, 33)]
        np.testing.assert_array_equal(measured.t, np.linspace(0, 1, 33))
        np.testing.assert_allclose(measured.losses, expected, rtol=1e-5)
        dense = max(loss((1 - t) * left + t * right) for t in np.linspace(0, 1, 5001))
        assert measured.peak == pytest.approx(dense, rel=1e-4)
        there = loss((1 - measured.t_star) * left + measured.t_star * right)
        assert there == pytest.approx(measured.peak, rel=1e-5)


def test_a_string_says_itself_what_is_measured() -> None:
    """And on another preset's data where one is given."""
    search = engine.search(spec_for(**{"search.level": 0.05}))
    search.run()
    string = search.string()
    own = [measured.peak for measured in measure(string, points=33)]
    assert max(own) <= 0.05
    assert own == [measured.peak for measured in measure(string, spec_for(), points=33)]
    steeper = spec_for(**{"problem.data.coefficients": [0.1, 0.25, 3.5]})
    assert min(each.peak for each in measure(string, steeper, points=33)) > 0.05


def test_the_objective_is_what_the_preset_says() -> None:
    """An error rate of digits on held-out samples is a share of their number, 360."""
    on = {"metric": "error_rate", "split": "held_out"}
    spec = engine.load_preset("digits", {"search.level_on": on})
    network = 64 * 32 + 32 + 32 * 10 + 10
    (measured,) = measure(np.random.default_rng(3).normal(0, 0.2, (2, network)), spec, points=5)
    np.testing.assert_allclose(measured.losses * 360, np.round(measured.losses * 360), atol=1e-6)
    assert 0.5 < measured.peak <= 1


@pytest.mark.parametrize(
    ("path", "points", "words"),
    [
        (random_beads(3), 4, "points: is 4, but must be at least 5"),
        (random_beads(1), 9, rf"the weights have shape \(1, {PARAMETERS}\); give \(bead, "),
        (random_beads(3)[:, 1:], 9, rf"give \(bead, {PARAMETERS}\), two beads or more"),
        (random_beads(3) * np.inf, 9, "are not finite floating-point numbers"),
        (np.zeros((2, PARAMETERS), int), 9, "are not finite floating-point numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(path: Any, points: int, words: str) -> None:
    with pytest.raises(engine.InputError, match=words):
        measure(path, spec_for(), points)


def test_weights_alone_need_a_preset() -> None:
    with pytest.raises(engine.InputError, match=r"^spec: weights alone do not say"):
        measure(random_beads(2))


def test_functions_that_a_string_names_are_run_only_where_that_is_allowed() -> None:
    spec = engine.load_preset("custom-example", {"search.level": 0.6})
    search = engine.search(spec)
    assert search.run().outcome is engine.Outcome.CONNECTED
    with pytest.raises(engine.InputError, match=r"custom_example\.py:.* would be imported and run"):
        measure(search.string())
    peaks = [each.peak for each in measure(search.string(), points=9, run_factories=True)]
    assert peaks == [each.peak for each in measure(search.string(), spec, points=9)]
