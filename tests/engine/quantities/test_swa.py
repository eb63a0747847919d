"""The average of weights along a path, held against numpy and plain torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch.nn import functional

from tests.support.paths import (
    MLP,
    NORMALIZED,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    path_through,
    plain,
    row,
    values,
)


def judged(problem: Any, theta: Any) -> list[float]:
    """Loss and error rate on both splits, in plain torch."""
    told = []
    for split in ("train", "held_out"):
        x, y = inputs(problem, split)
        out = plain(problem, theta)(x).detach()
        wrong = (out.argmax(1) != y).double().mean()
        told += [float(functional.cross_entropy(out, y)), float(wrong)]
    return told


@pytest.mark.parametrize("network", [MLP, NORMALIZED], ids=["mlp", "batch norm"])
def test_the_average_is_over_the_length_of_the_path(network: dict[str, Any]) -> None:
    problem = drawn_problem(network)
    beads = drawn_beads(problem).astype(np.float64)
    lengths = np.linalg.norm(np.diff(beads, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(lengths)])
    everywhere = np.linspace(0, at[-1], 20_001)  # even steps of length
    mean = np.array([np.interp(everywhere, at, each).mean() for each in beads.T])
    centroid = path_through(problem, beads).centroid.numpy()
    np.testing.assert_allclose(centroid, mean, atol=1e-4 * abs(mean).max())
    found = found_of("swa", problem, beads)
    assert row(found.table, "average of weights") == pytest.approx(judged(problem, centroid))
    each = np.array([judged(problem, bead) for bead in beads])
    assert row(found.table, "first end") == pytest.approx(each[0])
    assert row(found.table, "last end") == pytest.approx(each[-1])
    assert row(found.table, "best bead") == pytest.approx(each.min(0))
    np.testing.assert_allclose(values(found, "held_out_loss"), each[:, 2])


def test_points_between_are_no_best_bead() -> None:
    """The middle between two models that mirror each other is the best of a linear network."""
    problem = drawn_problem({"kind": "linear", "sizes": [6, 3]}, loss="mse")
    bead = drawn_beads(problem, 1)[0]
    found = found_of("swa", problem, np.stack([30 * bead, -30 * bead]), between=1)
    first, middle, last = values(found, "train_loss")
    assert middle < min(first, last)
    assert row(found.table, "best bead")[0] == min(first, last)
    assert row(found.table, "average of weights")[0] == pytest.approx(middle)
