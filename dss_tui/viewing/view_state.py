"""The state of the run screen that is folded from a run's events. No Textual here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    CheckpointSaved,
    Continued,
    EndpointTrained,
    LevelHeld,
    LevelLowered,
    Paused,
    Record,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
    SegmentUndecided,
    StringShortened,
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class View:
    """The facts about a run that its events tell and its progress does not."""

    started: RunStarted | None = None
    finished: RunFinished | None = None
    paused: bool = False
    peaks: dict[Pair, float] = field(default_factory=dict)
    """The peaks of the measured segments that are on the string now, by their beads' ids."""
    history: tuple[tuple[float, float], ...] = ()
    """The running time in seconds and the highest peak on the string, at each change."""
    depths: dict[int, int] = field(default_factory=dict)
    """The depths of the beads that were trained for the string, by id."""
    depth_times: tuple[float, ...] = ()
    """The running time in seconds at which each depth got its newest bead."""
    seq: int = 0
    """The number of the newest event."""
    time_s: float = 0.0
    """The running time at the newest event."""

    @property
    def beads_per_depth(self) -> tuple[int, ...]:
        """The number of beads at each depth, from the ends at depth 0."""
        depths = list(self.depths.values())
        return tuple(depths.count(depth) for depth in range(len(self.depth_times)))


def fold(view: View, record: Record) -> View:
    """Returns the view after one more record."""
    view = replace(view, seq=record.seq, time_s=record.time)
    match record.event:
        case RunStarted() as started:
            return replace(view, started=started, finished=None)
        case RunFinished() as finished:
            return replace(view, finished=finished, paused=False)
        case Paused():
            return replace(view, paused=True)
        case Continued():
            return replace(view, paused=False, finished=None)
        case EndpointTrained(bead=bead):
            return _bead_at(view, bead, 0)
        case BeadTrained(bead=bead, left=left, right=right, depth=depth):
            return _bead_at(_without(view, (left, right)), bead, depth)
        case SegmentMeasured() | AuditFailed() as measured:
            return _measured(view, (measured.left, measured.right), measured.peak)
        case StringShortened():
            return replace(view, peaks={})
        case BeadFailed(bead=bead, left=left) if left is not None and bead in view.depths:
            return replace(view, depths={b: d for b, d in view.depths.items() if b != bead})
    return view


def fold_all(records: Iterable[Record]) -> View:
    """Returns the view after all of the records."""
    view = View()
    for record in records:
        view = fold(view, record)
    return view


def _bead_at(view: View, bead: int, depth: int) -> View:
    """Returns the view with a bead at a depth."""
    room = max(depth + 1, len(view.depth_times))
    times = [*view.depth_times, *[view.time_s] * (room - len(view.depth_times))]
    times[depth] = view.time_s
    return replace(view, depths=view.depths | {bead: depth}, depth_times=tuple(times))


def _without(view: View, pair: Pair) -> View:
    """Returns the view without a segment, which a bead has split."""
    return replace(view, peaks={other: peak for other, peak in view.peaks.items() if other != pair})


def _measured(view: View, pair: Pair, peak: float) -> View:
    """Returns the view with a segment's peak, and with the string's once all segments are known.

    A bead has one neighbour on each side, so a segment takes the place of those that shared its
    left bead or its right one.
    """
    left, right = pair
    kept = {
        other: known
        for other, known in view.peaks.items()
        if (other[0] == left) == (other[1] == right)
    }
    view = replace(view, peaks=kept | {pair: peak})
    beads = {bead for pair in view.peaks for bead in pair}
    finite = [known for known in view.peaks.values() if math.isfinite(known)]
    whole = {FIRST, LAST} <= beads and len(beads) == len(view.peaks) + 1
    if not finite or not whole:
        return view
    return replace(view, history=(*view.history, (view.time_s, max(finite))))


def sentence(record: Record) -> str:  # noqa: C901  # one flat case for each kind of event
    """Returns the sentence about an event that the log shows."""
    match record.event:
        case RunStarted() as e:
            tolerance = f", tolerance {e.tolerance:g}" if e.tolerance else ""
            return (
                f"started: {e.method}, level {e.level:g} on the {e.level_on}{tolerance}, "
                f"alpha {e.alpha:g}, seed {e.seed}, "
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
                f"segment {e.left}–{e.right} reopened: the audit found {_loss(e.peak)} at "
                f"t = {e.t:.3f}"
            )
        case SegmentUndecided() as e:
            return (
                f"segment {e.left}–{e.right} could not be proven on [{e.u:.6g}, {e.v:.6g}] in "
                f"{e.bounds} cells"
            )
        case LevelLowered() as e:
            beads = ", ".join(map(str, e.held_up_by))
            return f"level lowered from {e.met:.4g} to {e.level:.4g}; held up last by beads {beads}"
        case LevelHeld() as e:
            beads = ", ".join(map(str, e.held_up_by))
            return (
                f"level {e.level:.4g} holds since {e.steps} steps because of beads {beads}; the "
                f"highest peak is {_loss(e.peak)}, between {e.left} and {e.right}"
            )
        case StringShortened() as e:
            return (
                f"string shortened: normalized length {e.length_before:.4f} to "
                f"{e.length_after:.4f}, {e.beads_before} beads to {e.beads_after}"
            )
        case CheckpointSaved() as e:
            return f"checkpoint written ({e.reason.replace('_', ' ')})"
        case Paused():
            return "paused"
        case Continued() as e:
            return f"goes on from event {e.from_seq}"
        case RunFinished() as e:
            return e.sentence + (f" {e.diagnosis.words}" if e.diagnosis else "")
    return record.event.name


def _loss(value: float) -> str:
    """Returns a loss in four digits, or says that it is not finite."""
    return f"{value:.4g}" if math.isfinite(value) else "not finite"
