"""What a run screen knows of a run, folded from records made by hand and by a real search."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from dss_tui.cli import main
from dss_tui.viewing.view_state import View, fold, fold_all, sentence
from engine.record.events import (
    EVENTS,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    CheckpointSaved,
    Continued,
    EndpointTrained,
    Event,
    LevelHeld,
    LevelLowered,
    Outcome,
    Paused,
    Record,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
    SegmentUndecided,
    StringShortened,
    Totals,
)
from engine.record.progress import read_progress
from engine.record.records import effective, read_records
from engine.record.rundir import RunDir

STARTED = RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",))
TOTALS = Totals(5, 4, 3, 1, 2, (2, 1, 2), 700, 0.02, 1.7, 8.5)
FINISHED = RunFinished(Outcome.NOT_CONNECTED, "Not connected: 1 of 4.", TOTALS)


def told(*events: Event, after: int = 0) -> list[Record]:
    """The events numbered from `after`, each at a time of its own."""
    return [Record(after + n, at(after + n), event) for n, event in enumerate(events, 1)]


def at(seq: int) -> float:
    return 0.5 + 0.75 * seq


def measured(left: int, right: int, peak: float, depth: int = 1) -> SegmentMeasured:
    return SegmentMeasured(left, right, depth, 2.5, peak, 0.4)


def trained(bead: int, left: int, right: int, depth: int) -> BeadTrained:
    return BeadTrained(bead, left, right, depth, 0.013, 300, 2)


ENDPOINTS = (EndpointTrained(1, 0.011, 410, 1), EndpointTrained(2, 0.012, 520, 3))
#: Events 1–8: two endpoints, and a bead put between them.
SPLIT = (
    STARTED,
    *ENDPOINTS,
    measured(1, 2, 0.09, depth=0),
    BeadInserted(5, 1, 2, 1, 0.4, 0.09),
    trained(5, 1, 2, 1),
    measured(1, 5, 0.03),
    measured(5, 2, 0.05),
)
#: Events 9–14: both halves get a bead, which are measured together.
DEEPER = (
    trained(6, 1, 5, 2),
    trained(7, 5, 2, 2),
    measured(1, 6, 0.014, depth=2),
    measured(6, 5, 0.016, depth=2),
    measured(5, 7, 0.041, depth=2),
    measured(7, 2, 0.017, depth=2),
)


def test_beads_are_counted_by_depth_with_the_time_of_the_newest() -> None:
    view = fold_all(told(*SPLIT, *DEEPER))
    assert view.beads_per_depth == (2, 1, 2)
    assert view.depth_times == (at(3), at(6), at(10))


def test_a_depth_may_be_reached_before_the_one_above_it_has_two_beads() -> None:
    view = fold_all(told(*SPLIT, trained(6, 1, 5, 2), trained(8, 1, 6, 3), trained(7, 5, 2, 2)))
    assert view.beads_per_depth == (2, 1, 2, 1)
    assert view.depth_times == (at(3), at(6), at(11), at(10))


def test_a_split_segment_gives_way_to_its_halves() -> None:
    assert fold_all(told(*SPLIT[:4])).peaks == {(1, 2): 0.09}
    assert fold_all(told(*SPLIT)).peaks == {(1, 5): 0.03, (5, 2): 0.05}


def test_history_is_the_highest_peak_of_a_wholly_measured_string() -> None:
    view = fold_all(told(*SPLIT, *DEEPER))
    assert view.history == ((at(4), 0.09), (at(8), 0.05), (at(14), 0.041))


def test_a_bead_that_is_only_put_in_changes_no_peak() -> None:
    before = fold_all(told(*SPLIT[:4]))
    after = fold_all(told(*SPLIT[:5]))
    assert (after.peaks, after.history, after.beads_per_depth) == (
        before.peaks,
        before.history,
        before.beads_per_depth,
    )


def test_an_audit_raises_a_peak() -> None:
    view = fold_all(told(*SPLIT, AuditFailed(1, 5, 0.07, 0.63)))
    assert view.peaks == {(1, 5): 0.07, (5, 2): 0.05}
    assert view.history[-1] == (at(9), 0.07)


def test_history_passes_over_peaks_that_are_not_finite() -> None:
    broken = (*SPLIT[:-2], measured(1, 5, math.nan), measured(5, 2, 0.05))
    view = fold_all(told(*broken))
    assert math.isnan(view.peaks[1, 5])
    assert view.history == ((at(4), 0.09), (at(8), 0.05))
    only = fold_all(told(STARTED, *ENDPOINTS, measured(1, 2, math.nan)))
    assert only.history == ()


def test_pause_and_ending() -> None:
    paused = fold_all(told(*SPLIT, Paused()))
    assert (paused.paused, paused.finished) == (True, None)
    ended = fold(paused, Record(10, at(10), FINISHED))
    assert (ended.paused, ended.finished) == (False, FINISHED)
    assert (ended.seq, ended.time_s, ended.started) == (10, at(10), STARTED)


@pytest.mark.parametrize("last", [Paused(), FINISHED], ids=["paused", "finished"])
def test_a_run_that_continues_is_neither_paused_nor_finished(last: Event) -> None:
    view = fold_all(told(*SPLIT, last, Continued(9)))
    assert (view.paused, view.finished) == (False, None)
    assert view.beads_per_depth == (2, 1)


def test_a_resumed_run_folds_as_if_never_interrupted() -> None:
    """Events 7–10 were lost with their process, and done again."""
    lost = told(*SPLIT[6:], *DEEPER[:2], after=6)
    again = told(Continued(6), *SPLIT[6:], *DEEPER, after=10)
    records = [*told(*SPLIT[:6]), *lost, *again]
    resumed = fold_all(effective(records))
    whole = fold_all(told(*SPLIT, *DEEPER))
    assert resumed.peaks == whole.peaks
    assert resumed.beads_per_depth == whole.beads_per_depth
    assert [peak for _, peak in resumed.history] == [peak for _, peak in whole.history]
    assert (resumed.started, resumed.finished) == (whole.started, whole.finished)
    assert fold_all(records).history != whole.history


def test_folding_leaves_its_inputs_alone() -> None:
    view = fold_all(told(*SPLIT))
    kept = copy.deepcopy(view)
    for kind in EVENTS.values():
        record = Record(9, at(9), example(kind))
        held = copy.deepcopy(record)
        fold(view, record)
        assert (view, record) == (kept, held)


def test_folding_one_by_one_is_folding_all() -> None:
    records = told(*SPLIT, *DEEPER, Paused())
    view = View()
    for record in records:
        view = fold(view, record)
    assert view == fold_all(records)


def test_a_fold_of_a_real_search_agrees_with_its_counters(tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = ["--set", "problem.data.points=64", "--set", "search.level=1e-2", "--headless"]
    assert main(["run", "quadratic", "--out", str(out), "--seed", "2", *quick]) == 0
    view = fold_all(read_records(RunDir(out)))
    progress = read_progress(RunDir(out))
    assert progress is not None
    assert view.beads_per_depth == progress.counters.beads_per_depth
    assert view.peaks.keys() == {segment.pair for segment in progress.segments}
    assert view.history[-1][1] == max(view.peaks.values())
    assert view.finished is not None and view.finished.outcome is Outcome.CONNECTED


# ---------------------------------------------------------------- sentences

#: An event, then words of its sentence.
ROWS: tuple[tuple[Any, ...], ...] = (
    (STARTED, "greedy", "0.02", "0.7", "seed 5", "61 parameters", "40 samples", "cpu"),
    (ENDPOINTS[1], "endpoint 2", "0.012", "520 steps", "try 3"),
    (measured(2, 9, 0.05, depth=4), "2–9", "0.05", "t = 0.400", "2.5", "depth 4"),
    (BeadInserted(7, 2, 9, 3, 0.45, 0.31), "bead 7", "2", "9", "t = 0.450", "0.31"),
    (trained(7, 2, 9, 3), "bead 7", "0.013", "300 steps", "try 2"),
    (BeadFailed(7, 2, 9, "stuck", 0.3, 90, 2, "other start"), "bead 7", "stuck", "other start"),
    (LevelLowered(0.015, (3, 4), 0.02, 0.017, 0.0199), "0.02 to 0.015", "beads 3, 4"),
    (LevelHeld(0.02, (3, 4), 3, 9, 0.027, 140), "0.02", "140 steps", "beads 3, 4", "3 and 9"),
    (StringShortened(1.4, 1.25, 12, 9), "1.4000 to 1.2500", "12 beads to 9"),
    (SegmentClosed(2, 9, 0.019), "2–9", "closed", "0.019"),
    (SegmentFailed(2, 9, 3, 0.3, "max_depth is reached"), "2–9", "failed", "max_depth"),
    (AuditFailed(2, 9, 0.03, 0.63), "2–9", "0.03", "t = 0.630"),
    (SegmentUndecided(2, 9, 0.25, 0.375, 64), "2–9", "not be proven", "[0.25, 0.375]", "64 cells"),
    (CheckpointSaved("asked_for"), "checkpoint", "asked for"),
    (Paused(), "paused"),
    (Continued(23), "23"),
    (FINISHED, "Not connected: 1 of 4."),
)
EXAMPLES: dict[type[Event], tuple[Event, tuple[str, ...]]] = {
    type(event): (event, tuple(words)) for event, *words in ROWS
}

EVERY = pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS.keys())


def example(kind: type[Event]) -> Event:
    return EXAMPLES[kind][0]


@EVERY
def test_a_sentence_says_the_facts(kind: type[Event]) -> None:
    event, words = EXAMPLES[kind]
    said = sentence(Record(12, 3.5, event))
    assert [word for word in words if word not in said] == []
    assert kind.name not in said or kind is Paused
    assert not re.search(r"\b(None|nan|inf)\b", said)


@EVERY
def test_a_sentence_has_words_for_what_is_not_a_number(kind: type[Event]) -> None:
    losses = [field.name for field in fields(kind) if field.name in ("loss", "peak")]
    changes: dict[str, Any] = dict.fromkeys(losses, math.nan)
    said = sentence(Record(12, 3.5, replace(example(kind), **changes)))
    assert not re.search(r"\b(None|nan|null)\b", said)
    assert ("not finite" in said) == bool(losses)


def test_an_endpoint_that_failed_is_called_one() -> None:
    said = sentence(Record(4, 2.5, BeadFailed(1, None, None, "stuck", 0.3, 90, 2, "new weights")))
    assert said.startswith("endpoint 1 ")
    assert "None" not in said
