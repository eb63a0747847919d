"""Ensembles of beads, held against plain torch and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from tests.support.paths import (
    LSTM,
    MLP,
    NORMALIZED,
    check_pieces,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    put_out,
    row,
    values,
)

SPLITS = ["train", "held_out"]


def loss_of(probabilities: NDArray[Any], y: NDArray[Any]) -> float:
    """The mean over all tokens of −log p_y; p is (sample, class, …)."""
    return float(-np.log(np.take_along_axis(probabilities, y[:, None], 1)).mean())


@pytest.mark.parametrize("network", [MLP, NORMALIZED, LSTM], ids=["mlp", "batch norm", "tokens"])
@pytest.mark.parametrize("split", SPLITS)
def test_the_mean_of_probabilities_is_that_of_plain_torch(
    network: dict[str, Any], split: str
) -> None:
    problem = drawn_problem(network)
    beads = drawn_beads(problem)
    found = found_of("ensemble", problem, beads)
    members = np.stack([softmax(put_out(problem, bead, split), 1) for bead in beads])
    y = inputs(problem, split)[1].numpy()
    columns = slice(0, 2) if split == "train" else slice(2, 4)
    for words, some in (
        ("all beads together", members),
        ("the two ends together", members[[0, -1]]),
    ):
        mean = some.mean(0)
        expected = loss_of(mean, y), (mean.argmax(1) == y).mean()
        np.testing.assert_allclose(row(found.table, words)[columns], expected, rtol=1e-10)
    losses = [loss_of(each, y) for each in members]
    right = [(each.argmax(1) == y).mean() for each in members]
    np.testing.assert_allclose(values(found, f"{split}_loss"), losses, rtol=1e-10)
    np.testing.assert_allclose(values(found, f"{split}_accuracy"), right, rtol=1e-10)
    assert row(found.table, "best bead")[columns] == pytest.approx([min(losses), max(right)])
    means = [np.mean(losses), np.mean(right)]
    assert row(found.table, "mean of the beads")[columns] == pytest.approx(means)


@pytest.mark.parametrize("network", [MLP, LSTM], ids=["mlp", "tokens"])
def test_disagreement_and_distance_are_those_of_numpy(network: dict[str, Any]) -> None:
    problem = drawn_problem(network)
    beads = drawn_beads(problem, scale=2.0)
    found = found_of("ensemble", problem, beads)
    p = np.stack([softmax(put_out(problem, bead, "held_out"), 1) for bead in beads])
    for key, others in (("first", p[[0] * len(p)]), ("before", np.roll(p, 1, 0))):
        differ = (p.argmax(2) != others.argmax(2)).reshape(len(p), -1).mean(1)
        apart = abs(p - others).sum(2).reshape(len(p), -1).mean(1) / 2
        assert ((differ > 0) & (differ < 1)).any()
        if key == "before":
            differ[0] = apart[0] = np.nan
        np.testing.assert_allclose(values(found, f"held_out_disagreement_{key}"), differ)
        np.testing.assert_allclose(values(found, f"held_out_distance_{key}"), apart, atol=1e-12)


def test_outputs_that_are_values_are_averaged_themselves() -> None:
    """Classes as rows under a squared error: the mean of outputs, and Euclidean distances."""
    problem = drawn_problem(loss="mse")
    beads = drawn_beads(problem)
    found = found_of("ensemble", problem, beads)
    outputs = np.stack([put_out(problem, bead, "train") for bead in beads])
    rows = inputs(problem, "train")[1].numpy()
    mean = outputs.mean(0)
    expected = ((mean - rows) ** 2).sum(1).mean(), (mean.argmax(1) == rows.argmax(1)).mean()
    assert row(found.table, "all beads together")[:2] == pytest.approx(expected)
    apart = np.sqrt(((outputs - outputs[0]) ** 2).sum(2).mean(1))
    np.testing.assert_allclose(values(found, "train_distance_first"), apart, atol=1e-12)


def test_weights_of_classes_count_in_the_loss_alone() -> None:
    loss = {"kind": "cross_entropy", "class_weights": [1.0, 0.25, 3.0]}
    problem = drawn_problem(loss=loss)
    beads = drawn_beads(problem)
    found = found_of("ensemble", problem, beads)
    y = inputs(problem, "train")[1].numpy()
    p = np.stack([softmax(put_out(problem, bead, "train"), 1) for bead in beads]).mean(0)
    weights = np.array([1.0, 0.25, 3.0])[y]
    expected = -(weights * np.log(p[np.arange(len(y)), y])).sum() / weights.sum()
    assert row(found.table, "all beads together")[0] == pytest.approx(expected)


def test_pieces_of_samples_and_points_between_change_nothing() -> None:
    problem = drawn_problem(NORMALIZED)
    whole, cut = check_pieces("ensemble", problem, drawn_beads(problem))
    assert whole.table is not None and cut.table is not None
    for here, there in zip(whole.table.rows, cut.table.rows, strict=True):
        assert there.values == pytest.approx(here.values)


def test_no_samples_held_out_is_no_column() -> None:
    problem = drawn_problem(held_out=0)
    found = found_of("ensemble", problem, drawn_beads(problem))
    assert found.table is not None
    assert found.table.heads == ("training loss", "training accuracy")
