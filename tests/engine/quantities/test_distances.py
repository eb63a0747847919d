"""Distances of beads as functions, held against plain torch and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tests.support.paths import (
    LSTM,
    MLP,
    NORMALIZED,
    check_pieces,
    drawn_beads,
    drawn_problem,
    found_of,
    measurement,
    put_out,
    row,
    values,
)


@pytest.mark.parametrize("network", [MLP, NORMALIZED, LSTM], ids=["mlp", "batch norm", "tokens"])
def test_each_two_beads_are_as_far_apart_as_by_numpy(network: dict[str, Any]) -> None:
    problem = drawn_problem(network)
    beads = drawn_beads(problem, scale=2.0)
    on, found = measurement(problem, beads), found_of("distances", problem, beads)
    p = np.stack([softmax(put_out(problem, bead, "held_out"), 1) for bead in beads])
    for number, (place, mine) in enumerate(zip(on.path.at_beads, p, strict=True)):
        apart = abs(p - mine).sum(2).reshape(len(p), -1).mean(1) / 2
        differ = (p.argmax(2) != mine.argmax(1)).reshape(len(p), -1).mean(1)
        np.testing.assert_allclose(
            values(found, f"held_out_distance_{place.bead}"), apart, atol=1e-12
        )
        np.testing.assert_allclose(values(found, f"held_out_disagreement_{place.bead}"), differ)
        np.testing.assert_allclose(row(found.table, f"bead {place.bead}"), apart, atol=1e-12)
        assert apart[number] == differ[number] == 0 < apart.max()


def test_outputs_that_are_values_have_euclidean_distances() -> None:
    problem = drawn_problem(loss="mse")
    beads = drawn_beads(problem)
    found = found_of("distances", problem, beads)
    outputs = np.stack([put_out(problem, bead, "held_out") for bead in beads])
    apart = np.sqrt(((outputs - outputs[-1]) ** 2).sum(2).mean(1))
    assert found.table is not None
    np.testing.assert_allclose(found.table.rows[-1].values, apart, atol=1e-12)


def test_pieces_of_samples_and_points_between_change_nothing() -> None:
    problem = drawn_problem(NORMALIZED)
    check_pieces("distances", problem, drawn_beads(problem))
