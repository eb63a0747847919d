"""Ends that are relabelled before anything else, and what a run then says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import engine
from engine.alignment.align import align
from engine.errors import InputError
from engine.methods.endpoints import EndpointTraining
from engine.problem.problem import Problem, build_problem
from engine.record.events import LAST, EndpointTrained
from engine.spec.keys import Spec
from engine.spec.yaml_file import parse
from tests.support import unit_zoo
from tests.support.searches import method_for

SETS: dict[str, Any] = {
    "problem.data.points": 32,
    "search.level": 8e-3,
    "device": "cpu",
    "workers": 1,
}


def spec_of(align: str | None, **more: Any) -> Spec:
    return engine.load_preset("quadratic", {**SETS, "endpoints.align": align, **more}, seed=3)


@pytest.fixture(scope="module")
def plain() -> engine.StringFile:
    return found(spec_of(None))


def found(spec: Spec) -> engine.StringFile:
    with engine.search(spec) as search:
        search.run()
        return search.string()


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_the_second_end_is_the_relabelled_one(by: Any, plain: engine.StringFile) -> None:
    spec = spec_of(by)
    with engine.search(spec) as search:
        sentence = search.run().sentence
        file = search.string()
    assert f"endpoint 2 relabelled by {by}" in sentence
    assert file.header.relabelled == by and plain.header.relabelled is None
    first, last = (torch.from_numpy(plain.string.beads[end]) for end in (0, -1))
    expected = align(build_problem(spec.problem), first, last, by).theta
    assert file.string.beads[0].tobytes() == plain.string.beads[0].tobytes()
    assert file.string.beads[-1].tobytes() == expected.numpy().tobytes()
    assert not torch.equal(expected, last)


def test_files_and_verify_tell(tmp_path: Path) -> None:
    file = found(spec_of("weights"))
    path = tmp_path / "path.safetensors"
    engine.write_string(file, path)
    back = engine.read_string(path)
    assert back.header == file.header
    assert "endpoint 2 relabelled by weights" in engine.verify(back, 65).remarks


def test_it_resumes_to_the_same_bits() -> None:
    """From a moment before the ends are trained, and from one after."""
    spec = spec_of("weights")
    problem = build_problem(spec.problem)
    whole = _ends(problem, spec, None)
    for steps in (2, whole[1]):
        assert _ends(problem, spec, steps)[0] == whole[0]


def _ends(problem: Problem, spec: Spec, resumed: int | None) -> tuple[bytes, int]:
    """Returns the last end's bits, and the number of steps that trained both."""
    with method_for(problem, spec) as method:
        steps = 0
        while isinstance(method.stages[method.current], EndpointTraining):
            if steps == resumed:
                break
            method.step(None)
            steps += 1
        state = method.state
    with method_for(problem, spec) as method:
        method.resume(state)
        while isinstance(method.stages[method.current], EndpointTraining):
            method.step(None)
        return method.chain.weights[LAST].numpy().tobytes(), steps


def test_constrained_search_trains_the_ends_first_and_leaves_them() -> None:
    spec = spec_of("weights", **{"search.method": "constrained"})
    with engine.search(spec) as search:
        events = list(search)
        file = search.string()
    trained = [each for each in events if isinstance(each, EndpointTrained)]
    assert [each.bead for each in trained] != [] and file.header.relabelled == "weights"
    plain = found(spec_of(None, **{"search.method": "greedy"}))
    assert file.string.beads[0].tobytes() == plain.string.beads[0].tobytes()


def test_models_from_files_are_relabelled(tmp_path: Path, plain: engine.StringFile) -> None:
    spec = spec_of(None)
    problem = build_problem(spec.problem)
    for name, end in (("a", 0), ("b", -1)):
        theta = torch.from_numpy(plain.string.beads[end])
        named = {key: each[0] for key, each in problem.named(theta[None]).items()}
        torch.save(named, tmp_path / f"{name}.pt")
    files = {f"endpoints.{name}": str(tmp_path / f"{name}.pt") for name in "ab"}
    by_file = found(spec_of("weights", **{"endpoints.kind": "files", **files}))
    trained = found(spec_of("weights"))
    assert by_file.header.relabelled == "weights"
    assert by_file.string.beads[-1].tobytes() == trained.string.beads[-1].tobytes()


def test_what_does_not_go_together_is_refused(tmp_path: Path, plain: engine.StringFile) -> None:
    with pytest.raises(InputError, match="align would undo the swap"):
        spec_of("weights", **{"endpoints.kind": "permuted"})
    path = tmp_path / "path.safetensors"
    engine.write_string(plain, path)
    with pytest.raises(InputError, match=r"endpoints\.align: is weights, but the ends of"):
        engine.search(spec_of("weights", **{"search.string": str(path)}))


def test_a_network_that_is_not_traced_is_refused_before_anything_is_trained() -> None:
    tree = unit_zoo.preset_of("deciding")
    spec = parse({**tree, "endpoints": {"align": "weights"}})
    with pytest.raises(InputError, match="decides by the values"):
        engine.search(spec)


def test_a_run_without_a_connection_names_alignment() -> None:
    """Of ends that could be aligned and are not; copies with swapped units keep their order."""
    stuck = {"search.greedy.max_depth": 1, "search.greedy.max_steps": 1, "search.level": 2e-3}
    told = {}
    for by in (None, "weights"):
        with engine.search(spec_of(by, **stuck)) as search:
            finished = search.run()
        if finished.diagnosis is not None:
            told[by] = "set endpoints.align" in finished.diagnosis.words
    assert told[None] and not told.get("weights", False)
