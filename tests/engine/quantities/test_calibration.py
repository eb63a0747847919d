"""The calibration error, held against sums by hand and the cases of public reports."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from engine.quantities import quantity
from engine.quantities.calibration import BINS, expected_error, in_bins
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


def error_of(confidence: list[float], right: list[int]) -> float:
    return expected_error(in_bins(torch.tensor(confidence), torch.tensor(right)))


def test_the_error_is_that_of_a_sum_by_hand() -> None:
    """Two samples of the bin (0.6, 0.667], one of (0.8, 0.867], one of the last bin."""
    confidence, right = [0.61, 0.65, 0.85, 0.99], [1, 0, 1, 0]
    by_hand = (2 * abs(0.5 - 0.63) + abs(1 - 0.85) + abs(0 - 0.99)) / 4
    assert error_of(confidence, right) == pytest.approx(by_hand)


def test_a_confidence_of_one_is_in_the_last_bin() -> None:
    """torchmetrics 3510: with a bin of its own for 1.0 the error would be 0.525."""
    assert error_of([0.95, 1.0], [1, 0]) == pytest.approx(abs(0.5 - 0.975))


def test_confidences_of_zero_and_one_count() -> None:
    """torchmetrics 1646 and 1744: four of 1 with half of them right, and one of 0."""
    assert error_of([1.0, 1.0, 1.0, 1.0, 0.0], [0, 0, 1, 1, 1]) == pytest.approx(0.8 * 0.5 + 0.2)
    assert error_of([0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1]) == 0


@pytest.mark.parametrize("edge", range(1, BINS))
def test_a_bin_holds_its_upper_edge(edge: int) -> None:
    at = edge / BINS
    count, *_ = in_bins(torch.tensor([at, np.nextafter(at, 1)]), torch.tensor([1, 1]))
    assert count.nonzero().flatten().tolist() == [edge - 1, edge]


@pytest.mark.parametrize("network", [MLP, LSTM], ids=["mlp", "tokens"])
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_models_of_a_path_are_those_of_numpy(network: dict[str, object], split: str) -> None:
    problem = drawn_problem(network)
    beads = drawn_beads(problem, scale=3.0)
    found = found_of("calibration", problem, beads, between=1)
    y = inputs(problem, split)[1].numpy()
    errors, likelihoods = [], []
    for bead in beads:
        outputs = put_out(problem, bead, split)
        p = softmax(outputs, 1)
        confidence, right = p.max(1).ravel(), (p.argmax(1) == y).ravel()
        error = 0.0
        for low in np.arange(BINS) / BINS:
            some = (confidence > low) & (confidence <= low + 1 / BINS)
            if some.any():
                error += some.mean() * abs(right[some].mean() - confidence[some].mean())
        errors.append(error)
        likelihoods.append(-np.take_along_axis(log_softmax(outputs, 1), y[:, None], 1).mean())
    np.testing.assert_allclose(values(found, f"{split}_ece")[::2], errors)
    np.testing.assert_allclose(values(found, f"{split}_nll")[::2], likelihoods)


def test_a_network_without_scores_is_refused() -> None:
    calibration = quantity("calibration")
    linear = {"kind": "linear", "sizes": [6, 3]}
    assert calibration.refusal(drawn_problem(linear)) is None
    said = calibration.refusal(drawn_problem(linear, loss="mse"))
    assert said == "its loss compares outputs with values, not scores"
