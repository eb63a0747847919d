"""The state of the run screen that is folded from a run's events. No Textual here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import singledispatch

from engine.record.events import (
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    CheckpointSaved,
    Continued,
    EndpointTrained,
    LevelHeld,
    LevelLowered,
    LevelSet,
    Paused,
    Record,
    RunFinished,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
    SegmentUndecided,
    StringShortened,
    Unknown,
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
    lengths: dict[Pair, float] = field(default_factory=dict)
    """The lengths of these segments, in the units of the weights."""
    length_history: tuple[tuple[float, float], ...] = ()
    """The running time in seconds and the length of the string, at each change."""
    restarts: tuple[float, ...] = ()
    """The running times in seconds at which the search of a string began anew."""
    depths: dict[int, int] = field(default_factory=dict)
    """The depths of the beads that were trained for the string, by id."""
    depth_times: tuple[float, ...] = ()
    """The running time in seconds at which each depth got its newest bead, put in or trained."""
    parents: dict[int, Pair] = field(default_factory=dict)
    """The neighbours between which each bead was put in last, by the bead's id."""
    put_in: dict[int, int] = field(default_factory=dict)
    """The depth at which each bead was put in, by its id."""
    newest: Record | None = None
    """The newest record, or None before the first."""
    seq: int = 0
    """The number of the newest event."""
    time_s: float = 0.0
    """The running time at the newest event."""

    @property
    def beads_per_depth(self) -> tuple[int, ...]:
        """The number of beads at each depth, from the ends at depth 0.

        They are those that were trained for the string, and those of it that were put in.
        """
        of_string = {bead for pair in self.peaks for bead in pair}
        put_in = {bead: self.put_in[bead] for bead in of_string & self.put_in.keys()}
        depths = list((put_in | self.depths).values())
        return tuple(depths.count(depth) for depth in range(max(depths, default=-1) + 1))


def sentence(record: Record) -> str:
    """Returns the sentence about an event that the log shows."""
    return _told(record.event)


@singledispatch
def _told(event: object) -> str:
    """Returns the sentence about an event, of which there is a function for each kind."""
    raise TypeError(f"no sentence tells of {type(event).__name__}")


@_told.register
def _(e: RunStarted) -> str:
    tolerance = f", tolerance {e.tolerance:g}" if e.tolerance else ""
    return (
        f"started: {e.method}, level {e.level_words} on the {e.level_on}{tolerance}, "
        f"alpha {e.alpha:g}, seed {e.seed}, "
        f"{e.parameters} parameters, {e.samples} samples, on {', '.join(e.devices)}"
    )


@_told.register
def _(e: EndpointTrained) -> str:
    loss = _loss(e.loss)
    return f"endpoint {e.bead} trained to {loss} in {e.steps} steps (try {e.attempt})"


@_told.register
def _(e: SegmentMeasured) -> str:
    return (
        f"segment {e.left}–{e.right}: peak {_loss(e.peak)} at t = {e.t_star:.3f}, "
        f"length {e.length:.3g}, depth {e.depth}"
    )


@_told.register
def _(e: BeadInserted) -> str:
    return (
        f"bead {e.bead} put between {e.left} and {e.right} at t = {e.t:.3f}, loss {_loss(e.loss)}"
    )


@_told.register
def _(e: BeadTrained) -> str:
    return f"bead {e.bead} trained to {_loss(e.loss)} in {e.steps} steps (try {e.attempt})"


@_told.register
def _(e: BeadFailed) -> str:
    what = "endpoint" if e.left is None else "bead"
    return (
        f"{what} {e.bead} missed its target: {e.reason} at loss {_loss(e.loss)} after "
        f"{e.steps} steps; next: {e.remedy}"
    )


@_told.register
def _(e: SegmentClosed) -> str:
    return f"segment {e.left}–{e.right} closed, peak {_loss(e.peak)}"


@_told.register
def _(e: SegmentFailed) -> str:
    return f"segment {e.left}–{e.right} failed, peak {_loss(e.peak)}: {e.reason}"


@_told.register
def _(e: AuditFailed) -> str:
    return f"segment {e.left}–{e.right} reopened: the audit found {_loss(e.peak)} at t = {e.t:.3f}"


@_told.register
def _(e: SegmentUndecided) -> str:
    return (
        f"segment {e.left}–{e.right} could not be proven on [{e.u:.6g}, {e.v:.6g}] in "
        f"{e.bounds} cells"
    )


@_told.register
def _(e: LevelSet) -> str:
    how = "final level" if e.bracket.settled else "level to try"
    return f"{how} {e.level:.6g} ({e.bracket.words})"


@_told.register
def _(e: LevelLowered) -> str:
    beads = ", ".join(map(str, e.held_up_by))
    return f"level lowered from {e.met:.4g} to {e.level:.4g}; held up last by beads {beads}"


@_told.register
def _(e: LevelHeld) -> str:
    beads = ", ".join(map(str, e.held_up_by))
    return (
        f"level {e.level:.4g} holds since {e.steps} steps because of beads {beads}; the "
        f"highest peak is {_loss(e.peak)}, between {e.left} and {e.right}"
    )


@_told.register
def _(e: StringShortened) -> str:
    return (
        f"string shortened: normalized length {e.length_before:.4f} to "
        f"{e.length_after:.4f}, {e.beads_before} beads to {e.beads_after}"
    )


@_told.register
def _(e: CheckpointSaved) -> str:
    return f"checkpoint written ({e.reason.replace('_', ' ')})"


@_told.register
def _(_event: Paused) -> str:
    return "paused"


@_told.register
def _(e: Continued) -> str:
    return f"goes on from event {e.from_seq}" + (f": {e.why}" if e.why else "")


@_told.register
def _(e: RunFinished) -> str:
    return e.sentence + (f" {e.diagnosis.words}" if e.diagnosis else "")


@_told.register
def _(e: Unknown) -> str:
    name = e.kind.replace("_", " ")
    return f"{name}: {e.sentence}" if e.sentence else name


def _loss(value: float) -> str:
    """Returns a loss in four digits, or says that it is not finite."""
    return f"{value:.4g}" if math.isfinite(value) else "not finite"
