"""The trial of a user's own network and loss; most of its sentences are in tests/test_kinds.py."""

from __future__ import annotations

import sys

import pytest
import torch

from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.kinds import factory


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def spec_of(network: str, data: str = "values", loss: str = "mse") -> ProblemSpec:
    tree = {
        "data": {"kind": "custom"} | factory(data),
        "network": {"kind": "custom"} | factory(network),
        "loss": loss if loss == "mse" else factory(loss),
    }
    return validated(ProblemSpec, tree)


def test_a_trial_draws_nothing_from_torch_s_generator() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    build_problem(spec_of("Dropping"))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("network", "loss", "output"),
    [
        ("plain", "mse", ""),
        ("Returning", "mse", "the first"),
        ("ReturningDict", "mse", "out"),
        ("ReturningObject", "mse", "logits"),
        ("Returning", "of_both", ""),
    ],
)
def test_it_finds_out_what_of_the_output_is_compared(network: str, loss: str, output: str) -> None:
    problem = build_problem(spec_of(network, loss=loss))
    assert problem.output == output and problem.handing.whole == (loss != "mse")
    assert ("comparing" in " ".join(problem.remarks)) == bool(output)


def test_a_loss_over_outputs_is_told_from_one_over_samples() -> None:
    """Although there are as many outputs as samples in one of the trial's batches."""
    with pytest.raises(InputError, match=r"loss.factory: .* return one value for each, \(sample"):
        build_problem(spec_of("plain", loss="over_outputs"))
    assert build_problem(spec_of("plain", loss="distance")).handing.whole


def test_samples_that_a_loss_ignores_have_no_error_rate() -> None:
    assert build_problem(spec_of("plain", "with_ignored", "ignoring")).classes is None
    assert build_problem(spec_of("plain", "labelled", "ignoring")).classes == 2
