"""The commands that list runs and stop one."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

import presets
from dss_tui.cli import main
from engine.record.events import Outcome
from engine.record.finding import create
from engine.record.lock import take_lock
from engine.record.notes import write_note
from engine.record.rundir import RunDir
from tests.support.run_folders import CONNECTED, progress, write
from tests.support.sweep_folders import begin, cell, ended, sweep_of


def made(runs: Path, name: str, age_s: float) -> RunDir:
    run = create(presets.load_preset("cubic"), "cubic", runs / name)
    write(run, CONNECTED)
    run.progress.write_bytes(progress().to_json())
    os.utime(run.spec, (2e9 - age_s, 2e9 - age_s))
    return run


def test_ls_shows_a_line_for_each_run_with_its_note(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(runs, "[b]odd", 20)
    write_note(made(runs, "monday", 10), "the [best] so far")
    assert main(["ls"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["run", "state", "beads", "max", "peak", "/", "level", "age", "size", "note"]
    assert lines[1][:4] == ["[b]odd", "connected", "5", "1.500"]
    assert lines[2][:2] == ["monday", "connected"]
    assert lines[2][-4:] == ["the", "[best]", "so", "far"]


def test_ls_tells_damaged_notes(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(runs, "monday", 10).notes.write_text("[")
    assert main(["ls"]) == 0
    told = capsys.readouterr()
    assert "connected" in told.out
    assert told.err.startswith(f"damaged: {runs / 'monday' / 'notes.json'}: ")


@pytest.mark.parametrize("command", ["attach", "resume", "stop", "diagnose", "shorten", "export"])
def test_every_command_takes_the_start_of_a_name(
    command: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(runs, "monday", 20)
    made(runs, "montag", 10)
    more = ["--out", str(runs.parent / "x.npz")] if command == "export" else []
    assert main([command, "mon", *more]) == 2
    assert capsys.readouterr().err == (
        "dss-tui: mon: is the start of 2 runs' names: montag and monday; give more of it\n"
    )
    for text in ("mond", "last"):
        main([command, text, *more])
        told = capsys.readouterr().err
        assert "no such run" not in told and "is the start" not in told


def test_stop_says_that_nothing_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(runs, "monday", 20)
    assert main(["stop", "m"]) == 2
    assert capsys.readouterr().err == f"dss-tui: {run.path}: is not running; nothing to stop\n"


# ---------------------------------------------------------------- sweeps


@pytest.fixture
def sweep(runs: Path) -> RunDir:
    """A sweep of six pairs in the runs folder, of which two have ended."""
    folder = runs / "wide"
    sweep_of(folder, (0.05, 0.02), 3)
    begin(cell(folder, 0.05, 0), ended(Outcome.CONNECTED))
    begin(cell(folder, 0.05, 1), ended(Outcome.NOT_CONNECTED))
    begin(cell(folder, 0.05, 2))
    return RunDir(folder)


def test_ls_lists_sweeps_with_how_many_searches_have_ended(
    sweep: RunDir, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(runs, "monday", 10)
    write_note(sweep, "all levels")
    assert main(["ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line.split() for line in lines if line.startswith("wide")]
    assert line[:3] == ["wide", "unfinished", "2/6"] and line[-2:] == ["all", "levels"]
    assert any(line.startswith("monday") for line in lines)


@pytest.mark.parametrize("name", ["wide", "wi", "last"])
def test_stop_stops_a_sweep(sweep: RunDir, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, by the start of it, or as the newest; the engine hears it in its folder."""
    held = take_lock(sweep)

    def engine() -> None:
        with held:
            while not sweep.commands.exists():
                time.sleep(0.01)

    acting = threading.Thread(target=engine)
    acting.start()
    assert main(["stop", name]) == 0
    acting.join()
    assert json.loads(sweep.commands.read_text()) == {"command": "stop"}
    assert capsys.readouterr().out == (
        f"{sweep.path}: stopped; 2 of 6 searches have ended; `dss-tui resume wide` goes on\n"
    )


def test_a_sweep_that_does_not_run_is_told(
    sweep: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stop", "wide"]) == 2
    assert "is not running; nothing to stop" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["diagnose", "shorten"])
def test_other_commands_say_that_it_is_a_sweep(
    sweep: RunDir, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("wide", str(sweep.path)):
        assert main([command, name]) == 2
        assert f"{name}: is a sweep; `dss-tui attach {name}` shows it" in capsys.readouterr().err
