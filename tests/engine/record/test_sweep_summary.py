"""The line of a sweep in a list of runs."""

from __future__ import annotations

from pathlib import Path

from engine.record.events import Outcome
from engine.record.finding import create
from engine.record.notes import write_note
from engine.record.rundir import RunDir
from engine.record.runs import summarize
from engine.record.sweep_summary import summarize_any
from engine.spec.keys import Spec
from tests.support.run_folders import CONNECTED, write
from tests.support.sweep_folders import begin, cell, ended, sweep_of


def test_a_sweep_has_a_state_and_a_note_and_counts_its_searches(tmp_path: Path) -> None:
    sweep_of(tmp_path / "wide", (0.05, 0.02), 2)
    for level, pair in ((0.05, 0), (0.02, 1)):
        begin(cell(tmp_path / "wide", level, pair), ended(Outcome.CONNECTED))
    write_note(RunDir(tmp_path / "wide"), "mine")
    found = summarize_any(RunDir(tmp_path / "wide"))
    assert (found.name, found.state, found.pairs, found.note) == (
        "wide",
        "unfinished",
        (2, 4),
        "mine",
    )
    assert found.started is None and found.damaged == ()


def test_a_run_is_told_as_before(spec: Spec, tmp_path: Path) -> None:
    run = create(spec, "cubic", tmp_path / "one")
    write(run, CONNECTED)
    assert summarize_any(run) == summarize(run) and summarize_any(run).pairs is None
