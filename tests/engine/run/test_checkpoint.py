"""Checkpoints: whose they are, and which are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from engine.errors import InputError
from engine.record.rundir import RunDir
from engine.run import checkpoint
from engine.run.checkpoint import Checkpoint
from engine.spec.yaml_file import load
from presets import load_preset

HELD = ({"theta": torch.tensor([[0.3, -1.5]])}, {"best": float("inf")})


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
    checkpoint.write(run, Checkpoint(HELD, 12, 3.25, fingerprint))
    return run


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    spec = load_preset("quadratic")
    run = run_in(tmp_path, spec.model_dump(mode="json"), spec.fingerprint())
    back = checkpoint.read(run, spec)
    assert back is not None
    assert (back.seq, back.elapsed_s, back.method[1]) == (12, 3.25, HELD[1])
    assert torch.equal(back.method[0]["theta"], HELD[0]["theta"])


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert checkpoint.read(RunDir(tmp_path), load_preset("quadratic")) is None


def test_a_sum_over_every_key_of_run_yaml_is_accepted(tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    assert checkpoint.read(run, load(run.spec)) is not None


def test_it_still_is_when_limits_have_been_changed(tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    run.spec.write_text(run.revised(["limits.beads=77", "limits.seconds=2.5"]))
    spec = load(run.spec)
    assert (spec.limits.beads, spec.limits.seconds) == (77, 2.5)
    assert checkpoint.read(run, spec) is not None


@pytest.mark.parametrize("override", ["seed=8", "search.greedy.slots=129", "workers=3"])
def test_it_is_refused_when_another_key_has_been_changed(override: str, tmp_path: Path) -> None:
    tree = older_tree()
    run = run_in(tmp_path, tree, older_sum(tree))
    run.spec.write_text(run.revised([override]))
    with pytest.raises(InputError, match="belongs to another preset than"):
        checkpoint.read(run, load(run.spec))
