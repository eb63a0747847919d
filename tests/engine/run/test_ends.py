"""What names a model: checkpoints, the beads of strings and runs, vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import engine
from engine.errors import InputError
from engine.problem.problem import Problem, build_problem
from engine.record.string_file import StringFile, write
from engine.run.ends import Bead, Checkpoint, End, both_ends, is_string
from tests.support.pairs import string_of


@pytest.fixture(scope="module")
def spec() -> engine.Spec:
    return engine.load_preset("quadratic", {"problem.data.points": 16})


@pytest.fixture(scope="module")
def held(spec: engine.Spec) -> StringFile:
    return string_of(spec.problem, count=4)


@pytest.fixture(scope="module")
def problem(spec: engine.Spec) -> Problem:
    return build_problem(spec.problem)


def weights(end: End, problem: Problem) -> NDArray[Any]:
    return end.model(problem, None, None).theta.numpy()


@pytest.mark.parametrize("ending", [".npz", ".pt", ".safetensors"])
def test_a_string_alone_stands_for_both_its_ends(
    ending: str, held: StringFile, problem: Problem, tmp_path: Path
) -> None:
    path = tmp_path / f"path{ending}"
    write(held, path)
    first, last = both_ends(path, None)
    beads = held.string.beads
    np.testing.assert_array_equal(weights(first, problem), beads[0])
    np.testing.assert_array_equal(weights(last, problem), beads[-1])
    assert (first.words, last.words) == (f"{path}#first", f"{path}#last")
    assert is_string(path)


def test_beads_are_named_by_their_ids(held: StringFile, problem: Problem, tmp_path: Path) -> None:
    path = tmp_path / "path.npz"
    write(held, path)
    for word, place in (("first", 0), ("1", 0), ("17", 1), ("18", 2), ("2", 3), ("last", 3)):
        one, _ = both_ends(f"{path}#{word}", f"{path}#2")
        np.testing.assert_array_equal(weights(one, problem), held.string.beads[place])
    with pytest.raises(InputError, match=r"has no bead 3; choose first, last, or one of 1, 17"):
        both_ends(f"{path}#3", f"{path}#2")
    unnamed = replace(held, header=replace(held.header, bead_ids=()))
    write(unnamed, path)
    one, _ = both_ends(f"{path}#3", f"{path}#first")
    np.testing.assert_array_equal(weights(one, problem), held.string.beads[2])


def test_a_run_has_the_beads_of_its_newest_string(
    held: StringFile, problem: Problem, runs: Path
) -> None:
    folder = runs / "some-run"
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text("")
    with pytest.raises(InputError, match="has no string yet"):
        both_ends("some-run", None)
    write(held, folder / "string.safetensors")
    for named in ("some-run", str(folder), "last"):
        one, other = both_ends(named, None)
        np.testing.assert_array_equal(weights(other, problem), held.string.beads[-1])
    one, _ = both_ends("some-run#17", "some-run#18")
    np.testing.assert_array_equal(weights(one, problem), held.string.beads[1])


def test_a_checkpoint_is_no_string(problem: Problem, tmp_path: Path) -> None:
    """Whatever it is called, and though a hash stands in its name."""
    network = problem.make_network()
    paths = [tmp_path / name for name in ("a.pt", "b#2.pt", "c#3")]
    for path in paths:
        torch.save(network.state_dict(), path)
    assert not any(is_string(path) for path in paths)
    one, other = both_ends(paths[0], paths[1])
    assert isinstance(one, Checkpoint) and isinstance(other, Checkpoint)
    theta = torch.nn.utils.parameters_to_vector(network.parameters())
    np.testing.assert_array_equal(weights(other, problem), theta.detach().numpy())
    third, _ = both_ends(paths[2], paths[0])
    assert third.words == str(paths[2])
    with pytest.raises(InputError, match="is no string, so that it has no beads; leave # out"):
        both_ends(f"{paths[0]}#1", paths[1])


def test_a_whole_string_beside_another_model_says_too_little(
    held: StringFile, tmp_path: Path
) -> None:
    path = tmp_path / "path.npz"
    write(held, path)
    with pytest.raises(InputError, match=r"is a string; say which .*path\.npz#first"):
        both_ends(f"{path}#1", path)
    with pytest.raises(InputError, match="is one model; give a second one"):
        both_ends(f"{path}#1", None)


def test_names_that_fit_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt: no such file; give a checkpoint"):
        both_ends(str(tmp_path / "gone.pt"), None)
    with pytest.raises(InputError, match="no such run"):
        both_ends("gone", None)


def test_what_does_not_fit_the_network_is_refused(
    held: StringFile, problem: Problem, tmp_path: Path
) -> None:
    other = replace(held, header=replace(held.header, parameters=(("w", (33,)),)))
    first, _ = both_ends(other, None)
    assert isinstance(first, Bead)
    with pytest.raises(InputError, match="its parameters are not those of the network"):
        first.model(problem, None, None)
    for given, words in (
        (np.zeros(5), r"the first model has weights of shape \(5,\); give \(33,\)"),
        (np.full(33, np.nan), "the first model has weights that are not finite"),
        (np.zeros(33, int), "the first model has weights that are not finite"),
    ):
        one, _ = both_ends(given, np.zeros(33))
        with pytest.raises(InputError, match=words):
            one.model(problem, None, None)
