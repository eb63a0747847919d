"""`dss-tui resume` on a sweep, a comparison and components."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.viewing import session
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from tests.support.faults.targets import COMPARE, COMPONENTS, SWEEP
from tests.support.pseudo_terminal import viewer
from tests.support.run_strings import same_string, untimed
from tests.support.sweep_folders import sweep_of

#: Each command, its table, and the run that is taken away.
KINDS = {
    "sweep": (SWEEP, "sweep.csv", "level-0.02/pair-0001"),
    "compare": (COMPARE, "compare.csv", "greedy/pair-0000"),
    "components": (COMPONENTS, "searches.csv", None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_run_as_at_first(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, table, run = KINDS[kind]
    whole, folder = tmp_path / "whole", tmp_path / "folder"
    assert main([*command, "--out", str(whole)]) == 0
    first = capsys.readouterr().out.splitlines()[-1]
    run = run or untimed(whole / table)[0]["run"]
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / run)
    (folder / table).unlink()
    assert main(["resume", str(folder), "--headless"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first.replace(str(whole), str(folder))
    assert untimed(folder / table) == untimed(whole / table)
    assert same_string(folder / run, whole / run)
    assert main(["resume", str(folder), "--headless", "--json"]) == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out)


def test_a_sweep_is_shown_and_run_by_an_engine_of_its_own(tmp_path: Path) -> None:
    sweep_of(tmp_path / "sweep", (0.05,), 2, "problem.data.points=64")
    with viewer("resume", str(tmp_path / "sweep"), columns=100) as shown:
        shown.wait_for("2 of 2 ended")
        assert shown.leave() == 0


def test_a_sweep_that_runs_gets_no_second_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunDir] = []
    monkeypatch.setattr(session, "launch", lambda folder, **_: launched.append(folder))
    monkeypatch.setattr("dss_tui.commands.run.wants_screen", lambda asked: not asked.headless)
    monkeypatch.setattr("dss_tui.commands.run.show", lambda opening: int(opening.launched))
    sweep_of(tmp_path)
    assert main(["resume", str(tmp_path)]) == 1 and len(launched) == 1
    with take_lock(RunDir(tmp_path)):
        assert main(["resume", str(tmp_path)]) == 0 and len(launched) == 1
        assert main(["resume", str(tmp_path), "--headless"]) == 2
    assert "another process is running this sweep" in capsys.readouterr().err


def test_limits_are_those_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep_of(tmp_path)
    assert main(["resume", str(tmp_path), "--headless", "--set", "limits.beads=9"]) == 2
    assert "--set: changes the limits of one run" in capsys.readouterr().err


def test_without_a_terminal_it_is_said_where_all_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_of(tmp_path)
    assert main(["attach", str(tmp_path)]) == 2
    told = "no terminal to watch on; its tables (*.csv) have all there is"
    assert told in capsys.readouterr().err
