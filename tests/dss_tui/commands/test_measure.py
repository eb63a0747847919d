"""`dss-tui measure`: planes of string files and of runs, on terminals and in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.record.loss_plane import LossPlane, read_plane_file
from engine.record.rundir import RunDir
from engine.record.string_file import read
from engine.record.writer import RunWriter
from tests.support.commands import refused

QUICK = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *QUICK]) == 0
    return RunDir(out)


@pytest.fixture(autouse=True)
def no_planes(run: RunDir) -> None:
    """The run's folder as no plane was asked for yet."""
    for path in run.planes.glob("*"):
        path.unlink()


def beads(run: RunDir) -> str:
    first, second, *_, last = read(run.string).header.bead_ids
    return f"{first},{last},{second}"


def test_a_plane_of_a_run_is_drawn_and_kept_in_its_folder(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(run.path), "--plane", beads(run)]) == 0
    said = capsys.readouterr().out.splitlines()
    path = run.planes / f"{beads(run).replace(',', '-')}.json"
    assert said[0].startswith(f"plane {beads(run).replace(',', ', ')}: training loss")
    assert said[-1] == f"written to {path}"
    assert {"╱", "●", "█"} <= set("".join(said)) and len(said) < 30
    assert isinstance(read_plane_file(path), LossPlane)


def test_a_plane_of_a_file_is_one_json_object(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "path.npz"
    assert main(["export", str(run.path), "--out", str(path)]) == 0
    capsys.readouterr()
    assert main(["measure", str(path), "--plane", beads(run), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["beads"] == [int(bead) for bead in beads(run).split(",")]
    assert [len(row) for row in tree["losses"]] == [21] * 21
    assert main(["measure", str(run.path), "--plane", beads(run), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == tree
    assert not run.planes.exists() or not list(run.planes.iterdir())
    out = tmp_path / "plane.json"
    assert main(["measure", str(path), "--plane", beads(run), "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == tree
    assert f"written to {out}" in capsys.readouterr().out


def test_nothing_is_written_to_the_folder_of_a_live_run(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunWriter(run):
        assert main(["measure", str(run.path), "--plane", beads(run)]) == 0
    assert "written to" not in capsys.readouterr().out
    assert not run.planes.exists() or not list(run.planes.iterdir())


@pytest.mark.parametrize("given", ["1,2", "1,2,3,4", "1,2,x", "1,2,-3", "", "1,,2"])
def test_what_names_no_three_beads_is_refused(
    given: str, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"--plane: is {given}; name three beads by their ids"
    refused(capsys, ["measure", str(run.path), f"--plane={given}"], words)


def test_bad_input_is_one_sentence(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plane = ["--plane", "1,2,777"]
    *others, last = map(str, read(run.string).header.bead_ids)
    told = refused(capsys, ["measure", str(run.path), *plane], "there is no bead 777")
    assert told.endswith(f"choose from {', '.join(others)} and {last}")
    refused(capsys, ["measure", str(run.path), "--plane", "1,1,2"], "lie on one line")
    refused(capsys, ["measure", str(tmp_path / "no.npz"), *plane], "no such file")
    refused(capsys, ["measure", "nothing", *plane], "nothing: no such run")
    there = ["measure", str(run.path), "--plane", beads(run)]
    refused(capsys, [*there, "--out", str(tmp_path / "plane.png")], "ends in '.png'")
    refused(capsys, [*there, "--out", str(tmp_path / "no" / "p.json")], "folder does not exist")


def test_functions_of_a_users_own_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    sets = ["--set", "search.level=0.6", "--set", "search.min_inner_beads=1"]
    assert main(["run", "custom-example", "--headless", "--out", str(out), *sets]) == 0
    capsys.readouterr()
    plane = ["--plane", ",".join(map(str, ids(out)))]
    there = ["measure", str(out / "string.safetensors"), *plane]
    refused(capsys, there, "would be imported and run", "give --run-factories")
    assert main([*there, "--run-factories"]) == 0
    assert main(["measure", str(out), *plane]) == 0  # a run of one's own


def ids(out: Path) -> list[int]:
    first, middle, last = read(out / "string.safetensors").header.bead_ids
    return [first, last, middle]
