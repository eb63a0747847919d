"""`dss-tui measure --what`: on terminals, in files and folders, for programs, and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from dss_tui.arguments import build_parser
from dss_tui.cli import main
from engine.quantities import QUANTITIES
from engine.record.quantity import quantity_of, read_quantity
from engine.record.rundir import RunDir
from engine.record.string_file import read, write
from engine.record.writer import RunWriter
from engine.spec.shipped import load_preset
from tests.support.commands import refused
from tests.support.pairs import string_of

QUICK = ["--set", "problem.data.points=32", "--set", "search.level=5e-2", "--headless"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *QUICK]) == 0
    return RunDir(out)


@pytest.fixture(autouse=True)
def nothing_measured(run: RunDir) -> None:
    """The run's folder as nothing was measured yet."""
    for path in run.measures.glob("*"):
        path.unlink()


@pytest.fixture
def string(tmp_path: Path) -> str:
    spec = load_preset("quadratic", {"problem.data.points": 16})
    write(string_of(spec.problem), tmp_path / "path.npz")
    return str(tmp_path / "path.npz")


def test_what_a_run_allows_is_shown_and_kept_in_its_folder(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(run.path), "--what", "all"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    tables = [line for line in lines if not line.startswith("written to")]
    assert max(map(cell_len, tables)) <= 80 and "\x1b" not in said
    ids = read(run.string).header.bead_ids
    assert lines[0] == f"ensemble: the beads as an ensemble ({len(ids)} beads, float64)"
    allowed = ["ensemble", "distances", "swa", "gradient", "cka", "sharpness"]
    written = [run.measures / f"{name}.json" for name in allowed]
    assert said.replace("\n", " ").endswith("".join(f"written to {path} " for path in written))
    assert "classes is left out: the network gives no scores of classes" in lines
    for name in allowed:
        found = read_quantity(run, name)
        assert found is not None and found.beads == ids
    assert sorted(run.measures.iterdir()) == sorted(written)


def test_what_programs_get(run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "found.json"
    there = ["measure", str(run.path), "--what", "swa, gradient", "--between", "1"]
    assert main([*there, "--json", "--csv", str(table)]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert list(tree) == ["swa", "gradient"]
    found = quantity_of(tree["gradient"])
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.arc) == 2 * len(read(run.string).header.bead_ids) - 1
    norms = [float(row["gradient_norm"]) for row in rows]
    assert norms == list(found.of_chart("gradient norm")[0].values)
    assert [row["bead"] for row in rows[:2]] == ["1", ""] and rows[-1]["at"] == "1.0"
    assert not list(run.measures.glob("*"))
    assert main([*there, "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == tree
    assert f"written to {out}" in capsys.readouterr().out.replace("\n", "")
    assert not list(run.measures.glob("*"))


def test_nothing_is_written_to_the_folder_of_a_live_run(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunWriter(run):
        assert main(["measure", str(run.path), "--what", "gradient"]) == 0
    assert "written to" not in capsys.readouterr().out
    assert not list(run.measures.glob("*"))


def test_the_seed_decides_what_is_drawn(string: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for seed in ("3", "3"):
        assert main(["measure", string, "--what", "cka", "--seed", seed, "--json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("--what foo", "--what: is 'foo'; choose from ensemble, distances, swa, gradient"),
        ("--what classes", "--what: classes cannot be measured here: the network gives no scores"),
        ("--what swa --between=-1", "--between: is -1, but must be at least 0"),
        ("--what swa --csv x.txt", "--csv: ends in '.txt'; choose a name that ends in .csv"),
        ("--what swa --out x.csv", "--out: ends in '.csv'; choose a name that ends in .json"),
        ("--what swa --csv no/x.csv", "its folder does not exist"),
        ("--plane 1,2,3 --between 2", "--between: belongs to --what"),
        ("--plane 1,2,3 --csv x.csv", "--csv: belongs to --what"),
    ],
)
def test_bad_input_is_one_sentence(
    asked: str, words: str, string: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, ["measure", string, *asked.split()], words)


def test_the_help_names_every_quantity(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["measure", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"one or several of {', '.join(QUANTITIES)}; or all" in said
