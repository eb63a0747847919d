"""The lines at the top of a run's screen, at stated widths."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from dss_tui.tui.palette import Palette
from dss_tui.tui.widgets.head import Frame, counted, head
from dss_tui.viewing.follow import Snapshot
from dss_tui.viewing.view_state import View
from engine.record.events import RunStarted
from engine.record.reading import Damaged
from engine.spec.keys import Limits
from tests.support.run_folders import COUNTERS
from tests.support.scenes import progress_along, segment

PALETTE = Palette.dark()
STARTED = RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",), tolerance=0.05)
VIEW = View(
    started=STARTED, depths={1: 0, 2: 0}, history=((1.0, 1.2), (2.0, 0.3), (5.0, 0.021)), seq=7
)
PROGRESS = progress_along(
    segment(1, 3),
    segment(3, 2, state="open"),
    tolerance=0.05,
    aim=0.024,
    phase="search",
    limits=Limits(beads=2000, steps=100_000, seconds=90.0),
    counters=replace(COUNTERS, bead_steps=61_204, max_peak=0.021),
    checkpoint_time=3.0,
)
NOW = Snapshot(VIEW, PROGRESS, live=True, steps_per_s=3714.0)


def lines(now: Snapshot, width: int, count: int = 4) -> list[str]:
    return head(now, Frame("quick", 7.0, width, count), PALETTE).plain.split("\n")


@pytest.mark.parametrize("width", [38, 58, 78, 98, 138, 198])
def test_no_line_is_too_wide_and_no_number_is_broken(width: int) -> None:
    drawn = lines(NOW, width)
    for line in drawn:
        assert cell_len(line) <= width
        assert len(line.strip()) > 1
    text = "\n".join(drawn)
    for words in re.findall(r"[^\n ]+ ?[^\n ]*/s\b", text):
        assert "3 714/s" in text, words
    assert not re.search(r"\n(/s|× level|steps)", text)


def test_a_wide_screen_has_phases_and_the_nearest_limit_in_its_first_line() -> None:
    first, *_ = lines(NOW, 138)
    assert first.startswith("quick  greedy · level 0.02, tolerance 0.05 · seed 5 · cpu")
    assert "✓endpoints ▶search 3/2 ·audit" in first
    assert first.endswith("running  0:07  limit on steps in ~0:10")
    narrow = lines(NOW, 78)
    assert "▶search" not in narrow[0] and narrow[1].startswith("✓endpoints ▶search")


@pytest.mark.parametrize(
    ("width", "first"),
    [
        (78, "quick  greedy · level 0.02, tolerance 0.05 "),
        (55, "quick  level 0.02, tolerance 0.05 "),
        (38, "quick  level 0.02 "),
        (24, "quick   "),
    ],
)
def test_what_does_not_fit_beside_the_state_is_left_out_whole(width: int, first: str) -> None:
    (line, *_) = lines(NOW, width)
    assert line.startswith(first) and line.endswith("running  0:07")
    assert "…" not in line


def test_the_counters_are_told_with_their_limits() -> None:
    said = counted(NOW, 7.0)
    assert said[:2] == ["worst peak 1.050 × level", "level 0.02, tolerance 0.05"]
    for words in (
        "beads 5/2 000",
        "length 1.250 × straight",
        "aim 0.024 → 0.02",
        "open 1 of 2",
        "61 204/100 000 steps",
        "3 714/s",
        "7/90 s",
        "saved 4 s ago",
    ):
        assert words in said


def test_nothing_is_told_of_a_string_that_there_is_not() -> None:
    early = replace(NOW, progress=replace(PROGRESS, segments=(), order=(), losses=()))
    said = " ".join(counted(early, 7.0))
    assert "beads" not in said and "straight" not in said and "open" not in said
    assert "training 2" in said


def test_the_worst_peak_has_a_trend_from_its_first_value() -> None:
    (line,) = [line for line in lines(NOW, 98) if "worst peak" in line]
    assert "worst peak 1.050 × level █▆▁ (from 60)   level 0.02, tolerance 0.05" in line
    assert "(from" not in "\n".join(lines(NOW, 58))


def test_a_paused_or_ended_run_has_no_rate_nor_one_that_was_seen_once() -> None:
    paused = replace(NOW, view=replace(VIEW, paused=True))
    ended = replace(NOW, live=False)
    opened = replace(NOW, steps_per_s=None)
    for now in (paused, ended, opened):
        assert not any("/s" in words for words in counted(now, 7.0))


def test_a_replay_a_frozen_view_and_faults_are_said() -> None:
    frame = Frame("quick", 7.0, 98, 4, replay="replay 0:12 of 1:30")
    first = head(replace(NOW, replayed=True), frame, PALETTE).plain.split("\n")[0]
    assert first.endswith("replay 0:12 of 1:30")
    frozen = head(NOW, replace(frame, replay="", frozen=True), PALETTE).plain
    assert "view frozen  running  0:07" in frozen.split("\n")[0]
    broken = replace(NOW, damaged=(Damaged(Path("/x/progress.json"), "it is torn"),))
    assert "damaged: progress.json: it is torn" in lines(broken, 98)


def test_a_lost_process_says_which_key_resumes() -> None:
    lost = replace(NOW, live=False)
    assert "Its process is gone. r resumes it from its checkpoint." in lines(lost, 98)
    assert "process gone; r resumes" in lines(lost, 38)


# ---------------------------------------------------------------- the shape of the string

TURNING = replace(
    NOW,
    view=replace(VIEW, length_history=((1.0, 2.0), (2.0, math.nan), (5.0, 2.5), (6.0, 3.0))),
    progress=replace(PROGRESS, counters=replace(PROGRESS.counters, turn_mean=13.2, turn_max=74.4)),
)


@pytest.mark.parametrize("width", [108, 109, 110, 118, 138, 198])
def test_length_and_turns_are_told_where_they_fit(width: int) -> None:
    drawn = lines(TURNING, width)
    text = "\n".join(drawn)
    assert ("length 1.250 × straight ▁▅█" in text) == (width >= 110)
    assert ("turn 13° mean, 74° max" in text) == (width >= 110)
    assert "length 1.250 × straight" in text
    assert all(cell_len(line) <= width for line in drawn)


@pytest.mark.parametrize("width", range(110, 150, 3))
def test_trends_have_their_styles_wherever_their_line_is(width: int) -> None:
    drawn = head(TURNING, Frame("quick", 7.0, width, 4), PALETTE)
    for words, style in (("straight ▁▅█", PALETTE.train), ("level █▆▁ (", PALETTE.above)):
        assert words in drawn.plain
        at = drawn.plain.index(words) + words.index(" ") + 1
        styles = {str(span.style) for span in drawn.spans if span.start <= at < span.end}
        assert style in styles


def test_without_inner_beads_no_turn_is_told() -> None:
    assert "turn" not in "\n".join(lines(NOW, 138))
