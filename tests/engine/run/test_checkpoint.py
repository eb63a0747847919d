"""Checkpoints: whose they are, and which are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import InputError
from engine.methods.method import StagedMethod
from engine.problem.problem import build_problem
from engine.record.packing import pack
from engine.record.rundir import RunDir
from engine.run import checkpoint
from engine.run.checkpoint import Checkpoint
from engine.spec.keys import Spec
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
