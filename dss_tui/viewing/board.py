"""The string of a run as its events alone tell it, for replays.

Events tell beads, lengths, peaks and their places, but neither profiles nor the losses of beads
that move with the whole string.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, nan

from dss_tui.viewing.view_state import Pair, View
from engine.record.bracket import Bracket
from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    EndpointTrained,
    Event,
    LevelLowered,
    LevelSet,
    Record,
    RunStarted,
    SegmentClosed,
    SegmentFailed,
    SegmentMeasured,
)
from engine.record.progress import (
    Counters,
    Progress,
    SegmentProgress,
    SegmentState,
    TrainingProgress,
)

#: The number of points of a profile of which only the ends and the peak are known.
POINTS = 33


@dataclass(frozen=True)
class Known:
    """What the events tell of a segment."""

    measured: SegmentMeasured
    """Its newest measurement, with the peak of a later audit."""
    state: SegmentState


class Board:
    """The beads and segments of a string, brought up to date by one event after the other."""

    def __init__(self) -> None:
        """Makes the board of a run that has not started."""
        self.started: RunStarted | None = None
        self.aim: float | None = None
        self.level = nan
        """The newest level."""
        self.bracket: Bracket | None = None
        """How it came about; None where the preset names it."""
        self.order: tuple[int, ...] = ()
        """The beads of the newest whole string, from end to end."""
        self._after: dict[int, int] = {}
        self._known: dict[Pair, Known] = {}
        self._losses: dict[int, float] = {}
        self._training: dict[int, tuple[Pair, TrainingProgress]] = {}

    def apply(self, event: Event) -> None:
        """Brings the board up to date by an event."""
        match event:
            case RunStarted():
                self.started, self.level = event, event.level
            case EndpointTrained():
                self._losses[event.bead] = event.loss
            case BeadInserted():
                started = TrainingProgress(event.bead, event.loss, 0, 1)
                self._training[event.bead] = (event.left, event.right), started
            case BeadTrained():
                self._losses[event.bead] = event.loss
                self._training.pop(event.bead, None)
            case BeadFailed():
                self._training.pop(event.bead, None)
            case LevelLowered():
                self.aim = event.level
            case LevelSet():
                self.level, self.bracket, self.aim = event.level, event.bracket, None
            case SegmentMeasured() | SegmentClosed() | SegmentFailed() | AuditFailed():
                self._of_segment(event)

    def _of_segment(
        self, event: SegmentMeasured | SegmentClosed | SegmentFailed | AuditFailed
    ) -> None:
        """Takes over what an event tells of a segment."""
        pair = (event.left, event.right)
        if isinstance(event, SegmentMeasured):
            self._known[pair] = Known(event, "open")
            self._after[event.left] = event.right
            self.order = self._walk() or self.order
            return
        known = self._known.get(pair)
        if known is None:
            return
        match event:
            case SegmentClosed():
                self._known[pair] = replace(known, state="closed")
            case SegmentFailed():
                self._known[pair] = replace(known, state="failed")
            case AuditFailed():
                peak = replace(known.measured, peak=event.peak, t_star=event.t)
                self._known[pair] = Known(peak, "open")

    def _walk(self) -> tuple[int, ...]:
        """Returns the beads from end to end by the newest measurements, or none without a path."""
        at, found = FIRST, [FIRST]
        while at != LAST and at in self._after and len(found) <= len(self._after):
            at = self._after[at]
            found.append(at)
        return tuple(found) if at == LAST else ()

    # ------------------------------------------------------------ what screens see

    def progress(self, record: Record, view: View) -> Progress | None:
        """Returns what a screen may show after a record, or None before the run has started."""
        if self.started is None:
            return None
        segments = tuple(map(self._segment, pairwise(self.order)))
        peaks = [segment.peak for segment in segments if isfinite(segment.peak)]
        states = [segment.state for segment in segments]
        moving = () if self._is_closed(states) else self._training.values()
        training = tuple(bead for _, bead in moving)
        return Progress(
            seq=record.seq,
            time=record.time,
            state="running",
            phase=self._phase(states),
            level=self.level,
            bracket=self.bracket,
            tolerance=self.started.tolerance,
            alpha=self.started.alpha,
            aim=self.aim,
            counters=Counters(
                depth=max([0, *(segment.depth for segment in segments)]),
                beads=len(self.order),
                beads_per_depth=view.beads_per_depth,
                open=states.count("open") + states.count("training"),
                closed=states.count("closed"),
                failed=states.count("failed"),
                in_training=len(training),
                bead_steps=0,
                max_peak=max(peaks, default=nan),
                normalized_length=nan,
            ),
            order=self.order,
            losses=tuple(self._losses.get(bead, nan) for bead in self.order),
            training=training,
            segments=segments,
        )

    def _phase(self, states: list[SegmentState]) -> str:
        """Returns the name of the stage at work, as far as events tell it."""
        if not self.order:
            return "endpoints"
        return "audit" if self._is_closed(states) else "search"

    @staticmethod
    def _is_closed(states: list[SegmentState]) -> bool:
        """Returns whether the whole string is closed, after which none of its beads moves."""
        return set(states) == {"closed"}

    def _segment(self, pair: Pair) -> SegmentProgress:
        """Returns a segment with the three points of its profile that are known."""
        known = self._known[pair]
        measured, left, right = known.measured, *pair
        beads = {between: bead.bead for between, bead in self._training.values()}
        bead = beads.get(pair)
        profile = [nan] * POINTS
        profile[0], profile[-1] = self._losses.get(left, nan), self._losses.get(right, nan)
        return SegmentProgress(
            left=left,
            right=right,
            depth=measured.depth,
            state=known.state if bead is None else "training",
            length=measured.length,
            peak=measured.peak,
            t_star=measured.t_star,
            profile=tuple(profile),
            secondary=(),
            bead=bead,
        )
