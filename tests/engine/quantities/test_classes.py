"""The accuracy of each class, held against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.quantities import quantity
from tests.support.paths import (
    LSTM,
    MLP,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    put_out,
    values,
)
from tests.support.small_problem import small_problem


@pytest.mark.parametrize(
    ("network", "loss"), [(MLP, "cross_entropy"), (MLP, "l1"), (LSTM, "cross_entropy")]
)
def test_accuracies_are_those_of_numpy(network: dict[str, Any], loss: str) -> None:
    problem = drawn_problem(network, loss)
    beads = drawn_beads(problem, scale=2.0)
    found = found_of("classes", problem, beads)
    for split in ("train", "held_out"):
        y = inputs(problem, split)[1].numpy()
        y = y.argmax(1) if loss == "l1" else y
        for label in range(problem.classes or 0):
            expected = [
                (put_out(problem, bead, split).argmax(1)[y == label] == label).mean()
                for bead in beads
            ]
            np.testing.assert_allclose(values(found, f"{split}_{label}"), expected)


def test_a_class_without_samples_has_no_accuracy() -> None:
    problem = drawn_problem(train=37, held_out=1)
    found = found_of("classes", problem, drawn_beads(problem))
    there = [np.isfinite(values(found, f"held_out_{label}")).all() for label in range(3)]
    assert sum(there) == 1


def test_a_regression_is_refused() -> None:
    assert quantity("classes").refusal(small_problem()) == "the network gives no scores of classes"
