"""A run as a viewer sees it, read from directories that a writer of the engine's fills."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import presets
from dss_tui.viewing.folding import fold_all
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.view_state import View
from engine.record import finding
from engine.record.events import (
    BeadTrained,
    CheckpointSaved,
    Continued,
    EndpointTrained,
    Event,
    Outcome,
    Paused,
    Record,
    RunFinished,
    SegmentMeasured,
)
from engine.record.records import read_records
from engine.record.rundir import RunDir
from engine.record.runs import STARTING_S
from engine.record.writer import RunWriter
from tests.support.made_events import STARTED, TOTALS
from tests.support.run_folders import progress

LIMIT = RunFinished(Outcome.LIMIT_REACHED, "The limit of 5 beads is reached.", TOTALS)
STRING: tuple[Event, ...] = (
    STARTED,
    EndpointTrained(0, 0.011, 410, 1),
    EndpointTrained(1, 0.012, 520, 3),
    SegmentMeasured(0, 1, 0, 3.5, 0.09, 0.4),
)
SPLIT: tuple[Event, ...] = (
    BeadTrained(2, 0, 1, 1, 0.013, 300, 2),
    SegmentMeasured(0, 2, 1, 1.5, 0.03, 0.6),
    SegmentMeasured(2, 1, 1, 2.25, 0.05, 0.3),
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return finding.create(presets.load_preset("cubic", ["seed=6"]), "cubic", tmp_path / "run")


@pytest.fixture
def writer(run: RunDir) -> Iterator[RunWriter]:
    with RunWriter(run) as writer:
        yield writer


def write(run: RunDir, *events: Event) -> None:
    """A session that reports these events and is gone."""
    with RunWriter(run) as writer:
        tell(writer, *events)


def tell(writer: RunWriter, *events: Event) -> list[Record]:
    return [writer.record(event, 0.75 * (writer.seq + 1)) for event in events]


def age(run: RunDir) -> None:
    """Makes the run one of long ago."""
    os.utime(run.spec, (10_000, 10_000))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Moves the viewer's clock on."""
    import time

    now, today = time.monotonic(), time.time()
    clock = SimpleNamespace(monotonic=lambda: now + seconds, time=lambda: today + seconds)
    monkeypatch.setattr("dss_tui.viewing.follow.time", clock)


# ---------------------------------------------------------------- states


def test_a_new_directory_is_starting(run: RunDir) -> None:
    seen = Follower(run).look()
    assert (seen.state, seen.live, seen.going) == ("starting", False, True)


