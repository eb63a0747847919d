"""What a list of runs shows, whatever has become of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.record import finding
from engine.record.events import Continued, Outcome, Paused, RunFinished
from engine.record.rundir import RunDir
from engine.record.runs import goes_on, state_of, summarize
from engine.record.writer import RunWriter
from tests.support.made_events import STARTED
from tests.support.run_folders import STOPPED, TOTALS, progress, write


def aged(run: RunDir) -> RunDir:
    """The run, as if it had been made long ago."""
    os.utime(run.spec, (1e6, 1e6), follow_symlinks=False)
    return run


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({"live": True}, "running"),
        ({"live": True, "paused": True}, "paused"),
        ({"live": True, "readable": False}, "running"),
        ({"live": False, "starting": True}, "starting"),
        ({"live": False, "starting": True, "readable": False}, "starting"),
        ({"live": False, "readable": False}, "damaged"),
        ({"live": False, "paused": True}, "interrupted"),
    ],
)
def test_the_state_of_a_run_without_an_ending(known: dict[str, bool], state: str) -> None:
    assert state_of(None, **known) == state


@pytest.mark.parametrize("outcome", Outcome)
def test_the_state_of_a_run_that_ended_is_its_outcome(outcome: Outcome) -> None:
    ended = RunFinished(outcome, "Ended.", TOTALS)
    assert state_of(ended, live=False) == outcome
    assert state_of(ended, live=False, starting=True) == "starting"
    assert state_of(ended, live=True) == "running"


@pytest.mark.parametrize(
    ("outcome", "as_it_is", "with_other_limits"),
    [
        (Outcome.CONNECTED, False, False),
        (Outcome.NOT_CONNECTED, False, False),
        (Outcome.ENDPOINT_NOT_TRAINED, False, False),
        (Outcome.LIMIT_REACHED, False, True),
        (Outcome.STOPPED, True, True),
        (Outcome.FAILED, True, True),
    ],
)
def test_which_runs_can_go_on(outcome: Outcome, as_it_is: bool, with_other_limits: bool) -> None:
    ended = RunFinished(outcome, "Ended.", TOTALS)
    assert goes_on(ended) is as_it_is
    assert goes_on(ended, limits_changed=True) is with_other_limits
    assert goes_on(None)


def test_a_summary_of_a_run_under_way(run: RunDir) -> None:
    assert summarize(run).state == "starting"
    with RunWriter(run) as writer:
        writer.record(STARTED, 0.5)
        writer.progress(progress())
        seen = summarize(run)
        assert (seen.name, seen.state, seen.beads, seen.damaged) == ("run", "running", 5, ())
        assert seen.peak_over_level == pytest.approx(0.03 / 0.02)
        assert seen.size_bytes == sum(path.stat().st_size for path in run.path.iterdir())
        writer.record(Paused(), 1.0)
        assert summarize(run).state == "paused"
        writer.record(Continued(2), 1.5)
        assert summarize(run).state == "running"
    assert summarize(aged(run)).state == "interrupted"
    write(run, STOPPED)
    assert summarize(run).state == "stopped"


@pytest.mark.parametrize("file", ["run.yaml", "events.jsonl"])
def test_a_run_whose_preset_or_events_cannot_be_read_is_listed(file: str, runs: Path) -> None:
    run = RunDir(runs / "monday")
    run.path.mkdir(parents=True)
    (run.path / "meta.json").touch()
    for name in ("run.yaml", "events.jsonl"):
        (run.path / name).touch()
    (run.path / file).unlink()
    os.mkfifo(run.path / file)
    (listed,) = finding.runs()
    seen = summarize(aged(listed))
    assert (seen.name, seen.state) == ("monday", "damaged")
    assert [fault.short for fault in seen.damaged] == [f"damaged: {file}: it is a pipe"]


def test_a_run_without_its_preset_is_listed(run: RunDir) -> None:
    write(run, STARTED)
    run.spec.unlink()
    os.utime(run.path, (1e6, 1e6))
    seen = summarize(run)
    assert seen.state == "damaged"
    assert [fault.short for fault in seen.damaged] == ["damaged: run.yaml: it is missing"]


def test_damaged_progress_leaves_the_state(run: RunDir) -> None:
    write(aged(run), STARTED, STOPPED)
    run.progress.write_text("[")
    seen = summarize(run)
    assert (seen.state, seen.beads, seen.peak_over_level) == ("stopped", None, None)
    assert [fault.path for fault in seen.damaged] == [run.progress]
