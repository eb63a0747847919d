"""Steps by torch.compile: those of plain torch, and refused in a sentence where it fails."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.backends import compiled, compiled_steps
from engine.backends.compiled import CompiledBackend, why_not_compiled
from engine.backends.in_place import InPlaceBackend
from engine.errors import InputError
from engine.problem.problem import build_problem
from engine.run.prepare import prepare
from engine.run.search import Search
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support.launches import preset


@pytest.fixture(autouse=True)
def no_compiler_is_needed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Networks are traced with their gradients, and what comes of it is called in Python."""
    monkeypatch.setattr(compiled, "COMPILER", "aot_eager")
    monkeypatch.setattr(compiled_steps, "compiled", lambda graph, given: graph)
    yield
    torch._dynamo.reset()


def spec_of(**search: Any) -> Spec:
    return parse(preset("greedy", "cpu", **{"batching": "auto", "compile": True} | search))


def test_compiled_steps_are_those_of_torch() -> None:
    problem = build_problem(spec_of().problem)
    theta = torch.stack([problem.initial(seed) for seed in range(3)])
    batches = torch.arange(12).reshape(3, 4)
    ours, theirs = (kind(problem) for kind in (CompiledBackend, InPlaceBackend))
    for _ in range(2):
        found, expected = (each.loss_and_grad_on(theta, batches) for each in (ours, theirs))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert ours._network.stepping is not ours._network.network
    assert ours.to(torch.float64)._network.stepping is not ours._network.stepping
    torch.testing.assert_close(ours.losses(theta), theirs.losses(theta))


@pytest.mark.parametrize(("asked", "way"), [("auto", "vmap"), ("vmap", "vmap"), ("loop", "loop")])
def test_a_search_whose_steps_are_compiled(asked: str, way: str) -> None:
    prepared = prepare(spec_of(batching=asked))
    assert prepared.why == "search.compile compiles its steps"
    assert prepared.spec.search.batching == way
    with Search(prepared) as search:
        search.run()
        found = search.string()
    with Search(prepare(spec_of(batching=way, compile=False))) as search:
        search.run()
        expected = search.string()
    assert found.string.beads == pytest.approx(expected.string.beads, rel=1e-3, abs=1e-4)


def test_other_backends_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^search\.compile: is true, but search\.batching is fused"
    ):
        prepare(spec_of(batching="fused"))


def test_steps_with_dropout_are_refused() -> None:
    spec = spec_of(greedy={"dropout": True})
    network = spec.problem.network.model_copy(update={"dropout": 0.2})
    dropping = spec.problem.model_copy(update={"network": network})
    with pytest.raises(InputError, match="steps with dropout are not compiled; choose false"):
        prepare(spec.model_copy(update={"problem": dropping}))


def test_what_cannot_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("there is no C++ compiler\nmore of it")

    monkeypatch.setattr(compiled, "COMPILER", fails)
    monkeypatch.setattr(compiled_steps, "compiled", fails)
    with pytest.raises(
        InputError, match=r"search\.compile: is true, but torch\.compile fails \("
    ) as e:
        prepare(spec_of())
    assert "no C++ compiler" in str(e.value) and "\n" not in str(e.value)


def test_what_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(graph: Any, inputs: Any) -> Any:
        return lambda *given: tuple(2 * out for out in graph(*given))

    monkeypatch.setattr(compiled, "COMPILER", wrong)
    problem = build_problem(spec_of().problem)
    assert why_not_compiled(problem) == "its steps are others than those of plain torch"
