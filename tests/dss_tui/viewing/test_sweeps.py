"""Sweeps handled as the screens do: started, followed, resumed and refused, by folders alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dss_tui.viewing import session, sweeps
from dss_tui.viewing.sweeps import SweepFollower
from engine.errors import InputError
from engine.record.events import Outcome
from engine.record.lock import take_lock
from engine.record.rundir import RunDir
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import read_plan
from engine.spec.keys import Spec
from presets import load_preset
from tests.support.sweep_folders import begin, cell, ended

LEVELS = (0.05, 0.02)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunDir, tuple[str, ...]]]:
    """What was launched, instead of an engine."""
    found: list[tuple[RunDir, tuple[str, ...]]] = []
    monkeypatch.setattr(
        session, "launch", lambda run, *arguments, **_: found.append((run, arguments))
    )
    return found


def spec(*overrides: str) -> Spec:
    return load_preset("quadratic", ["search.level=0.05", *overrides])


def test_a_new_sweep_has_a_plan_and_an_engine(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path / "new")
    assert sweeps.start(spec(), LEVELS, 3, folder, "5")
    assert launched == [(folder, ("5",))]
    plan = read_plan(folder.path)
    assert plan is not None and (plan.levels, plan.pairs) == (LEVELS, 3)
    assert sweeps.start(spec(), LEVELS, 3, folder, "5")  # its engine is gone: it goes on


def test_a_sweep_at_work_or_at_its_end_needs_no_engine(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path)
    sweeps.start(spec(), (0.05,), 1, folder, "5")
    with take_lock(folder):
        assert not sweeps.start(spec(), (0.05,), 1, folder, "5")
        assert sweeps.resume(folder) == "it is running"
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.NOT_CONNECTED))
    assert not sweeps.start(spec(), (0.05,), 1, folder, "5")
    assert len(launched) == 1


def test_what_cannot_run_is_refused_before_anything_is_written(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path / "new")
    with pytest.raises(InputError, match="linear"):
        sweeps.start(spec("search.method=linear"), LEVELS, 3, folder, "5")
    assert not folder.path.exists()
    sweeps.start(spec(), LEVELS, 3, folder, "5")
    with pytest.raises(InputError, match="holds another sweep, begun with --pairs 3"):
        sweeps.start(spec(), LEVELS, 2, folder, "5")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="is not empty"):
        sweeps.start(spec(), LEVELS, 3, RunDir(tmp_path), "5")
    assert len(launched) == 1


def test_a_sweep_that_has_ended_goes_on_with_more_pairs(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path)
    sweeps.start(spec(), (0.05,), 1, folder, "5")
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED))
    assert not sweeps.start(spec(), (0.05,), 1, folder, "5")
    with take_lock(folder), pytest.raises(InputError, match="--pairs: is running 1 of the 3 cells"):
        sweeps.start(spec(), (0.05,), 3, folder, "5")
    assert sweeps.start(spec(), (0.05,), 3, folder, "5")
    plan = read_plan(tmp_path)
    assert plan is not None and plan.pairs == 3 and len(launched) == 2


def test_a_sweep_that_has_ended_goes_on_with_more_levels(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path)
    sweeps.start(spec(), (0.05,), 1, folder, "5")
    begin(cell(tmp_path, 0.05, 0), ended(Outcome.CONNECTED))
    with (
        take_lock(folder),
        pytest.raises(InputError, match="--levels: is running 1 of the 2"),
    ):
        sweeps.start(spec(), (0.1, 0.05), 1, folder, "5")
    with pytest.raises(InputError, match=r"begun with --levels 0\.05; give the same"):
        sweeps.start(spec(), (0.1,), 1, folder, "5")
    assert sweeps.start(spec(), (0.1, 0.05), 1, folder, "5")
    plan = read_plan(tmp_path)
    assert plan is not None and plan.levels == (0.1, 0.05) and len(launched) == 2


def test_a_sweep_goes_on_or_says_why_not(
    tmp_path: Path, launched: list[tuple[RunDir, tuple[str, ...]]]
) -> None:
    folder = RunDir(tmp_path)
    assert sweeps.resume(folder) == "there is no sweep any more"
    sweeps.start(spec(), LEVELS, 3, folder, "5")
    assert sweeps.resume(folder) == ""
    (tmp_path / "sweep.yaml").write_text("[]")
    assert "sweep.yaml" in str(sweeps.resume(folder))


def test_a_launched_sweep_starts_until_its_engine_holds_it(
    tmp_path: Path, launched: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunDir(tmp_path)
    sweeps.start(spec(), LEVELS, 3, folder, "5")
    follower = SweepFollower(folder, launched=True)
    assert follower.look().state == "starting"
    with take_lock(folder):
        desk = Desk(tmp_path)
        assert follower.look().state == "preparing"
    # An engine that was refused at once is not waited for.
    follower.launched_now()
    assert follower.look().state == "starting"
    desk.close(End("It cannot run: no such data.", 2))
    refused = follower.look()
    assert (refused.state, refused.said) == ("unfinished", "It cannot run: no such data.")
    follower.launched_now()
    now = time.monotonic()
    monkeypatch.setattr("dss_tui.viewing.sweeps.time.monotonic", lambda: now + 60)
    assert follower.look().state == "unfinished"
