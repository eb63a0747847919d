"""Checkpoints: whose they are, and which are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.errors import InputError
from engine.methods.method import StagedMethod
from engine.problem.problem import build_problem
from engine.record.packing import pack
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.run import checkpoint
from engine.run.checkpoint import Checkpoint
from engine.spec.keys import Spec
from engine.spec.validation import validated
from engine.spec.yaml_file import load
from presets import load_preset
from tests.support.searches import method_for


@contextmanager
def search(spec: Spec) -> Iterator[StagedMethod]:
    """Yields the search of a preset as it is when it begins."""
    with method_for(build_problem(spec.problem), spec) as method:
        yield method


def resumed(run: RunDir, spec: Spec) -> Checkpoint | None:
    """What the checkpoint of a run brings a search to."""
    with search(spec) as method:
        return checkpoint.resume(run, spec, method)


def older_tree() -> dict[str, Any]:
    """A run.yaml in which every key stands, but for some that did not exist yet."""
    tree: dict[str, Any] = load_preset("quadratic", ["seed=7"]).model_dump(mode="json")
    del tree["precision"], tree["search"]["audit"], tree["endpoints"]["restarts"]
    return tree


def older_sum(tree: dict[str, Any]) -> str:
    aside = {"limits", "description", "task", "checkpoint_seconds"}
    counted = {key: value for key, value in tree.items() if key not in aside}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def run_in(folder: Path, tree: dict[str, Any], fingerprint: str) -> RunDir:
    run = RunDir(folder)
    run.spec.write_text(yaml.safe_dump(tree))
    with search(load(run.spec)) as method:
        checkpoint.write(run, Checkpoint(method.state, 12, 3.25, fingerprint))
    return run


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    spec = load_preset("quadratic")
    run = run_in(tmp_path, spec.model_dump(mode="json"), spec.fingerprint())
    with search(spec) as method, search(spec) as other:
        other.step(None)
        assert not same(method, other)
        assert checkpoint.resume(run, spec, other) is not None
        assert same(method, other)
    back = resumed(run, spec)
    assert back is not None
    assert (back.seq, back.elapsed_s) == (12, 3.25)


def test_what_does_not_move_must_be_that_of_the_network(tmp_path: Path) -> None:
    """It lies in the checkpoint, by name, and is compared when the search goes on."""
    tree = {
        "problem": {
            "data": {"kind": "custom", "factory": "tests.support.mirror_cases:values"},
            "network": {"kind": "custom", "factory": "tests.support.mirror_cases:plain"},
            "loss": "mse",
        },
        "search": {"level": 1.0},
        "path_parameters": "2.*",
    }
    spec = validated(Spec, tree)
    problem = build_problem(spec.problem, path_parameters=spec.moving)
    run = RunDir(tmp_path)
    run.spec.write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    with method_for(problem, spec) as method:
        kept = Checkpoint(method.state, 1, 2.0, spec.fingerprint(), problem.fixed)
        checkpoint.write(run, kept)
        back = checkpoint.resume(run, spec, method)
    assert back is not None and back.fixed.keys() == {"fixed.0.weight", "fixed.0.bias"}
    other = problem.with_fixed({"0.bias": problem.fixed["0.bias"] + 1})
    with (
        method_for(other, spec) as method,
        pytest.raises(InputError, match=r"holds another 0\.bias, which does not move"),
    ):
        checkpoint.resume(run, spec, method)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "complex64", "int64", "bool"])
def test_numbers_of_any_type_that_torch_writes_stay_as_they_are(dtype: str, tmp_path: Path) -> None:
    spec = load_preset("quadratic")
    run, held = RunDir(tmp_path), torch.arange(6.0).sub(2).view(2, 3).to(getattr(torch, dtype))
    with search(spec) as method:
        kept = Checkpoint(method.state, 1, 2.0, spec.fingerprint(), {"w": held.T})
        checkpoint.write(run, kept)
    if dtype == "complex64" and not hasattr(torch, "uint32"):
        pytest.skip("the oldest safetensors does not read complex numbers")
    found = load_file(run.checkpoint)["fixed.w"]
    assert found.dtype == held.dtype and torch.equal(found, held.T)


def same(one: StagedMethod, other: StagedMethod) -> bool:
    """Whether two searches are in the same state, to the bit."""
    (tensors, plain), (others, rest) = pack(one.state), pack(other.state)
    held = [{name: t.numpy().tobytes() for name, t in each.items()} for each in (tensors, others)]
    return plain == rest and held[0] == held[1]


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert resumed(RunDir(tmp_path), load_preset("quadratic")) is None


def test_a_sum_over_every_key_of_run_yaml_is_accepted(tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    assert resumed(run, load(run.spec)) is not None


def test_it_still_is_when_limits_have_been_changed(tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    run.spec.write_text(run.revised(["limits.beads=77", "limits.seconds=2.5"]))
    spec = load(run.spec)
    assert (spec.limits.beads, spec.limits.seconds) == (77, 2.5)
    assert resumed(run, spec) is not None


@pytest.mark.parametrize("override", ["seed=8", "search.greedy.slots=129", "workers=3"])
def test_it_is_refused_when_another_key_has_been_changed(override: str, tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    run.spec.write_text(run.revised([override]))
    with pytest.raises(InputError, match="belongs to another preset than"):
        resumed(run, load(run.spec))


# ---------------------------------------------------------------- values that contradict each other


def changed(path: Path, place: str, value: object) -> None:
    """Puts another value to a place of the state in a checkpoint."""
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del metadata["checksums"]  # which would be wrong now
    state = json.loads(metadata["method"])
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    at = state
    for step in steps:
        at = at[step]
    at[last] = value
    save_file(tensors, path, metadata | {"method": json.dumps(state)})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, Spec]:
    """A run with the checkpoint of a search at its beginning."""
    spec = load_preset("quadratic")
    folder = tmp_path_factory.mktemp("begun")
    return run_in(folder, spec.model_dump(mode="json"), spec.fingerprint()), spec


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("current", 3, "current is 3, but there are 2 stages"),
        ("current", 2, "current is the audit, but a segment is not measured or still open"),
        ("current", -1, "current is -1, but must be from 0"),
        ("stages.1.kind", "polish", "stages are not those of this search, endpoints, greedy"),
        ("stages.1.kind", "sleep", "stages.1.kind is 'sleep', but must be one of"),
        ("chain.next_bead", 2, "chain next_bead is 2, but there is a bead 2"),
        ("chain.now.beads.0.bead", 2, "chain.now beads do not lead from bead 1 to bead 2"),
        ("chain.now.depths", [0], "chain.now there are 2 beads, but depths of 1"),
        ("chain.now.beads.0.weights", {"$tensor": "gone"}, "it holds no tensor 'gone'"),
        (
            "chain.now.beads.0.weights",
            {"$tensor": "stages.0.trainer.rows.0.theta", "$row": 2},
            "its tensor 'stages.0.trainer.rows.0.theta' has no row 2",
        ),
        (
            "chain.now.beads.0.weights",
            {"$tensor": "stages.0.trainer.rows.0.loss"},
            "beads do not all have as many weights",
        ),
        ("chain.stale", [[1, 7]], "chain stale names a segment that does not exist"),
        ("chain.known", [[7, 0.5]], "chain known names a bead that does not exist"),
        ("stages.0.attempts", [[1, 1]], "stages.0 attempts, steps and trained are not of the ends"),
        ("stages.0.trainer.beads", [1, 1], "stages.0.trainer beads names a bead twice"),
        ("stages.0.trainer.beads", [1, 7], "stages.0 trainer does not hold the ends that are not"),
        (
            "stages.0.trainer.sizes",
            [1],
            "there are 2 rows, but 2 beads and groups of 1",
        ),
        ("stages.0.trainer.rows.0.state", [], "stages.0 rows have [] of an optimizer"),
        (
            "stages.0.trainer.rows.0.loss",
            {"$tensor": "stages.0.trainer.rows.0.theta"},
            "trainer.rows.0.loss is ",
        ),
    ],
)
def test_a_contradiction_is_one_sentence(
    place: str, value: object, why: str, begun: tuple[RunDir, Spec], tmp_path: Path
) -> None:
    kept, spec = begun
    run = RunDir(Path(shutil.copytree(kept.path, tmp_path / "run")))
    changed(run.checkpoint, place, value)
    with pytest.raises(Damaged) as caught:
        resumed(run, spec)
    said = str(caught.value)
    assert said.startswith(f"damaged: {run.checkpoint}: its state does not fit: ")
    assert why in said and "\n" not in said
