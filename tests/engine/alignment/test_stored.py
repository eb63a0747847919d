"""Relabellings in files: applied again as they were, and refused where they are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from engine.alignment import stored
from engine.alignment.align import Aligned, align
from engine.errors import InputError
from engine.problem.problem import Problem
from engine.record.tensor_file import CHECKSUMS
from tests.support import unit_zoo
from tests.support.damage import flip_in_tensors, without_checksums


@pytest.fixture(scope="module")
def problem() -> Problem:
    return unit_zoo.problem_of("grouped")  # with units within units, and scales


@pytest.fixture(scope="module")
def found(problem: Problem) -> Aligned:
    return align(problem, problem.initial(1), problem.initial(2), "activations")


def test_a_file_gives_the_same_model(problem: Problem, found: Aligned, tmp_path: Path) -> None:
    path = tmp_path / "perm.safetensors"
    stored.write(found, path)
    again = stored.applied(problem, problem.initial(2), path)
    assert torch.equal(again.theta, found.theta)
    assert (again.by, again.samples, again.moved) == ("activations", 0, found.moved)


def test_checksums_tell_a_changed_bit_and_older_files_have_none(
    problem: Problem, found: Aligned, tmp_path: Path
) -> None:
    path = tmp_path / "perm.safetensors"
    stored.write(found, path)
    without_checksums(path)
    assert torch.equal(stored.applied(problem, problem.initial(2), path).theta, found.theta)
    stored.write(found, path)
    flip_in_tensors(path)
    with pytest.raises(InputError, match="have changed since"):
        stored.applied(problem, problem.initial(2), path)


def test_another_network_is_refused(found: Aligned, tmp_path: Path) -> None:
    path = tmp_path / "perm.safetensors"
    stored.write(found, path)
    other = unit_zoo.problem_of("mlp")
    with pytest.raises(InputError, match=r"no order of the units of 1\.weight:0 that fits"):
        stored.applied(other, other.initial(2), path)


def test_what_is_no_relabelling_is_refused(
    problem: Problem, found: Aligned, tmp_path: Path
) -> None:
    path = tmp_path / "perm.safetensors"
    for change, words in (
        ({"order.5.weight:0": torch.tensor([0, 1, 1, 3])}, "is no order of units"),
        ({"order.5.weight:0": torch.arange(3)}, "that fits this network"),
        ({"order.0.weight:0/1": torch.arange(2)}, "that fits this network"),
        ({"scale.5.weight:0": -torch.ones(4)}, "not positive"),
    ):
        stored.write(found, path)
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        del metadata[CHECKSUMS]
        tensors = {**safetensors.torch.load_file(path), **change}
        safetensors.torch.save_file(tensors, path, metadata)
        with pytest.raises(InputError, match=words):
            stored.applied(problem, problem.initial(2), path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"abc", "is not a whole"), (safetensors.torch.save({}), "is no file of dss-tui align")],
)
def test_other_files_are_refused(
    problem: Problem, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "perm.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        stored.applied(problem, problem.initial(2), path)
    with pytest.raises(InputError, match="no such file"):
        stored.applied(problem, problem.initial(2), tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        stored.applied(problem, problem.initial(2), tmp_path / "perm.pt")