def test_a_directory_that_no_engine_took_is_interrupted_in_the_end(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(run)
    assert follower.look().state == "starting"
    later(monkeypatch, STARTING_S + 1)
    assert (follower.look().state, follower.look().going) == ("interrupted", False)


def test_an_old_directory_without_events_is_interrupted(run: RunDir) -> None:
    age(run)
    assert Follower(run).look().state == "interrupted"
    assert Follower(run, launched=True).look().state == "starting"


def test_a_live_run_is_running_or_paused(run: RunDir, writer: RunWriter) -> None:
    follower = Follower(run)
    tell(writer, *STRING)
    assert follower.look().state == "running"
    tell(writer, Paused())
    assert (follower.look().state, follower.look().going) == ("paused", True)
    tell(writer, Continued(5))
    assert follower.look().state == "running"


def test_a_run_is_interrupted_when_its_process_is_gone(run: RunDir) -> None:
    follower = Follower(run)
    with RunWriter(run) as writer:
        tell(writer, *STRING)
        assert follower.look().state == "running"
    assert (follower.look().state, follower.look().going) == ("interrupted", False)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_run_that_ended_is_in_the_state_of_its_outcome(run: RunDir, outcome: Outcome) -> None:
    write(run, *STRING, replace(LIMIT, outcome=outcome))
    age(run)
    seen = Follower(run).look()
    assert (seen.state, seen.going) == (str(outcome), False)
    assert seen.exit_status == {Outcome.CONNECTED: 0, Outcome.FAILED: 1}.get(outcome, 3)


def test_watching_a_run_that_goes_on_is_no_failure(run: RunDir) -> None:
    write(run, *STRING)
    assert Follower(run).look().exit_status == 0


def test_a_resumed_run_is_starting_until_its_engine_takes_it(run: RunDir) -> None:
    write(run, *STRING, replace(LIMIT, outcome=Outcome.STOPPED))
    age(run)
    follower = Follower(run)
    assert follower.look().state == "stopped"
    follower.launched_now()
    assert (follower.look().state, follower.look().going) == ("starting", True)
    with RunWriter(run) as writer:
        assert follower.look().live
        tell(writer, Continued(4))
        assert follower.look().state == "running"
    assert follower.look().state == "interrupted"


def test_a_follower_of_a_resumed_run_is_starting_from_its_first_evaluation(run: RunDir) -> None:
    write(run, *STRING, replace(LIMIT, outcome=Outcome.STOPPED))
    assert Follower(run, launched=True).look().state == "starting"


def test_an_engine_that_came_and_went_between_two_looks_is_no_longer_starting(run: RunDir) -> None:
    follower = Follower(run, launched=True)
    assert follower.look().state == "starting"
    write(run, replace(LIMIT, outcome=Outcome.FAILED))
    assert follower.look().state == "failed"


# ---------------------------------------------------------------- records


def test_each_record_is_new_once(run: RunDir, writer: RunWriter) -> None:
    follower = Follower(run)
    assert follower.look().new == ()
    first = tell(writer, *STRING)
    assert follower.look().new == tuple(first)
    assert follower.look().new == ()
    second = tell(writer, *SPLIT)
    seen = follower.look()
    assert seen.new == tuple(second)
    assert seen.view == fold_all([*first, *second])


def test_a_follower_that_comes_late_sees_the_same(run: RunDir, writer: RunWriter) -> None:
    early = Follower(run)
    for event in (*STRING, *SPLIT):
        tell(writer, event)
        early.look()
    assert early.look().view == Follower(run).look().view


def test_a_resume_undoes_what_was_lost(run: RunDir) -> None:
    follower = Follower(run)
    write(run, *STRING, *SPLIT)
    assert follower.look().view.beads_per_depth == (2, 1)
    with RunWriter(run) as writer:
        tell(writer, Continued(4))
        seen = follower.look()
        assert [record.event for record in seen.new] == [Continued(4)]
        assert (seen.view.beads_per_depth, seen.view.peaks) == ((2,), {(0, 1): 0.09})
        tell(writer, *SPLIT)
        seen = follower.look()
    assert seen.view == fold_all(read_records(run))
    assert (seen.view.beads_per_depth, seen.view.seq) == ((2, 1), 11)


def test_a_second_resume_undoes_across_the_first(run: RunDir) -> None:
    follower = Follower(run)
    for events in ((*STRING, *SPLIT), (Continued(4), SPLIT[0]), (Continued(4), *SPLIT)):
        write(run, *events)
        follower.look()
    assert follower.look().view == fold_all(read_records(run))
    assert follower.look().view.beads_per_depth == (2, 1)


def test_a_half_written_line_waits_for_its_end(run: RunDir) -> None:
    write(run, *STRING)
    follower = Follower(run)
    follower.look()
    line = Record(5, 4.25, CheckpointSaved("stopped")).to_line() + "\n"
    for part in (line[:17], line[17:-1]):
        with open(run.events, "a") as file:
            file.write(part)
        assert follower.look().new == ()
    with open(run.events, "a") as file:
        file.write(line[-1])
    assert [record.seq for record in follower.look().new] == [5]


def test_a_line_of_something_else_is_passed_over(run: RunDir, writer: RunWriter) -> None:
    tell(writer, STARTED)
    with open(run.events, "ab") as file:
        file.write(b'\xff{"event": "from_the_future", "seq": 2}\n')
    tell(writer, STRING[1])
    assert [record.event for record in Follower(run).look().new] == [STARTED, STRING[1]]


def test_a_directory_that_is_removed_while_watched_keeps_its_last_view(run: RunDir) -> None:
    import shutil

    write(run, *STRING, LIMIT)
    follower = Follower(run)
    before = follower.look()
    shutil.rmtree(run.path)
    after = follower.look()
    assert (after.view, after.state, after.live) == (before.view, "limit_reached", False)


# ---------------------------------------------------------------- progress


def test_the_rate_is_that_between_two_snapshots(run: RunDir, writer: RunWriter) -> None:
    follower = Follower(run)
    assert follower.look().steps_per_s is None
    writer.progress(progress(2.5, 300))
    assert follower.look().steps_per_s is None
    writer.progress(progress(4.5, 1000))
    assert follower.look().steps_per_s == 350
    assert follower.look().steps_per_s == 350
    writer.progress(progress(5.0, 1200))
    assert follower.look().steps_per_s == 400


def test_the_rate_is_never_negative(run: RunDir, writer: RunWriter) -> None:
    """A resume goes back to the steps of its checkpoint."""
    follower = Follower(run)
    for seconds, steps in ((4.5, 1000), (5.5, 700), (3.0, 600)):
        writer.progress(progress(seconds, steps))
        assert (follower.look().steps_per_s or 0) >= 0


def test_the_level_is_the_newest_known(run: RunDir, writer: RunWriter) -> None:
    follower = Follower(run)
    assert follower.look().level is None
    tell(writer, STARTED)
    assert follower.look().level == 0.02
    writer.progress(progress(2.5, 300, level=0.015))
    assert follower.look().level == 0.015


def test_progress_that_is_not_there_yet_is_empty() -> None:
    nothing = Snapshot(View(), None, live=True)
    assert (nothing.level, nothing.segments, nothing.state) == (None, (), "running")


def test_damaged_progress_is_told_and_the_last_good_one_stays(
    run: RunDir, writer: RunWriter
) -> None:
    follower = Follower(run)
    writer.progress(progress(2.5, 300))
    assert follower.look().damaged == ()
    run.progress.write_text('{"seq": 3, "counters": null}')
    seen = follower.look()
    assert seen.progress == progress(2.5, 300)
    assert [fault.short for fault in seen.damaged] == [
        "damaged: progress.json: time is missing",
    ]
    writer.progress(progress(4.5, 1000))
    assert (follower.look().damaged, follower.look().steps_per_s) == ((), 350)


def test_events_that_cannot_be_read_are_told(run: RunDir) -> None:
    age(run)
    os.mkfifo(run.events)
    seen = Follower(run).look()
    assert (seen.state, seen.going) == ("damaged", False)
    assert [str(fault) for fault in seen.damaged] == [f"damaged: {run.events}: it is a pipe"]


def test_a_damaged_line_is_told_and_passed_over(run: RunDir, writer: RunWriter) -> None:
    tell(writer, STARTED)
    with open(run.events, "ab") as file:
        file.write(b'{"event": "paused", "seq": 2, "time": "noon"}\n')
    tell(writer, STRING[1])
    seen = Follower(run).look()
    assert [record.event for record in seen.new] == [STARTED, STRING[1]]
    assert [fault.short for fault in seen.damaged] == [
        "damaged: events.jsonl: line 2 is no event: time is 'noon', but must be a number",
    ]
