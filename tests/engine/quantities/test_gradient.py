"""The norm of the gradient, held against plain torch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.support.paths import (
    NORMALIZED,
    drawn_beads,
    drawn_problem,
    found_of,
    inputs,
    path_through,
    plain,
    values,
)


def test_the_norm_is_that_of_plain_torch() -> None:
    problem = drawn_problem()
    beads = drawn_beads(problem)
    x, y = inputs(problem, "train")
    found = found_of("gradient", problem, beads, between=1)
    path = path_through(problem, beads, between=1)
    norms = []
    for place in path.places:
        network = plain(problem, path.weights(place))
        functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        slopes = [each.grad.flatten() for each in network.parameters() if each.grad is not None]
        norms.append(float(torch.cat(slopes).norm()))
    assert values(found, "norm") == pytest.approx(norms)


def test_batch_normalization_goes_by_the_batch() -> None:
    """Derivatives go through its statistics."""
    problem = drawn_problem(NORMALIZED)
    beads = drawn_beads(problem, 2)
    found = found_of("gradient", problem, beads)
    network = plain(problem, beads[1]).train()
    x, y = inputs(problem, "train")
    functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
    slopes = [each.grad.flatten() for each in network.parameters() if each.grad is not None]
    assert values(found, "norm")[1] == pytest.approx(float(torch.cat(slopes).norm()))
    assert "goes by the batch" in found.notes[0]
