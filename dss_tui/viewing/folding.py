"""Folds the events of a run, one after another, into what the run screen knows of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from dss_tui.viewing.view_state import View
from engine.record.events import (
    FIRST,
    LAST,
    AuditFailed,
    BeadFailed,
    BeadInserted,
    BeadTrained,
    Continued,
    EndpointTrained,
    Paused,
    Record,
    RunFinished,
    RunStarted,
    SegmentMeasured,
)


def fold_all(records: Iterable[Record]) -> View:
    """Returns the view after all of the records."""
    return Folding(records).view()


class _Segment(NamedTuple):
    """A measured segment, by its left bead."""

    right: int
    """The bead at its other end."""
    peak: float
    length: float
    """Its length in the units of the weights; NaN where only an audit has told of it."""


class Folding:
    """A view in the making, to which records are added.

    A measured segment is known by its left bead, so that one of a string that was given up is
    written over. The string leads from end to end by segments of which each begins where the one
    before ends.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        """Begins with some records."""
        self._view = View()
        self._newest: Record | None = None
        self._segments: dict[int, _Segment] = {}
        """The measured segments by their left beads."""
        self._history: list[tuple[float, float]] = []
        self._length_history: list[tuple[float, float]] = []
        for record in records:
            self.add(record)

    def view(self) -> View:
        """Returns the view after the records so far. Later ones do not change it."""
        newest = self._newest
        if newest is None:
            return self._view
        return replace(
            self._view,
            peaks={(left, each.right): each.peak for left, each in self._segments.items()},
            lengths={(left, each.right): each.length for left, each in self._segments.items()},
            history=tuple(self._history),
            length_history=tuple(self._length_history),
            newest=newest,
            seq=newest.seq,
            time_s=newest.time,
        )

    def add(self, record: Record) -> None:
        """Adds one more record."""
        self._newest, view = record, self._view
        match record.event:
            case RunStarted() as started:
                self._view = replace(view, started=started, finished=None)
            case RunFinished() as finished:
                self._view = replace(view, finished=finished, paused=False)
            case Paused():
                self._view = replace(view, paused=True)
            case Continued():
                self._view = replace(view, paused=False, finished=None)
            case EndpointTrained(bead=bead):
                self._view = _bead_at(view, bead, 0, record.time)
            case BeadInserted() as inserted:
                self._view = _put_in(view, inserted, record.time)
            case BeadTrained() as trained:
                self._trained(trained, record.time)
            case SegmentMeasured() | AuditFailed() as measured:
                self._measured(measured, record.time)
            case BeadFailed() as failed:
                self._failed(failed, record.time)

    def _trained(self, trained: BeadTrained, time_s: float) -> None:
        """Adds a bead, which has split the segment between its neighbours."""
        split = self._segments.get(trained.left)
        if split is not None and split.right == trained.right:
            del self._segments[trained.left]
        self._view = _bead_at(self._view, trained.bead, trained.depth, time_s)

    def _measured(self, measured: SegmentMeasured | AuditFailed, time_s: float) -> None:
        """Adds a segment's peak, and the string's once all of its segments are known.

        An audit tells no length, since it measures a segment that is known.
        """
        known, length = self._segments.get(measured.left), math.nan
        if isinstance(measured, SegmentMeasured):
            length = measured.length
        elif known is not None and known.right == measured.right:
            length = known.length
        self._segments[measured.left] = _Segment(measured.right, measured.peak, length)
        string = self._string()
        finite = [each.peak for each in string.values() if math.isfinite(each.peak)]
        if not finite:
            return
        self._history.append((time_s, max(finite)))
        self._length_history.append((time_s, sum(each.length for each in string.values())))
        if len(string) < len(self._segments):
            self._segments = string

    def _string(self) -> dict[int, _Segment]:
        """Returns the segments from end to end by their left beads, none where one is missing."""
        at, found = FIRST, dict[int, _Segment]()
        while at != LAST:
            segment = self._segments.get(at)
            if segment is None or len(found) >= len(self._segments):
                return {}
            found[at] = segment
            at = segment.right
        return found

    def _failed(self, failed: BeadFailed, time_s: float) -> None:
        """Takes note of a bead that missed its target.

        The search of a string begins anew where an endpoint does, or where only the ends are left.
        """
        alone = (failed.left, failed.right) == (FIRST, LAST) and failed.remedy == "taken out"
        if self._history and (failed.left is None or alone):
            self._view = replace(self._view, restarts=(*self._view.restarts, time_s))
        if failed.left is not None:
            kept = {bead: at for bead, at in self._view.depths.items() if bead != failed.bead}
            self._view = replace(self._view, depths=kept)


def _put_in(view: View, inserted: BeadInserted, time_s: float) -> View:
    """Returns the view with a bead between its neighbours."""
    bead, pair = inserted.bead, (inserted.left, inserted.right)
    if view.parents.get(bead) == pair:
        return view
    return replace(
        view,
        parents=view.parents | {bead: pair},
        put_in=view.put_in | {bead: inserted.depth},
        depth_times=_newest_at(view, inserted.depth, time_s),
    )


def _bead_at(view: View, bead: int, depth: int, time_s: float) -> View:
    """Returns the view with a bead at a depth."""
    times = _newest_at(view, depth, time_s)
    return replace(view, depths=view.depths | {bead: depth}, depth_times=times)


def _newest_at(view: View, depth: int, time_s: float) -> tuple[float, ...]:
    """Returns the times of the newest beads of all depths, where a depth gets one."""
    room = max(depth + 1, len(view.depth_times))
    times = [*view.depth_times, *[time_s] * (room - len(view.depth_times))]
    times[depth] = time_s
    return tuple(times)
