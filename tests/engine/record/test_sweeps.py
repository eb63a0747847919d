"""How a sweep stands, told from its folder alone."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.record.commands import send
from engine.record.compare_folder import ComparePlan, Variant
from engine.record.events import Outcome, Record
from engine.record.finding import COMPARISON
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import write_plan
from engine.record.sweep_state import state_path
from engine.record.sweep_tables import LevelRow, Statistic
from engine.record.sweeps import SweepReader, SweepView, measured
from presets import load_preset
from tests.support.run_folders import append
from tests.support.sweep_folders import begin, cell, ended, sweep_of


def look(folder: Path) -> SweepView:
    return SweepReader(RunDir(folder)).look()


def test_a_sweep_that_has_not_begun(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    view = look(tmp_path)
    assert (view.state, view.ended, view.count("waiting")) == ("unfinished", 0, 8)
    assert [level.row.level for level in view.levels] == [0.05, 0.02]
    assert [cell.cell.pair for cell in view.levels[1].cells] == [0, 1, 2, 3]
    assert view.eta_s is None and view.said == ""


def test_the_levels_statistics_are_those_of_the_tables(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED, beads=5, length=1.5, steps=300))
    begin(cell(tmp_path, 0.05, 1), ended(Outcome.CONNECTED, beads=9, length=2.5, steps=500))
    begin(cell(tmp_path, 0.05, 2), ended(Outcome.NOT_CONNECTED, steps=900))
    begin(cell(tmp_path, 0.05, 3), ended(Outcome.STOPPED))
    begin(cell(tmp_path, 0.02, 0), ended(Outcome.FAILED))
    view = look(tmp_path)
    row = view.levels[0].row
    assert (row.pairs, row.connected, row.proven) == (3, 2, 2)
    assert (row.beads, row.normalized_length) == (Statistic(7.0, 2.0), Statistic(2.0, 0.5))
    assert row.median_bead_steps == 500
    assert row.failed == ((Outcome.NOT_CONNECTED, 1),)
    assert view.levels[1].row.failed == ((Outcome.FAILED, 1),)
    assert view.ended == 3  # what was stopped or failed is run again
    assert view.count("stopped", "failed") == 2


def test_an_outcome_of_a_later_version_is_counted_by_its_name(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    begin(cell(tmp_path, 0.05, 0), ended(Outcome("torn_apart")))
    row = look(tmp_path).levels[0].row
    assert row.pairs == 1 and [(str(what), n) for what, n in row.failed] == [("torn_apart", 1)]


def test_a_sweep_at_work_says_what_its_engine_does(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    reader = SweepReader(RunDir(tmp_path))
    with take_lock(RunDir(tmp_path)):
        assert reader.look().state == "preparing"  # before it has written anything
        desk = Desk(tmp_path)
        assert reader.look().state == "preparing"
        desk.begin()
        assert reader.look().state == "running" and reader.look().going
        send(RunDir(tmp_path), "pause")
        desk.look()
        assert reader.look().state == "paused" and desk.paused
        held_s = reader.look().elapsed_s
        assert reader.look().elapsed_s == held_s
        desk._looked_s = -math.inf
        send(RunDir(tmp_path), "continue")
        send(RunDir(tmp_path), "stop")
        desk.look()
        assert reader.look().state == "running" and desk.stop.is_set()
        desk.close(End("8 of 8 cells have not ended", 3))
    view = reader.look()
    assert (view.state, view.said, view.exit_status) == (
        "unfinished",
        "8 of 8 cells have not ended",
        3,
    )


def test_commands_of_an_earlier_session_are_not_heard(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    send(RunDir(tmp_path), "stop")
    desk = Desk(tmp_path)
    desk.look()
    assert not desk.stop.is_set()


def test_a_lost_process_leaves_a_sweep_unfinished(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    with take_lock(RunDir(tmp_path)):
        Desk(tmp_path).begin()
        begin(cell(tmp_path, 0.05, 0))
    view = look(tmp_path)
    assert (view.state, view.said, view.exit_status) == ("unfinished", "", 0)
    assert view.levels[0].cells[0].brief.state == "interrupted"


def test_a_sweep_has_ended_once_all_cells_have(tmp_path: Path) -> None:
    sweep_of(tmp_path, (0.05,), 2)
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.LIMIT_REACHED))
    begin(cell(tmp_path, 0.05, 1), ended(Outcome.CONNECTED))
    view = look(tmp_path)
    assert (view.state, view.ended, view.eta_s) == ("ended", 2, 0.0)


def test_the_time_left_counts_this_session_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of four waiting and half-done cells: three cells' work for one cell and a half done."""
    sweep_of(tmp_path, (0.05,), 5)
    before = begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED))
    with take_lock(RunDir(tmp_path)):
        desk = Desk(tmp_path)
        desk.begin()
        begin(cell(tmp_path, 0.05, 1))
        reader = SweepReader(RunDir(tmp_path))
        assert reader.look().eta_s is None
        begin(cell(tmp_path, 0.05, 2), ended(Outcome.NOT_CONNECTED))
        began = reader.look()
        assert began.eta_s is not None
        os.utime(before.meta, (1, 1))
        first = min(cell(tmp_path, 0.05, n).meta.stat().st_mtime for n in (1, 2))
        monkeypatch.setattr("engine.record.sweeps.time.time", lambda: first + 12)
        # Two wait and one is half done: 2.5 cells at 1.5 cells in 12 seconds.
        eta_s = SweepReader(RunDir(tmp_path)).look().eta_s
        assert eta_s == pytest.approx(2.5 * 12 / 1.5, rel=0.1)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("text", ["", "{", "sweep: 3", "\x00\xff", "[1]", "sweep: {pairs: 3}"])
