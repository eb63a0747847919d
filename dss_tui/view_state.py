"""What a run screen knows of a run: a pure fold over its events. No Textual here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from engine.events import (
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    CheckpointSaved,
    Continued,
    EndpointTrained,
    LevelLowered,
    Paused,
    Record,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class View:
    """The facts so far that the newest progress does not hold."""

    started: RunStarted | None = None
    finished: RunFinished | None = None
    paused: bool = False
    peaks: dict[Pair, float] = field(default_factory=dict)
    """Of the segments that are on the string now."""
    history: tuple[tuple[float, float], ...] = ()
    """(seconds, highest peak on the string) at each change."""
    beads_per_depth: tuple[int, ...] = ()
    depth_times: tuple[float, ...] = ()
    """Seconds at which each depth got its newest bead."""
    seq: int = 0
    time_s: float = 0.0


def fold(view: View, record: Record) -> View:
    """The view after one more record."""
    view = replace(view, seq=record.seq, time_s=record.time)
    match record.event:
        case RunStarted() as started:
            return replace(view, started=started)
        case RunFinished() as finished:
            return replace(view, finished=finished, paused=False)
        case Paused():
            return replace(view, paused=True)
        case Continued():
            return replace(view, paused=False, finished=None)
        case EndpointTrained():
            return _bead_at(view, 0)
        case BeadTrained(left=left, right=right, depth=depth):
            peaks = {pair: peak for pair, peak in view.peaks.items() if pair != (left, right)}
            return _bead_at(replace(view, peaks=peaks), depth)
        case SegmentMeasured(left=left, right=right, peak=peak):
            return _highest(replace(view, peaks=view.peaks | {(left, right): peak}))
        case AuditFailed(left=left, right=right, peak=peak):
            return _highest(replace(view, peaks=view.peaks | {(left, right): peak}))
    return view


def fold_all(records: Iterable[Record]) -> View:
    view = View()
    for record in records:
        view = fold(view, record)
    return view


def _bead_at(view: View, depth: int) -> View:
    room = max(depth + 1, len(view.beads_per_depth))
    counts = [*view.beads_per_depth, *[0] * (room - len(view.beads_per_depth))]
    times = [*view.depth_times, *[view.time_s] * (room - len(view.depth_times))]
    counts[depth] += 1
    times[depth] = view.time_s
    return replace(view, beads_per_depth=tuple(counts), depth_times=tuple(times))


def _highest(view: View) -> View:
    """With the highest peak in the history, once every segment of the string is measured."""
    finite = [peak for peak in view.peaks.values() if math.isfinite(peak)]
    if not finite or len(view.peaks) < sum(view.beads_per_depth) - 1:
        return view
    return replace(view, history=(*view.history, (view.time_s, max(finite))))


def sentence(record: Record) -> str:
    """An event as a person reads it in the log."""
    match record.event:
        case RunStarted() as e:
            return (
                f"started: {e.method}, level {e.level:g}, alpha {e.alpha:g}, seed {e.seed}, "
                f"{e.parameters} parameters, {e.samples} samples, on {', '.join(e.devices)}"
            )
        case EndpointTrained() as e:
            loss = _loss(e.loss)
            return f"endpoint {e.bead} trained to {loss} in {e.steps} steps (try {e.attempt})"
        case SegmentMeasured() as e:
            return (
                f"segment {e.left}–{e.right}: peak {_loss(e.peak)} at t = {e.t_star:.3f}, "
                f"length {e.length:.3g}, depth {e.depth}"
            )
        case BeadInserted() as e:
            return (
                f"bead {e.bead} put between {e.left} and {e.right} at t = {e.t:.3f}, "
                f"loss {_loss(e.loss)}"
            )
        case BeadTrained() as e:
            return f"bead {e.bead} trained to {_loss(e.loss)} in {e.steps} steps (try {e.attempt})"
        case BeadFailed() as e:
            what = "endpoint" if e.left is None else "bead"
            return (
                f"{what} {e.bead} missed its target: {e.reason} at loss {_loss(e.loss)} after "
                f"{e.steps} steps; next: {e.remedy}"
            )
        case SegmentClosed() as e:
            return f"segment {e.left}–{e.right} closed, peak {_loss(e.peak)}"
        case SegmentFailed() as e:
            return f"segment {e.left}–{e.right} failed, peak {_loss(e.peak)}: {e.reason}"
        case AuditFailed() as e:
            return (
                f"segment {e.left}–{e.right} reopened: the closer look found {_loss(e.peak)} at "
                f"t = {e.t:.3f}"
            )
        case LevelLowered() as e:
            return f"level lowered to {e.level:g}"
        case CheckpointSaved() as e:
            return f"checkpoint written ({e.reason.replace('_', ' ')})"
        case Paused():
            return "paused"
        case Continued() as e:
            return f"goes on from event {e.from_seq}"
        case RunFinished() as e:
            return e.sentence
    return record.event.name


def _loss(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not finite"
