"""The page on the folders of runs and sweeps names every file that they hold, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.record.commands import COMMANDS, PlaneThrough, send
from engine.record.notes import write_note
from engine.record.rundir import RunDir

PAGE = Path(__file__).parents[2] / "docs" / "run-directory.md"
QUICK = ["--headless", "--set", "problem.data.points=32"]


def told(part: str) -> set[str]:
    """The names of files in the table under a title."""
    text = PAGE.read_text(encoding="utf-8")
    under = text.split(f"## {part}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", under, flags=re.M)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def files(folder: Path) -> set[str]:
    """The files of a run in a folder, by the names that the page gives them."""
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    named = {re.sub(r"\d+-\d+-\d+(?=\.json)", "A-B-C", name) for name in found}
    named = {re.sub(r"^measures/swa", "measures/NAME", name) for name in named}
    return {re.sub(r"^beads/\d+\.\d+", "beads/ID.VERSION", name) for name in named}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run whose beads have files, stopped at two limits, noted on, and asked for a plane."""
    out = tmp_path_factory.mktemp("page") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.run.bead_files.APART", 0)
        assert main(["run", "quadratic", "--out", str(out), *QUICK, "--set", "limits.beads=3"]) == 3
        assert main(["resume", str(out), "--headless", "--set", "limits.beads=4"]) == 3
    found = RunDir(out)
    write_note(found, "a note")
    send(found, PlaneThrough((1, 3, 2)))
    assert main(["measure", str(out), "--plane", "1,3,2"]) == 0
    assert main(["measure", str(out), "--what", "swa"]) == 0
    return found


def test_a_run_holds_what_the_page_tells(run: RunDir) -> None:
    assert files(run.path) == told("A run")


def test_a_run_names_no_file_that_the_page_leaves_out() -> None:
    named = {
        getattr(RunDir(Path("run")), name).name
        for name, member in vars(RunDir).items()
        if isinstance(member, property) and name != "name"
    }
    assert named == {Path(name).parts[0] for name in told("A run")}


def test_a_sweep_holds_what_the_page_tells(tmp_path: Path) -> None:
    levels = ["--levels", "1e-2", "--pairs", "1", "--out", str(tmp_path / "sweep")]
    assert main(["sweep", "quadratic", *QUICK, *levels]) == 0
    sweep = RunDir(tmp_path / "sweep")
    write_note(sweep, "a note")
    send(sweep, "pause")
    found = {name for name in files(sweep.path) if "/" not in name}
    cells = {str(run.parent.relative_to(sweep.path)) for run in sweep.path.rglob("run.yaml")}
    assert cells == {"level-0.01/pair-0000"}
    assert found | {"level-<L>/pair-<N>/"} == told("A sweep")


def test_components_hold_what_the_page_tells(tmp_path: Path) -> None:
    out = tmp_path / "found"
    asked = ["--models", "2", "--levels", "1e-2", "--out", str(out)]
    assert main(["components", "quadratic", *QUICK, *asked]) == 0
    write_note(RunDir(out), "a note")
    send(RunDir(out), "pause")
    run = out / "level-0.01" / "0000-0001"
    assert (run / "run.yaml").exists() and (run / "measured.json").exists()
    found = {name for name in files(out) if not name.startswith("level-")}
    named = {re.sub(r"model-\d+", "model-<A>", name) for name in found}
    assert named | {"level-<L>/<A>-<B>/"} == told("Components")


def test_every_command_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for word in (*COMMANDS, "plane"):
        assert f'{{"command": "{word}"' in text
