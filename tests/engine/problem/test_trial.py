"""The trial of a user's own network and loss; most of its sentences are in tests/test_kinds.py."""

from __future__ import annotations

import sys

import pytest
import torch

from engine.backends.in_place import InPlaceBackend
from engine.backends.torch_backend import TorchBackend
from engine.backends.vmapped import VmappedBackend
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


def test_dropout_that_draws_the_same_mask_twice_is_noticed() -> None:
    with pytest.raises(InputError, match="another output when it is called again"):
        build_problem(spec_of("SameMaskTwice"))


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


@pytest.mark.parametrize(
    ("network", "quiet", "forgets", "rewrites"),
    [
        ("plain", False, False, False),
        ("Lora", True, False, False),
        ("FrozenLora", True, False, False),
        ("Cached", False, True, False),
        ("CachedInDictionary", False, True, False),
        ("Standardized", False, True, False),
        ("Fusing", False, False, False),
        ("LimitedNorm", False, False, True),
        ("Clamped", False, False, True),
    ],
)
def test_it_finds_out_how_a_network_is_to_be_called(
    network: str, quiet: bool, forgets: bool, rewrites: bool
) -> None:
    handing = build_problem(spec_of(network)).handing
    assert (handing.quiet, handing.forgets, handing.rewrites) == (quiet, forgets, rewrites)


@pytest.mark.parametrize("way", [InPlaceBackend, VmappedBackend])
def test_a_network_that_clamps_its_weights_leaves_those_of_a_path_alone(
    way: type[TorchBackend],
) -> None:
    """They are measured as clamped, in whatever order models come, and stay what they were."""
    problem = build_problem(spec_of("Clamped"))
    theta = 2 * torch.randn(9, problem.parameter_count, generator=torch.Generator().manual_seed(1))
    before = theta.clone()
    clamped = torch.cat([theta[:, :6].clamp(-0.4, 0.4), theta[:, 6:]], dim=1)
    backend = way(problem)
    losses = backend.losses(theta)
    assert torch.equal(theta, before)
    torch.testing.assert_close(losses, backend.losses(clamped))
    assert len(set(losses.tolist())) == 9
    if way is VmappedBackend:
        return  # torch refuses its gradient there
    loss, grad = backend.loss_and_grad(theta)
    assert torch.equal(theta, before) and grad.abs().sum() > 0
    torch.testing.assert_close(loss, losses)
