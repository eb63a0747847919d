"""Buffers that differ between the ends of a path, at the models in between."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dss_tui.cli import main
from engine.backends.in_place import InPlaceBackend
from engine.problem.carried import Carried
from engine.problem.problem import Problem, build_problem
from engine.record.string_file import read
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.kinds import factory
from tests.support.mirror_cases import DrawnBuffer, draw, values
from tests.support.workers import vmapped

TREE = {
    "data": {"kind": "custom"} | factory("values"),
    "network": {"kind": "custom"} | factory("DrawnBuffer"),
    "loss": "mse",
}


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def carried(dtype: torch.dtype = torch.float32) -> Carried:
    first, last = torch.randn(2, 10, generator=draw(1), dtype=dtype)
    return Carried(first, last, {"b": torch.randn(2, 3, 4, generator=draw(2), dtype=dtype)})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_are_those_of_the_ends_at_the_ends_to_the_bit(dtype: torch.dtype) -> None:
    found = carried()
    theta = torch.stack([found.first, found.last]).to(dtype)
    assert torch.equal(found.at(theta)["b"], found.buffers["b"].to(dtype))
    for row in range(2):
        alone = found.at(theta[row : row + 1])["b"]
        assert torch.equal(alone[0], found.buffers["b"][row].to(dtype))


def test_along_a_straight_line_they_change_as_weights_do() -> None:
    found = carried(torch.float64)
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    theta = found.first + t[:, None] * (found.last - found.first)
    first, last = found.buffers["b"]
    expected = torch.stack([(1 - at) * first + at * last for at in t])
    torch.testing.assert_close(found.at(theta)["b"], expected, rtol=1e-12, atol=1e-12)


def test_beside_the_line_they_are_those_of_the_nearest_place_on_it() -> None:
    found = carried(torch.float64)
    way = found.last - found.first
    aside = torch.randn(10, generator=draw(3), dtype=torch.float64)
    aside -= (aside @ way) / (way @ way) * way
    theta = torch.stack([found.first + t * way + 5 * aside for t in (0.3, -2.0, 3.0)])
    first, last = found.buffers["b"]
    right = torch.stack([0.7 * first + 0.3 * last, first, last])
    torch.testing.assert_close(found.at(theta)["b"], right, rtol=1e-12, atol=1e-12)


def truth(problem: Problem, theta: Tensor, features: Tensor) -> tuple[float, Tensor]:
    """Returns loss and gradient of a module with these features, which have no gradient."""
    module = DrawnBuffer().to(theta.dtype)
    nn.utils.vector_to_parameters(theta.clone(), module.parameters())
    module.features = features.to(theta.dtype)
    x, y = values()
    loss = (module(x.to(theta.dtype)) - y).square().sum(1).mean()
    loss.backward()
    slopes = [p.grad for p in module.parameters() if p.grad is not None]
    return loss.item(), torch.cat([slope.flatten() for slope in slopes])


def test_models_are_measured_and_trained_with_them() -> None:
    plain = build_problem(validated(ProblemSpec, TREE))
    ends = [plain.initial(seed) for seed in (1, 2)]
    features = torch.randn(2, 3, 4, generator=draw(5))
    problem = plain.with_carried(ends[0], ends[1], {"features": features})
    assert "features" not in problem.fixed and "mixing the ends' features" in problem.remarks
    t = torch.linspace(0, 1, 9)
    theta = torch.stack([torch.lerp(ends[0], ends[1], at) for at in t])
    for backend in (vmapped(problem), InPlaceBackend(problem)):
        losses, grads = backend.loss_and_grad(theta)
        for row, at in enumerate(t):
            loss, slope = truth(problem, theta[row], torch.lerp(features[0], features[1], at))
            assert losses[row].item() == pytest.approx(loss, rel=1e-5)
            torch.testing.assert_close(grads[row], slope, rtol=1e-4, atol=1e-4)
        left, right = (end[None] for end in ends)
        found = backend.interpolated_losses(left, right, torch.zeros(9, dtype=torch.int64), t)
        torch.testing.assert_close(found, losses, rtol=1e-5, atol=1e-5)


def trained(module: nn.Module) -> dict[str, Tensor]:
    """Returns the state of a module after some steps."""
    x, y = values()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        loss = (module(x) - y).square().sum(1).mean()
        loss.backward()
        optimizer.step()
    assert loss < 1.9
    return module.state_dict()


def test_a_whole_run_keeps_the_ends_buffers_in_its_string_file(tmp_path: Path) -> None:
    """Which is verified without the checkpoints; its length is that of the weights alone."""
    states = []
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        states.append(trained(DrawnBuffer()))
        torch.save(states[-1], tmp_path / f"{name}.pt")
    adam = {"optimizer": {"kind": "adam", "lr": 0.05}}
    tree = {
        "problem": TREE,
        "endpoints": {"kind": "files", "a": str(tmp_path / "a.pt"), "b": str(tmp_path / "b.pt")},
        "search": {"level": 2.2, "alpha": 0.95, "greedy": adam},
        "device": "cpu",
        "workers": 1,
    }
    preset, run = tmp_path / "carried.yaml", tmp_path / "run"
    preset.write_text(json.dumps(tree))
    assert main(["run", str(preset), "--headless", "--out", str(run)]) == 0
    for name in "ab":
        (tmp_path / f"{name}.pt").unlink()
    held = read(run / "string.safetensors")
    expected = np.stack([state["features"].numpy() for state in states])
    np.testing.assert_array_equal(held.carried["features"], expected)
    assert held.string.beads.shape[1] == 4 * 2 + 2 and len(held.string.beads) > 2
    command = ["verify", str(run / "string.safetensors"), "--run-factories", "--grid", "21"]
    assert main(command) == 0
