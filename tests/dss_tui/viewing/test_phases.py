"""Phases, limits and the words on the engine's work, from snapshots made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.phases import at_work, phases, to_limit
from dss_tui.viewing.view_state import View
from engine.record.events import Outcome, RunFinished
from engine.record.progress import Within
from engine.spec.keys import Limits
from tests.support.run_folders import CONNECTED, COUNTERS, TOTALS, progress
from tests.support.scenes import progress_along, segment

TRAINED = View(depths={1: 0, 2: 0})
OPEN = (segment(1, 3), segment(3, 2, state="open"))


def at(stage: str, view: View = TRAINED, **more: Any) -> Snapshot:
    counters = replace(COUNTERS, closed=1)
    return Snapshot(view, progress_along(*OPEN, phase=stage, counters=counters, **more), live=True)


def told(now: Snapshot) -> str:
    return " ".join(phase.words for phase in phases(now))


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("search", "✓endpoints ▶search 1/2 ·audit"),
        ("polish", "✓endpoints ▶polish 1/2 ·audit"),
        ("audit", "✓endpoints ✓search 1/2 ▶audit"),
        ("proof", "✓endpoints ✓search 1/2 ▶proof 0/2"),
        ("a new stage", "✓endpoints ▶a new stage 1/2 ·audit"),
    ],
)
def test_the_stage_at_work_is_named(stage: str, words: str) -> None:
    assert told(at(stage)) == words


def test_the_ends_are_counted() -> None:
    one = Snapshot(View(depths={2: 0}), progress(phase="endpoints"), live=True)
    assert told(one) == "▶endpoints 1/2 ·search ·audit"


def test_a_search_that_makes_its_own_ends_has_no_phase_for_them() -> None:
    assert told(at("search", View())) == "▶search 1/2 ·audit"


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (Within(0.0, since=1.0), "0% of a long computation is done"),
        (Within(0.25, since=1.0, left=42.3), "25% of a long computation is done, about 42 s left"),
    ],
)
def test_a_long_computation_is_told_with_the_time_that_it_still_takes(
    within: Within, words: str
) -> None:
    assert at_work(at("search", within=within), seconds=9.0) == words


def test_an_ending_is_shown_where_it_came() -> None:
    failed = RunFinished(Outcome.NOT_CONNECTED, "No.", TOTALS)
    ended = replace(TRAINED, finished=failed)
    assert told(replace(at("search", ended), live=False)) == "✓endpoints ✕search 1/2 ·audit"
    done = replace(TRAINED, finished=CONNECTED)
    assert told(replace(at("audit", done), live=False)) == "✓endpoints ✓search 1/2 ✓audit"
    assert phases(Snapshot(View(), None, live=False)) == ()


def test_the_nearest_limit_is_told_with_the_time_to_it() -> None:
    limits = Limits(seconds=100.0, steps=1000)
    now = at("search", limits=limits)
    assert to_limit(now, 40.0) == "limit on seconds in ~1:00"
    fast = replace(now, steps_per_s=30.0)  # 300 of 1000 steps are left
    assert to_limit(fast, 40.0) == "limit on steps in ~0:10"
    assert to_limit(replace(fast, live=False), 40.0) == ""
    assert to_limit(replace(fast, view=replace(TRAINED, paused=True)), 40.0) == ""
    assert to_limit(at("search"), 40.0) == ""


def test_what_an_engine_does_that_takes_no_steps() -> None:
    assert "samples every segment again" in at_work(at("audit"), 5.0)
    assert "proven" in at_work(at("proof"), 5.0)
    assert at_work(at("search"), 5.0) == ""
    late = at("audit", limits=Limits(seconds=4.0))
    assert at_work(late, 5.0).startswith("at its limit on seconds")
    assert at_work(replace(late, silent_s=12.4), 5.0).endswith("no news for 12 s")
    assert at_work(replace(late, live=False), 5.0) == ""
