"""`dss-tui sweep` on a terminal: the dashboard, and an engine that goes on without it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dss_tui.cli import main
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.sweep_state import read_state
from engine.record.sweeps import SweepReader
from tests.support.pseudo_terminal import viewer
from tests.support.sweep_folders import sweep_of

SWEEP = ["sweep", "quadratic", "--levels", "5e-2,2e-2", "--pairs", "3"]
TINY = ["--set", "problem.data.points=64"]
#: A sweep that goes on until it is stopped: its endpoints never reach the level.
ENDLESS = ["search.level_on.split=train", "endpoints.patience=1000000000"]
NEVER = ["endpoints.max_steps=1000000000", "endpoints.alpha=1e-9"]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def overrides(*keys: str) -> list[str]:
    return [part for key in keys for part in ("--set", key)]


def test_started_left_attached_and_ended(tmp_path: Path) -> None:
    """The terminal of the first viewer is closed; a second one sees the end."""
    out = tmp_path / "sweep"
    folder = RunDir(out)
    command = [*SWEEP, *TINY, *overrides(*ENDLESS, *NEVER), "--out", str(out)]
    with viewer(*command, columns=100) as shown:
        shown.wait_for("under way")
        assert is_live(folder)
        shown.hang_up()
        assert shown.wait_for_end(reading=False) in (128 + signal.SIGHUP, -signal.SIGHUP, 1)
    assert is_live(folder)
    with viewer("attach", str(out), columns=100) as shown, viewer("attach", str(out)) as other:
        shown.wait_for("6 under way")
        other.wait_for("6 under way")
        shown.press("p")
        shown.wait_for("paused")
        other.wait_for("paused")
        other.press("x")
        other.wait_for("Stop the sweep?")
        other.press("y")
        shown.wait_for("unfinished")
        shown.press("q")
        assert shown.wait_for_end() == 3
    wait_until(lambda: not is_live(folder))
    cells = SweepReader(folder).look().cells
    assert [cell.brief.state for cell in cells] == ["stopped"] * 6
    assert all(cell.cell.run.checkpoint.exists() for cell in cells)
    assert {"sweep.csv", "levels.csv", "sweep.json"} <= {path.name for path in out.iterdir()}


def test_a_whole_sweep_on_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    with viewer(*SWEEP, *TINY, "--out", str(out), columns=100) as shown:
        shown.wait_for("6 of 6 ended")
        assert shown.leave() == 0
        assert shown.unrest() == []
    state = read_state(out)
    assert state is not None and (state.state, state.exit_status) == ("ended", 0)
    assert main([*SWEEP, *TINY, "--out", str(out), "--headless"]) == 0


def test_a_refusal_by_the_engine_is_shown(tmp_path: Path) -> None:
    """The level is above what an error rate can be, which only the data tell."""
    out = tmp_path / "sweep"
    rate = overrides("search.level_on.metric=error_rate")
    command = ["sweep", "digits", "--levels", "0.1,1.5", "--pairs", "2", *rate, "--out", str(out)]
    with viewer(*command, columns=140) as shown:
        shown.wait_for("It cannot run: search.level: is 1.5")
        shown.press("q")
        assert shown.wait_for_end() == 2


def test_bad_input_is_refused_on_the_terminal(tmp_path: Path) -> None:
    sweep_of(tmp_path / "sweep", (0.05,), 2)
    with viewer(*SWEEP, "--out", str(tmp_path / "sweep")) as shown:
        assert shown.wait_for_end() == 2
        assert "holds another sweep" in shown.text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_has_begun_ends_at_once(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost then, and nothing is written."""
    from engine.run import sweep

    def begins(*arguments: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(sweep, "start", begins)
    with pytest.raises(SystemExit) as end:
        main([*SWEEP, *TINY, "--out", str(tmp_path / "new"), "--headless"])
    assert end.value.code == 128 + number
    assert not (tmp_path / "new").exists()
