"""Steps of many models recorded and compiled: those of plain torch, whatever the network is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.backends import compiled_steps
from engine.backends.compiled_steps import CompiledStepsBackend, why_not_compiled_together
from engine.backends.in_place import InPlaceBackend
from engine.problem.problem import Problem
from engine.run.prepare import prepare
from engine.spec.yaml_file import parse
from engine.steps.practice import PLAIN
from tests.support.kinds import KINDS
from tests.support.small_problem import small_problem

#: Kinds of networks and losses that compute in unusual ways.
AWKWARD = (
    "several inputs by name",
    "several inputs by place",
    "tokens of -100, which cross_entropy ignores",
    "cross_entropy with weights of classes",
    "a loss of the whole output",
    "two LoRA adapters of one network",
    "two probes of one body",
    "batch norms without counters",
    "a tied weight under one of its names (safetensors)",
)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the weights of each recording, which is called as it is."""
    shapes: list[tuple[int, ...]] = []

    def compiled(graph: Any, given: Sequence[Tensor]) -> Any:
        shapes.append(tuple(given[0].shape))
        return graph

    monkeypatch.setattr(compiled_steps, "compiled", compiled)
    return shapes


def drawn(problem: Problem, models: int, samples: int, first: int) -> tuple[Tensor, Tensor]:
    theta = torch.stack([problem.initial(first + number) for number in range(models)])
    generator = torch.Generator().manual_seed(first)
    return theta, torch.randint(len(problem.train), (models, samples), generator=generator)


def assert_same_steps(problem: Problem, counts: Sequence[int]) -> None:
    """Each with weights and samples that it was not recorded with."""
    ours, plain = CompiledStepsBackend(problem), InPlaceBackend(problem)
    for first in (10, 20):
        for models in counts:
            theta, batches = drawn(problem, models, 5, first)
            for found, expected in (
                (ours.loss_and_grad_on(theta, batches), plain.loss_and_grad_on(theta, batches)),
                (ours.loss_and_grad(theta), plain.loss_and_grad(theta)),
            ):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(ours.losses(theta), plain.losses(theta))


@pytest.mark.parametrize("name", AWKWARD)
def test_networks_of_all_kinds_take_the_steps_of_torch(
    name: str, recorded: list[tuple[int, ...]], tmp_path: Path
) -> None:
    (kind,) = (each for each in KINDS if each.name == name)
    problem = prepare(parse(kind.tree(tmp_path))).backend.problem
    assert why_not_compiled_together(problem) is None
    assert_same_steps(problem, (1, 3))


def test_few_numbers_of_models_are_recorded(recorded: list[tuple[int, ...]]) -> None:
    problem = small_problem()
    assert_same_steps(problem, (1, 2, 3, 5, 8, 6))
    sizes = [models for models, _ in recorded]
    assert sorted(sizes) == [1, 1, 2, 2, 4, 4, 8, 8]  # on a mini-batch, and on all samples


def test_threads_and_precisions_share_what_is_recorded(recorded: list[tuple[int, ...]]) -> None:
    problem = small_problem()
    backend = CompiledStepsBackend(problem)
    backends = [backend, backend.replica(problem.device), backend.within(2**20)]
    theta, batches = drawn(problem, 3, 5, 0)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda each: each.loss_and_grad_on(theta, batches), backends))
    assert len(recorded) == 1
    torch.testing.assert_close(found[0], found[1])
    backend.to(torch.float64).loss_and_grad_on(theta.double(), batches)
    assert len(recorded) == 2
    other = replace(problem, network=problem.computing())  # what does not move may differ there
    backend.on(other).loss_and_grad_on(theta, batches)
    assert len(recorded) == 3


def test_weights_that_lie_otherwise_are_recorded_apart(recorded: list[tuple[int, ...]]) -> None:
    """Compiled code takes its inputs to lie as those that it was compiled for."""
    problem = small_problem()
    backend = CompiledStepsBackend(problem)
    theta, batches = drawn(problem, 2, 5, 0)
    found = [backend.loss_and_grad_on(each, batches) for each in (theta, theta.T.contiguous().T)]
    assert len(recorded) == 2
    torch.testing.assert_close(*found)


def test_other_practices_are_recorded_apart(recorded: list[tuple[int, ...]]) -> None:
    kind = next(each for each in KINDS if each.name == "cross_entropy")
    problem = prepare(parse(kind.tree(Path()))).backend.problem
    ours, plain = CompiledStepsBackend(problem), InPlaceBackend(problem)
    theta, batches = drawn(problem, 2, 5, 0)
    smooth = replace(PLAIN, label_smoothing=0.2)
    for practice in (PLAIN, smooth, replace(PLAIN, micro_batch=2)):
        found, expected = (each.practised(theta, batches, practice) for each in (ours, plain))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert ours.practised(theta, batches, smooth)[0] != pytest.approx(
        ours.practised(theta, batches, PLAIN)[0]
    )


@pytest.mark.parametrize("name", ["buffers that differ: mixed in between", "spectral"])
def test_networks_that_change_while_they_are_trained_are_refused(
    name: str, recorded: list[tuple[int, ...]], tmp_path: Path
) -> None:
    (kind,) = (each for each in KINDS if name in each.name and not each.refused and each.ends)
    problem = prepare(parse(kind.tree(tmp_path))).backend.problem
    why = why_not_compiled_together(problem)
    assert why == "the network changes while it is trained" and recorded == []


def test_what_fails_or_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small_problem()

    def fails(graph: Any, given: Any) -> Any:
        raise RuntimeError("there is no C++ compiler\n\nmore of it\nand more")

    def remembers(graph: Any, given: Any) -> Any:
        once = graph(*given)
        return lambda *others: once

    monkeypatch.setattr(compiled_steps, "compiled", fails)
    assert why_not_compiled_together(problem) == "there is no C++ compiler more of it"
    monkeypatch.setattr(compiled_steps, "compiled", remembers)
    why = why_not_compiled_together(problem)
    assert why == "its steps are others than those of plain torch"


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_the_compiler_itself() -> None:
    problem = small_problem()
    assert why_not_compiled_together(problem) is None