def test_a_damaged_plan_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_bytes(text.encode("latin-1"))
    view = look(tmp_path)
    assert view.state == "damaged" and not view.levels
    assert "sweep.yaml" in view.damaged[0].short


def test_a_plan_of_too_many_cells_is_refused(tmp_path: Path) -> None:
    plan = sweep_of(tmp_path)
    text = plan.text().replace("pairs: 4", "pairs: 1000000000")
    (tmp_path / "sweep.yaml").write_text(text)
    assert look(tmp_path).state == "damaged"


def test_a_folder_that_goes_away_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep_of(folder)
    reader = SweepReader(RunDir(folder))
    assert reader.look().state == "unfinished"
    folder.rename(tmp_path / "moved")
    assert "sweep.yaml" in reader.look().damaged[0].short
    (tmp_path / "moved").rename(folder)
    assert reader.look().damaged == ()


def test_damaged_cells_and_a_damaged_session_do_not_hide_the_others(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED))
    append(begin(cell(tmp_path, 0.05, 1)).events, b"noise\n")
    cell(tmp_path, 0.05, 2).path.write_text("no folder")
    state_path(tmp_path).write_text('{"state": "asleep"}')
    view = look(tmp_path)
    states = [cell.brief.state for cell in view.levels[0].cells]
    assert states == ["connected", "damaged", "damaged", "waiting"]
    assert [fault.path.name for fault in view.damaged] == ["session.json"]


# ---------------------------------------------------------------- plots


def row(level: float, mean: float, error: float) -> LevelRow:
    known, nan = Statistic(mean, error), math.nan
    return LevelRow(
        level=level,
        pairs=3,
        connected=2,
        proven=0,
        failed=(),
        normalized_length=known,
        beads=Statistic(nan, nan),
        median_bead_steps=nan,
    )


def test_only_means_that_are_known_are_measured() -> None:
    rows = (row(0.5, 1.5, 0.25), row(0.25, math.nan, math.nan), row(0.125, 1.75, math.nan))
    assert measured(rows, "beads") == ()
    found = [(each.level, each.mean, each.error) for each in measured(rows, "normalized_length")]
    assert found == [(0.5, 1.5, 0.25), (0.125, 1.75, 0.0)]
    assert measured((row(0.5, math.inf, math.nan),), "normalized_length") == ()


def test_a_level_that_comes_about_is_measured_at_the_mean_of_those_found() -> None:
    lowest = replace(row(0.5, 1.5, 0.25), level="lowest", level_found=Statistic(0.125, 0.5))
    waiting = replace(lowest, level_found=Statistic(math.nan, math.nan))
    found = measured((lowest, waiting), "normalized_length")
    assert [(each.level, each.mean) for each in found] == [(0.125, 1.5)]


def test_a_record_that_is_added_is_seen_at_the_next_look(tmp_path: Path) -> None:
    sweep_of(tmp_path)
    run = begin(cell(tmp_path, 0.02, 3))
    reader = SweepReader(RunDir(tmp_path))
    assert reader.look().levels[1].cells[3].brief.state == "interrupted"
    line = Record(2, 3.5, ended(Outcome.CONNECTED, beads=7)).to_line()
    append(run.events, line.encode() + b"\n")
    view = reader.look()
    assert view.levels[1].row.beads.mean == 7 and view.ended == 1


def test_a_damaged_measurement_is_told_and_the_others_stay(tmp_path: Path) -> None:
    variants = (Variant("greedy", ()), Variant("neb", ("search.method=neb",)))
    plan = ComparePlan(load_preset("quadratic"), variants, 1)
    write_plan(plan.text(), tmp_path, COMPARISON)
    cells = list(plan.cells(tmp_path))
    for each in cells:
        begin(each.run, ended(Outcome.CONNECTED))
    (cells[0].run.path / "measured.json").write_text("{")
    reader = SweepReader(RunDir(tmp_path))
    for _ in range(2):
        view = reader.look()
        assert view.state == "unfinished" and view.ended == 2
        assert [fault.path.name for fault in view.damaged] == ["measured.json"]
    (cells[0].run.path / "measured.json").unlink()
    assert reader.look().damaged == ()
