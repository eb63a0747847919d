"""Linear CKA, held against the formula of Kornblith et al. in numpy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.quantities import quantity
from engine.quantities.cka import _drawn
from tests.support.paths import (
    NORMALIZED,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    measurement,
    plain,
    put_out,
    values,
)


def cka(x: NDArray[Any], y: NDArray[Any]) -> float:
    """‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) of representations (sample, value), less their means."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm
    return float(norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y)))


def test_every_layer_is_that_of_numpy() -> None:
    problem = drawn_problem()
    beads = drawn_beads(problem, 11)  # more than a worker compares at a time
    found = found_of("cka", problem, beads)
    x = inputs(problem, "train")[0]

    def hidden(bead: NDArray[Any]) -> list[NDArray[Any]]:
        network: Any = plain(problem, bead)
        first, second, last = network.layers
        one = torch.relu(first(x))
        two = torch.relu(second(one))
        return [each.detach().numpy() for each in (one, two, last(two))]

    layers = list(zip(*map(hidden, beads), strict=True))
    assert [each.key for each in found.series[:3]] == [
        *("first_into_layers.1", "first_into_layers.2", "first_output")
    ]
    for name, some in zip(("into_layers.1", "into_layers.2", "output"), layers, strict=True):
        with_first = [cka(each, some[0]) for each in some]
        np.testing.assert_allclose(values(found, f"first_{name}"), with_first)
        before = [np.nan, *(cka(a, b) for a, b in pairwise(some))]
        np.testing.assert_allclose(values(found, f"before_{name}"), before)


def test_batch_normalization_has_statistics_of_each_model() -> None:
    problem = drawn_problem(NORMALIZED)
    beads = drawn_beads(problem)
    found = found_of("cka", problem, beads)
    outputs = [put_out(problem, bead, "train") for bead in beads]
    expected = [cka(each, outputs[0]) for each in outputs]
    np.testing.assert_allclose(values(found, "first_output"), expected)
    assert len(found.series) > 2


def test_units_in_another_order_and_another_scale_are_alike() -> None:
    problem = drawn_problem()
    network: Any = problem.make_network()
    first, second, _ = network.layers
    theta = problem.weights_of(network).clone()
    with torch.no_grad():
        order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
        first.weight.copy_(2.5 * first.weight[order])
        first.bias.copy_(2.5 * first.bias[order])
        second.weight.copy_(second.weight[:, order] / 2.5)
    found = found_of("cka", problem, torch.stack([theta, problem.weights_of(network)]).numpy())
    assert [each.values[1] for each in found.series] == pytest.approx([1.0] * len(found.series))


def test_what_represents_all_samples_alike_has_no_likeness() -> None:
    """Dead units, as in public reports of NaN, are told as no number, and only where they are."""
    problem = drawn_problem()
    beads = drawn_beads(problem, 2)
    beads[1, : 6 * 7 + 7] = -9.0
    beads[1, : 6 * 7] = 0.0  # each unit of the first layer is ReLU(-9)
    found = found_of("cka", problem, beads)
    alike = values(found, "first_into_layers.1")
    assert alike[0] == pytest.approx(1) and np.isnan(alike[1])


def test_samples_are_drawn_by_the_seed() -> None:
    problem = drawn_problem(train=600)
    drawn = [_drawn(problem, 7, seed).tolist() for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] == sorted(drawn[0]) and drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 512
    assert len(_drawn(problem, 2**28, 5)) == 4  # of a layer so wide that memory holds no more
    beads = drawn_beads(problem, 2)
    kind = quantity("cka")
    five, six = (kind.measured(measurement(problem, beads, seed=seed)) for seed in (5, 6))
    again = kind.measured(measurement(problem, beads))
    assert repr(five) == repr(again) and repr(five) != repr(six)


def test_few_samples_are_refused() -> None:
    assert quantity("cka").refusal(drawn_problem(train=3)) == "it needs 4 training samples or more"
    wide = found_of("cka", drawn_problem(train=6), drawn_beads(drawn_problem()))
    assert wide.notes[1].startswith("1 of 3 representations have more values")
