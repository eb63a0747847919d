"""Proofs of segments as work for the pool, and what is said before."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("numba")

from engine.backends.in_place import InPlaceBackend
from engine.path.certificate.cells import prove
from engine.path.certificate.highest import Asked, Bounding
from engine.path.certificate.jit import entry, is_compiled
from engine.path.certificate.layers import Layers
from engine.path.certificate.network import Provable
from engine.path.certificate.proving import Prove, disagreement, provable_or_why, proven
from engine.problem.problem import Problem, build_problem
from engine.spec.level import LevelOn
from engine.spec.problem import ProblemSpec
from engine.spec.validation import validated
from tests.support.kinds import factory
from tests.support.preset import spec_of
from tests.support.provable import provable_of
from tests.support.workers import Here, vmapped


def test_what_is_compiled_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this process, or by one before it that kept it; not where nothing can be kept."""
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "empty"))

    def twice(x: float) -> float:
        return x + x

    first, second = entry(twice), entry(twice)
    assert not is_compiled(first) and not is_compiled(second)
    assert first(3.0) == 6
    assert is_compiled(first) and is_compiled(second)
    monkeypatch.setenv("DSS_TUI_CACHE", str(tmp_path / "other"))
    assert is_compiled(first) and not is_compiled(second)


def told(compiled: bool, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> str:
    """Returns what is said before a segment of a network is proven."""
    monkeypatch.setattr(Layers, "is_compiled", property(lambda self: compiled))
    x = torch.ones(2, 1, dtype=torch.float64)
    net = provable_of(nn.Linear(1, 1), "mse", x, x)
    beads = [torch.zeros(2), torch.ones(2)]
    pool = Here(vmapped(build_problem(spec_of().problem)))
    log.clear()
    with log.at_level(logging.INFO, "engine"):
        found = proven(pool, Prove(net, 2.0), list(pairwise(beads)))
    assert found[0].proof.proven
    return log.text


def test_a_proof_that_compiles_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = told(False, monkeypatch, caplog)
    assert "WARNING" in said and "compiling for this machine, once" in said
    assert told(True, monkeypatch, caplog) == ""


def test_nothing_is_said_where_tensors_prove(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.path.certificate.layers.WIDEST", 0)
    assert told(False, monkeypatch, caplog) == ""


# ---------------------------------------------------------------- weights, and what does not move


def problem_of(
    network: str, data: str, loss: object, objective: LevelOn, patterns: list[str] | None = None
) -> Problem:
    tree = {
        "data": {"kind": "custom"} | factory(data),
        "network": {"kind": "custom"} | factory(network),
        "loss": loss,
    }
    spec = validated(ProblemSpec, tree)
    return build_problem(spec, objective=objective, path_parameters=patterns)


LOSS, ERRORS = LevelOn(), LevelOn(metric="error_rate")
UNEVEN = {"kind": "cross_entropy", "class_weights": [0.3, 7.1]}
PROVEN = [
    ("plain", "labelled", UNEVEN, LOSS, None),
    ("plain", "labelled", UNEVEN, ERRORS, None),
    ("plain", "with_ignored", "cross_entropy", LOSS, None),
    ("plain", "with_ignored", UNEVEN, LOSS, None),
    ("plain", "with_ignored", "cross_entropy", ERRORS, None),
    ("frozen", "values", "mse", LOSS, None),
    ("frozen", "labelled", UNEVEN, LOSS, None),
    ("LowRank", "values", "mse", LOSS, None),
    ("plain", "values", "mse", LOSS, ["0.*"]),
]


@pytest.mark.parametrize("widest", [1024, 0], ids=["compiled", "tensors"])
@pytest.mark.parametrize("case", PROVEN, ids=str)
def test_a_proof_speaks_of_the_objective_that_finer_sampling_finds(
    case: tuple[str, str, object, LevelOn, list[str] | None],
    widest: int,
    monkeypatch: pytest.MonkeyPatch,
    paths: None,
) -> None:
    """It holds a little above the highest of two thousand values, and not below it."""
    monkeypatch.setattr("engine.path.certificate.layers.WIDEST", widest)
    problem = problem_of(*case)
    net = provable_or_why(problem)
    assert isinstance(net, Provable), net
    assert net.measure == "error_rate" or bool(net.layers) == (case[0] != "LowRank" and widest > 0)
    draws = torch.Generator().manual_seed(4)
    ends = torch.randn(2, problem.parameter_count, generator=draws)
    if case[3] == LOSS:
        ends *= 0.7
    left, right = ends.double()
    exact = InPlaceBackend(problem.to(dtype=torch.float64))
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    values = exact.objective(torch.lerp(left, right, t[:, None]))
    peak = float(values.max())
    above = peak * (1 + 1e-4) if case[3] == LOSS else peak + 0.7 / float(net.mass)
    found = prove(net, ends[0], ends[1], above)
    assert found.proven or case[3] == ERRORS, found  # an error rate may jump in between
    assert found.ends == pytest.approx((float(values[0]), float(values[-1])), rel=1e-9)
    covered = [
        cell.bound - values[(t >= cell.u) & (t <= cell.v)].max()
        for cell in found.cells
        if ((t >= cell.u) & (t <= cell.v)).any()
    ]
    assert covered and min(covered) >= -1e-12
    (top,) = Bounding()(exact, [Asked(net, (ends[0], ends[1]), 400)])
    assert peak - 1e-9 <= top.bound <= (above if case[3] == LOSS else 1.0)
    below = peak * (1 - 1e-3)
    assert not prove(net, ends[0], ends[1], below, effort=64).proven


def test_a_network_whose_frozen_layer_was_read_as_other_numbers_is_noticed(paths: None) -> None:
    """The test above sees it: the values at the beads are then others."""
    problem = problem_of("frozen", "values", "mse", LOSS)
    net = provable_or_why(problem)
    assert isinstance(net, Provable)
    theta = problem.initial(1)
    whole = net.whole(theta.double())
    assert len(whole) == net.parameters > problem.parameter_count
    other = replace(net, whole=lambda theta: net.whole(theta) * 1.01)
    right, wrong = (prove(each, theta, theta + 0.01, 50.0) for each in (net, other))
    stated = float(InPlaceBackend(problem).objective(theta[None]))
    assert disagreement(right.ends, (stated, right.ends[1]), 1.0) < 1e-6
    assert disagreement(wrong.ends, (stated, right.ends[1]), 1.0) > 1e-3


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
