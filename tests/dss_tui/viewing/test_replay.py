"""A run's past moments, against its own records and its last progress."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dss_tui.cli import main
from dss_tui.viewing.folding import fold_all
from dss_tui.viewing.follow import Follower, Snapshot
from dss_tui.viewing.replay import SPEEDS, WHOLE_S, Player, Replay
from dss_tui.viewing.scene import scene_of
from dss_tui.viewing.view_state import View
from engine.record.events import AuditFailed, Event, LevelLowered, Record, RunFinished
from engine.record.rundir import RunDir
from tests.support.run_folders import CONNECTED
from tests.support.told_runs import GREEDY

#: A run whose first proof fails after all segments were closed.
EVENTS: tuple[Event, ...] = (*GREEDY[:-1], AuditFailed(1, 5, 0.021, 0.75), CONNECTED)
RECORDS = [Record(n, 10.0 * n, event) for n, event in enumerate(EVENTS, 1)]
END = Snapshot(View(), None, live=False)


def after(events: int) -> Snapshot:
    """The run right after so many of its events."""
    replay = Replay(RECORDS, END)
    return replay.at(replay.event(0.0, events) + 1e-9)


def test_a_replay_begins_with_nothing_and_ends_with_what_the_folder_shows() -> None:
    replay = Replay(RECORDS, END)
    first = replay.at(0.0)
    assert (first.progress, first.view.seq, first.state) == (None, 0, "replay")
    assert replay.at(1.0).whole and replay.at(1.0).view is END.view


def test_a_bead_in_training_and_then_its_halves() -> None:
    whole = after(4)
    assert whole.progress is not None and whole.progress.order == (1, 2)
    assert whole.progress.losses == (0.011, 0.012) and whole.progress.phase == "search"
    training = after(5)
    assert training.progress is not None
    (segment,) = training.progress.segments
    assert (segment.state, segment.bead, segment.peak) == ("training", 5, 0.09)
    half = after(7)  # only the first half is measured: the string is still the one before
    assert half.progress is not None and half.progress.order == (1, 2)
    split = after(10)
    assert split.progress is not None and split.progress.order == (1, 5, 2)
    assert [s.state for s in split.progress.segments] == ["closed", "closed"]
    assert split.progress.phase == "audit"
    reopened = after(11)
    assert reopened.progress is not None
    assert (reopened.progress.segments[0].state, reopened.progress.segments[0].peak) == (
        "open",
        0.021,
    )


def test_only_what_events_tell_is_known_of_a_profile() -> None:
    now = after(4)
    scene = scene_of(now.progress, now.view, whole=now.whole)
    assert scene is not None and not scene.whole
    assert scene.tracks == (((0.0, 0.011), (0.4, 0.09), (1.0, 0.012)),)
    assert now.progress is not None and math.isnan(now.progress.counters.normalized_length)


def test_the_losses_of_beads_that_events_do_not_tell_are_unknown() -> None:
    told = [EVENTS[0], EVENTS[3], LevelLowered(0.05, (1,), 0.09, 0.04, 0.09)]
    replay = Replay([Record(n, 1.0 + n, event) for n, event in enumerate(told)], END)
    now = replay.at(0.9999)
    assert now.progress is None or all(map(math.isnan, now.progress.losses))
    last = replay.at(replay.event(0.0, 3) - 1e-9)
    assert last.progress is not None and all(map(math.isnan, last.progress.losses))


def test_backwards_is_the_same_as_forwards() -> None:
    forth, back = Replay(RECORDS, END), Replay(RECORDS, END)
    places = [at / 20 for at in range(20)]
    seen = [forth.at(place) for place in places]
    assert [back.at(place) for place in reversed(places)] == seen[::-1]


def test_half_of_the_way_is_time_and_half_is_events() -> None:
    bunch = [Record(n, 0.01 * n, EVENTS[3]) for n in range(1, 100)]
    slow = [Record(100, 100.0, CONNECTED)]
    replay = Replay([*bunch, *slow], END)
    assert replay.seconds(0.25) < 1.0  # half of the events
    assert replay.seconds(0.9) > 75.0
    seconds = [replay.seconds(at / 50) for at in range(51)]
    assert seconds == sorted(seconds) and seconds[-1] == 100.0 and seconds[0] == 0.0


def test_a_run_of_one_moment_can_be_replayed() -> None:
    one = Replay([Record(1, 0.0, EVENTS[0])], END)
    assert one.duration_s == 0.0
    for place in (0.0, 0.5, 1.0):
        one.at(place)
        assert one.seconds(place) == 0.0
    nothing = Replay([], END)
    assert nothing.at(0.3).replayed and nothing.seconds(0.3) == 0.0


def test_the_player_takes_twenty_seconds_and_stands_at_the_end() -> None:
    player = Player()
    for _ in range(99):
        player = player.after(WHOLE_S / 100)
    assert player.playing and player.place == pytest.approx(0.99)
    player = player.after(WHOLE_S / 50)
    assert (player.place, player.playing) == (1.0, False)
    again = player.toggled()
    assert (again.place, again.playing) == (0.0, True)
    assert again.faster(1).after(1.0).place == pytest.approx(2 / WHOLE_S)
    assert again.faster(-1).speed == 0.5
    assert again.faster(99).speed == SPEEDS[-1] and again.faster(-99).speed == SPEEDS[0]
    held = again.to(0.4)
    assert held.after(5.0) == held and held.toggled().playing
    assert (again.to(7.0).place, again.to(-7.0).place) == (1.0, 0.0)


def test_a_real_search_ends_as_its_progress_says(tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    follower = Follower(RunDir(out))
    end = follower.look()
    assert isinstance(follower.records[-1].event, RunFinished) and end.progress is not None
    replay = Replay(follower.records, end)
    last = replay.at(1.0 - 1e-12).progress
    assert last is not None and last.order == end.progress.order
    assert [s.pair for s in last.segments] == [s.pair for s in end.progress.segments]
    assert [s.length for s in last.segments] == [s.length for s in end.progress.segments]
    assert last.losses == pytest.approx(end.progress.losses, rel=1e-4)
    assert fold_all(follower.records[:-1]).peaks == {s.pair: s.peak for s in last.segments}
