"""Runs whose folders are written by hand, so that what they tell is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.record.events import (
    BeadFailed,
    BeadInserted,
    BeadTrained,
    EndpointTrained,
    Event,
    LevelHeld,
    LevelLowered,
    Outcome,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentMeasured,
)
from engine.record.finding import create
from engine.record.findings import Totals
from engine.record.progress import Counters, Progress
from engine.record.rundir import RunDir
from engine.record.writer import RunWriter
from tests.support.preset import spec_of
from tests.support.run_folders import COUNTERS
from tests.support.scenes import HILL, progress_along, segment

CONSTRAINED_SENTENCE = "Not connected: the string is stuck at level 0.0312."
CONSTRAINED: tuple[Event, ...] = (
    RunStarted("constrained", 0.02, 0.7, 5, 61, 40, ("cpu",)),
    SegmentMeasured(1, 2, 0, 5.5, 0.61, 0.25),
    LevelLowered(0.42, (), 0.61, 0.23, 0.6),
    SegmentMeasured(1, 2, 0, 5.25, 0.55, 0.5),
    BeadInserted(3, 1, 2, 1, 0.5, 0.54),
    SegmentMeasured(1, 3, 1, 3.0, 0.21, 0.75),
    SegmentMeasured(3, 2, 1, 4.0, 0.033, 0.5),
    LevelLowered(0.0312, (3,), 0.05, 0.021, 0.049),
    LevelHeld(0.0312, (3,), 1, 3, 0.047, 640),
    SegmentMeasured(1, 3, 1, 3.25, 0.047, 0.5),
    BeadFailed(3, 1, 2, "stuck", 0.0437, 1280, 1, "none is left"),
    RunFinished(
        Outcome.NOT_CONNECTED,
        CONSTRAINED_SENTENCE,
        Totals(3, 2, 0, 0, 1, (2, 1), 99_334, 0.047, 1.31, 33.5),
        certified=False,
    ),
)
CONNECTED_SENTENCE = "Connected: 3 beads, every segment at most 0.95 × level."
GREEDY: tuple[Event, ...] = (
    RunStarted("greedy", 0.02, 0.7, 5, 61, 40, ("cpu",)),
    EndpointTrained(1, 0.011, 410, 1),
    EndpointTrained(2, 0.012, 520, 3),
    SegmentMeasured(1, 2, 0, 2.5, 0.09, 0.4),
    BeadInserted(5, 1, 2, 1, 0.4, 0.09),
    BeadTrained(5, 1, 2, 1, 0.013, 300, 2),
    SegmentMeasured(1, 5, 1, 1.5, 0.019, 0.5),
    SegmentClosed(1, 5, 0.019),
    SegmentMeasured(5, 2, 1, 1.75, 0.018, 0.25),
    SegmentClosed(5, 2, 0.018),
    RunFinished(
        Outcome.CONNECTED,
        CONNECTED_SENTENCE,
        Totals(3, 2, 2, 0, 1, (2, 1), 1230, 0.019, 1.3, 9.0),
        certified=None,
    ),
)


def constrained_run(folder: Path) -> RunDir:
    """A constrained run that got stuck, with the progress that its engine wrote last."""
    run = create(spec_of("search.method=constrained"), "stuck", folder / "stuck")
    string = (
        segment(1, 3, 3.25, state="open", profile=HILL, peak=0.047, t_star=0.5),
        segment(3, 2, 4.0, state="open", profile=HILL, peak=0.033, t_star=0.5),
    )
    last = progress_along(
        *string,
        time=33.0,
        state="ended",
        phase="search",
        aim=0.0312,
        losses=(0.0151, 0.0437, 0.0122),
        seq=len(CONSTRAINED),
        counters=_counters(open_=2, closed=0, peak=0.047),
    )
    _write(run, CONSTRAINED, last)
    return run


def greedy_run(folder: Path, name: str = "greedy") -> RunDir:
    """A greedy run that connected by samples."""
    run = create(spec_of(), name, folder / name)
    string = (segment(1, 5, 1.5), segment(5, 2, 1.75))
    counters = _counters(open_=0, closed=2, peak=0.019)
    _write(run, GREEDY, progress_along(*string, state="ended", phase="audit", counters=counters))
    return run


def _counters(*, open_: int, closed: int, peak: float) -> Counters:
    return replace(
        COUNTERS,
        depth=1,
        beads=3,
        beads_per_depth=(2, 1),
        open=open_,
        closed=closed,
        in_training=0,
        max_peak=peak,
        bead_steps=99_334,
    )


def _write(run: RunDir, events: tuple[Event, ...], last: Progress) -> None:
    with RunWriter(run) as writer:
        for number, event in enumerate(events, 1):
            writer.record(event, 3.0 * number)
        writer.progress(last)
