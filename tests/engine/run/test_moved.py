"""Cells of a folder of many runs go on by themselves after the folder was moved or copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dss_tui.cli import main
from engine.data.files import candidates
from engine.record.finding import COMPARISON, COMPONENTS, PLAN
from engine.record.string_file import read
from engine.run.moved import models_of_cell, models_of_moved
from engine.spec.keys import Spec
from presets import load_preset


def between(a: Path | str) -> Spec:
    """A spec whose first end is that file."""
    settings = ["endpoints.kind=files", f"endpoints.a={a}", f"endpoints.b={a}.b"]
    return load_preset("quadratic", settings)


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("plan", "place", "cell"),
    [
        (COMPARISON, "ends/pair-0003/a.safetensors", "greedy/pair-0003"),
        (COMPONENTS, "models/model-0001.safetensors", "level-0/pair-0000-0001/again"),
    ],
)
def test_the_models_of_a_cell_are_those_of_its_own_folder(
    plan: str, place: str, cell: str, tmp_path: Path
) -> None:
    spec, named = between(tmp_path / "before" / place), str(tmp_path / "before" / place)
    model = made(tmp_path / "after" / place)
    (tmp_path / "after" / plan).touch()
    with models_of_cell(spec, tmp_path / "after" / cell):
        assert candidates(named)[0] == model
    assert candidates(named)[0] == Path(named)
    made(Path(named))  # a copy has models of its own
    with models_of_cell(spec, tmp_path / "after" / cell):
        assert candidates(named)[0] == model


def test_other_models_and_other_runs_are_looked_for_where_they_are_named(tmp_path: Path) -> None:
    after = tmp_path / "after"
    made(after / "ends" / "pair-0000" / "a.safetensors")
    inside, outside = tmp_path / "ends" / "pair-0000" / "a.safetensors", tmp_path / "mine" / "a.pt"
    made(after / "mine" / "a.pt")
    with models_of_cell(between(inside), after / "greedy" / "pair-0000"):  # it has no plan
        assert candidates(str(inside))[0] == inside
    (after / PLAN).touch()
    for spec in (between(outside), between("a.pt"), load_preset("quadratic")):
        with models_of_cell(spec, after / "greedy" / "pair-0000"):
            assert candidates(str(outside))[0] == outside
    with models_of_moved(between(after / "ends" / "pair-0000" / "a.safetensors"), after):
        assert candidates(str(inside))[0] == inside


def test_a_cell_of_a_moved_comparison_resumes_by_itself(tmp_path: Path) -> None:
    keys = ["--set", "problem.data.points=64", "--set", "search.level=0.05"]
    before, after = tmp_path / "before", tmp_path / "after"
    asked = ["compare", "quadratic", "--methods", "greedy,constrained", "--pairs", "1", *keys]
    assert main([*asked, "--out", str(before)]) == 0
    cell = after / "greedy" / "pair-0000"
    known = read(before / "greedy" / "pair-0000" / "string.safetensors").string.beads
    before.rename(after)
    kept = (cell / "run.yaml").read_bytes()
    shutil.rmtree(cell)
    cell.mkdir()
    (cell / "run.yaml").write_bytes(kept)
    assert main(["resume", str(cell), "--headless"]) == 0
    np.testing.assert_array_equal(read(cell / "string.safetensors").string.beads, known)
    assert (cell / "run.yaml").read_bytes() == kept
