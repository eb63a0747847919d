"""The string as events tell it, one event after the other."""

from __future__ import annotations

import math

from dss_tui.viewing.board import Board
from dss_tui.viewing.view_state import View
from engine.record.bracket import Bracket
from engine.record.events import (
    BeadFailed,
    BeadInserted,
    Event,
    LevelLowered,
    LevelSet,
    Record,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)
from engine.record.progress import Progress

STARTED = RunStarted("auto", 0.02, 0.7, 5, 61, 40, ("cpu",), tolerance=0.25)


def after(*events: Event) -> Progress:
    board = Board()
    for event in (STARTED, *events):
        board.apply(event)
    found = board.progress(Record(9, 4.5, events[-1]), View())
    assert found is not None
    return found


def measured(left: int, right: int, peak: float = 0.03, depth: int = 1) -> SegmentMeasured:
    return SegmentMeasured(left, right, depth, 2.5, peak, 0.4)


def test_before_the_start_there_is_no_progress() -> None:
    board = Board()
    assert board.progress(Record(1, 0.5, measured(1, 2)), View()) is None


def test_the_numbers_are_those_of_the_events() -> None:
    now = after(measured(1, 2, 0.5), measured(1, 3, 0.04), measured(3, 2, 0.05, depth=2))
    assert (now.seq, now.time, now.level, now.tolerance) == (9, 4.5, 0.02, 0.25)
    assert now.order == (1, 3, 2)
    assert [segment.peak for segment in now.segments] == [0.04, 0.05]
    assert (now.counters.max_peak, now.counters.depth, now.counters.open) == (0.05, 2, 2)


def test_a_bead_that_was_taken_out_leaves_the_string_once_it_is_measured_again() -> None:
    before = (measured(1, 3), measured(3, 2), BeadFailed(3, 1, 2, "stuck", 0.4, 9, 1, "taken out"))
    assert after(*before).order == (1, 3, 2)
    assert after(*before, measured(1, 2)).order == (1, 2)


def test_a_bead_that_failed_is_no_longer_in_training() -> None:
    put = BeadInserted(7, 1, 2, 1, 0.4, 0.5)
    assert after(measured(1, 2), put).segments[0].bead == 7
    failed = BeadFailed(7, 1, 2, "patience", 0.3, 90, 1, "half-way")
    assert after(measured(1, 2), put, failed).segments[0].state == "open"


def test_nothing_is_in_training_once_the_whole_string_is_closed() -> None:
    """Of the beads of a band nobody tells that each has reached a target."""
    band = (measured(1, 2), BeadInserted(3, 1, 2, 1, 0.5, 0.5), measured(1, 3), measured(3, 2))
    half = (*band, SegmentClosed(1, 3, 0.019))
    assert after(*half).counters.in_training == len(after(*half).training) == 1
    whole = after(*half, SegmentClosed(3, 2, 0.018))
    assert whole.counters.in_training == len(whole.training) == 0


def test_what_became_of_a_segment() -> None:
    ends = (measured(1, 3), measured(3, 2))
    now = after(*ends, SegmentClosed(1, 3, 0.019), SegmentFailed(3, 2, 1, 0.03, "too deep"))
    assert [segment.state for segment in now.segments] == ["closed", "failed"]
    assert (now.counters.closed, now.counters.failed) == (1, 1)
    unknown = after(*ends, SegmentClosed(8, 9, 0.01))  # of no segment that was measured
    assert [segment.state for segment in unknown.segments] == ["open", "open"]


def test_the_aim_is_the_newest_level() -> None:
    assert after(measured(1, 2), LevelLowered(0.31, (), 0.5, 0.2, 0.4)).aim == 0.31
    assert after(measured(1, 2)).aim is None


def test_a_level_that_is_set_takes_the_place_of_the_first() -> None:
    bracket = Bracket("lowest", ends=0.01, found=0.4, tries=2)
    told = LevelSet(0.3, bracket)
    now = after(measured(1, 2), LevelLowered(0.31, (), 0.5, 0.2, 0.4), told)
    assert (now.level, now.bracket, now.aim) == (0.3, bracket, None)


def test_events_in_a_circle_give_no_string() -> None:
    now = after(measured(1, 3), measured(3, 1), measured(3, 3))
    assert now.order == () and math.isnan(now.counters.max_peak)
