"""What of a network moves along a path, what stays, and the copies that compute."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dss_tui.cli import main
from engine.backends.in_place import InPlaceBackend
from engine.errors import InputError
from engine.problem.copies import Parameter, fixed, moving, named_parameters, places_of, take_over
from engine.problem.problem import Problem, build_problem
from engine.record.string_file import read
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support import kinds_parts, mirror_cases
from tests.support.kinds import factory
from tests.support.kinds_parts import LowRank, Secretive, Table
from tests.support.mirror_cases import mlp, values
from tests.support.workers import vmapped


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def problem_of(network: str, *patterns: str, data: str = "values") -> Problem:
    tree = {
        "data": {"kind": "custom"} | factory(data),
        "network": {"kind": "custom"} | factory(network),
        "loss": "mse",
    }
    spec = validated(ProblemSpec, tree)
    return build_problem(spec, path_parameters=patterns or None)


def names(parameters: tuple[Parameter, ...]) -> list[str]:
    return [parameter.name for parameter in parameters]


# ---------------------------------------------------------------- which parameters


def test_those_move_that_require_gradients_or_that_a_pattern_names() -> None:
    assert names(moving(LowRank(), None)) == ["down.weight", "up.weight"]
    assert names(moving(LowRank(), ["base.*", "last.bias"])) == [
        "base.weight",
        "base.bias",
        "last.bias",
    ]
    assert names(moving(Table(), None)) == ["body.0.weight", "body.0.bias", *TABLE]


TABLE = ["body.2.weight", "body.2.bias"]


def test_a_pattern_that_fits_none_and_numbers_that_are_not_real_are_refused() -> None:
    with pytest.raises(InputError, match=r"path_parameters: is 'bas.weight'.*did you mean 'base"):
        moving(LowRank(), ["down.*", "bas.weight"])
    with pytest.raises(InputError, match="parameter order holds int64 numbers"):
        moving(Table(), ["*"])


def test_tied_and_hidden_parameters_are_found_where_modules_hold_them() -> None:
    network = mirror_cases.Tied()
    parameters = moving(network, None)
    assert names(parameters) == [name for name, _ in nn.Module.named_parameters(network)]
    assert ("second.weight", "first.weight") in places_of(network, parameters)
    assert names(moving(Secretive(), None))[0] == "scale"


def test_what_does_not_move_is_known_by_name() -> None:
    network = LowRank()
    state = fixed(network, moving(network, None))
    assert list(state) == ["base.weight", "base.bias", "last.weight", "last.bias"]
    assert torch.equal(state["base.weight"], network.base.weight)
    assert list(fixed(mirror_cases.DrawnBuffer(), ())) == ["last.weight", "last.bias", "features"]
    elsewhere = mirror_cases.DrawnElsewhere()  # no state dictionary holds it
    assert fixed(elsewhere, moving(elsewhere, None)) == {}


def test_values_are_taken_over_by_name() -> None:
    one, other = LowRank(), LowRank()
    before = other.down.weight.clone()
    take_over(other, {"base.weight": one.base.weight.detach(), "nothing": torch.ones(3)})
    assert torch.equal(other.base.weight, one.base.weight)
    assert torch.equal(other.down.weight, before)


# ---------------------------------------------------------------- losses, gradients


@pytest.mark.parametrize(
    ("network", "patterns"),
    [("LowRank", ()), ("frozen", ()), ("plain", ("2.*",)), ("Table", ()), ("Returning", ())],
)
def test_losses_and_gradients_are_those_of_the_module(
    network: str, patterns: tuple[str, ...]
) -> None:
    """With what does not move as the problem has it; and the path has no more weights."""
    problem = problem_of(network, *patterns)
    make = getattr(kinds_parts, network, None) or getattr(mirror_cases, network)
    module = make()
    take_over(module, problem.fixed)
    held = dict(named_parameters(module))
    moved = [held[name] for name in names(problem.parameters)]
    assert problem.parameter_count == sum(parameter.numel() for parameter in moved)
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    x, y = values()
    for backend in (vmapped(problem), InPlaceBackend(problem)):
        losses, grads = backend.loss_and_grad(theta)
        wide = backend.to(torch.float64).losses(theta.double())
        for row in range(len(theta)):
            nn.utils.vector_to_parameters(theta[row].clone(), moved)
            output = module(x)
            output = output[0] if isinstance(output, tuple) else output
            loss = (output - y).square().sum(1).mean()
            slopes = torch.autograd.grad(loss, moved, allow_unused=True)
            own = torch.cat(
                [
                    torch.zeros(parameter.numel()) if slope is None else slope.flatten()
                    for parameter, slope in zip(moved, slopes, strict=True)
                ]
            )
            torch.testing.assert_close(losses[row], loss.detach(), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(grads[row], own, rtol=1e-4, atol=1e-4)
            assert wide[row].item() == pytest.approx(loss.item(), rel=1e-5)


def test_two_inputs_are_measured_as_torch_does() -> None:
    problem = problem_of("Pooled", data="by_name")
    inputs, y = kinds_parts.by_name()
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    module = kinds_parts.Pooled()
    batches = torch.arange(18).reshape(9, 2)
    for backend in (vmapped(problem), InPlaceBackend(problem)):
        losses, _ = backend.loss_and_grad(theta)
        few, _ = backend.loss_and_grad_on(theta, batches)
        for row in range(len(theta)):
            nn.utils.vector_to_parameters(theta[row].clone(), module.parameters())
            each = (module(**inputs) - y).square().sum(1).detach()
            torch.testing.assert_close(losses[row], each.mean(), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(few[row], each[batches[row]].mean(), rtol=1e-5, atol=1e-5)


def test_training_data_are_not_overwritten() -> None:
    """By a first layer in place, in whatever is measured or trained."""
    problem = problem_of("relu_first")
    before = problem.train.x.clone()
    assert (before < 0).any() and problem.handing.copies
    theta = torch.stack([problem.initial(seed) for seed in range(9)])
    for backend in (vmapped(problem), InPlaceBackend(problem)):
        backend.losses(theta)
        backend.loss_and_grad(theta)
        backend.to(torch.float64).losses(theta.double())
    assert torch.equal(problem.train.x, before)
    assert not problem_of("plain").handing.copies


def test_the_problem_s_network_is_never_computed_with() -> None:
    problem = problem_of("DrawnBuffer")
    kept = {name: each.clone() for name, each in problem.network.named_buffers()}
    vmapped(problem).losses(problem.initial(0)[None])
    other = problem.with_fixed({"features": torch.zeros(3, 4)})
    assert all(torch.equal(each, kept[name]) for name, each in problem.network.named_buffers())
    assert not other.fixed["features"].any()
    assert vmapped(other).losses(other.initial(0)[None]) != vmapped(problem).losses(
        problem.initial(0)[None]
    )


# ---------------------------------------------------------------- whole runs


def spec(problem: dict[str, Any], **keys: Any) -> dict[str, Any]:
    adam = {"optimizer": {"kind": "adam", "lr": 0.02}, "max_steps": 1000}
    search = {"level": 30.0, "greedy": adam}
    return {"problem": problem, "search": search, "device": "cpu", "workers": 1} | keys


@pytest.mark.parametrize("with_data", [False, True])
def test_a_probe_is_verified_without_the_files_that_it_came_from(
    with_data: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Body and head of two checkpoints; only the head moves, and the string file holds the body."""
    torch.manual_seed(4)
    body = mlp()
    heads = [nn.Linear(4, 2), nn.Linear(4, 2)]
    for name, head in zip("ab", heads, strict=True):
        state = body.state_dict() | {"2.weight": head.weight.data, "2.bias": head.bias.data}
        torch.save(state, tmp_path / f"{name}.pt")
    problem = {
        "data": {"kind": "custom"} | factory("values"),
        "network": {"kind": "custom"} | factory("plain"),
        "loss": "mse",
    }
    ends = {"kind": "files", "a": str(tmp_path / "a.pt"), "b": str(tmp_path / "b.pt")}
    preset = tmp_path / "probe.yaml"
    preset.write_text(json.dumps(spec(problem, endpoints=ends, path_parameters=["2.*"])))
    run, string = tmp_path / "run", tmp_path / "string.safetensors"
    assert main(["run", str(preset), "--headless", "--out", str(run)]) == 0
    assert "moving 10 of 26 weights" in capsys.readouterr().out
    more = ["--with-data"] if with_data else []
    assert main(["export", str(run), "--out", str(string), *more]) == 0
    for name in "ab":
        (tmp_path / f"{name}.pt").unlink()
    held = read(string)
    assert [name for name, _ in held.header.parameters] == ["2.weight", "2.bias"]
    assert held.string.beads.shape[1] == 10
    np.testing.assert_array_equal(
        held.fixed["0.weight"], dict(body.named_parameters())["0.weight"].detach()
    )
    assert main(["verify", str(string), "--run-factories", "--grid", "21"]) == 0
    assert "moving 10 of 26 weights" in capsys.readouterr().out
    x, y = values()
    for bead, loss in zip(held.string.beads, held.string.losses, strict=True):
        nn.utils.vector_to_parameters(torch.from_numpy(bead), list(body.parameters())[2:])
        right = (body(x) - y).square().sum(1).mean().item()
        assert loss == pytest.approx(right, rel=1e-5)
