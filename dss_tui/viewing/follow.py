"""A run as the screens see it, read from nothing but its directory, live or not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from dss_tui.viewing.view_state import View, fold, fold_all
from engine.record.events import Continued, Record
from engine.record.rundir import RecordTail, RunDir, effective, is_live, read_progress
from engine.record.runs import STARTING_S, is_starting


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment."""

    view: View
    progress: dict[str, Any]
    live: bool
    starting: bool = False
    """Its engine was launched and has not taken the run yet."""
    new: tuple[Record, ...] = ()
    """Records since the snapshot before."""
    steps_per_s: float = 0.0

    @property
    def state(self) -> str:
        """starting, running, paused, interrupted, or the outcome."""
        if self.starting:
            return "starting"
        if self.view.finished is not None:
            return str(self.view.finished.outcome)
        if self.live:
            return "paused" if self.view.paused else "running"
        return "interrupted"

    @property
    def exit_status(self) -> int:
        """Of a command that watched the run: 0 where the search goes on without it."""
        return self.view.finished.outcome.exit_status if self.view.finished else 0

    @property
    def going(self) -> bool:
        """Whether an engine is at work on it, or about to be."""
        return self.live or self.starting

    @property
    def level(self) -> float | None:
        level = self.progress.get("level")
        return level if level else (self.view.started.level if self.view.started else None)

    @property
    def counters(self) -> dict[str, Any]:
        counters: dict[str, Any] = self.progress.get("counters", {})
        return counters

    @property
    def segments(self) -> list[dict[str, Any]]:
        segments: list[dict[str, Any]] = self.progress.get("segments", [])
        return segments


@dataclass
class Follower:
    """Reads what is new in a run directory each time it is asked."""

    run: RunDir
    launched: bool = False
    """Whether its engine has just been launched."""
    _looked: bool = False
    """Whether records that are new now were written since a look."""
    _records: list[Record] = field(default_factory=list)
    _snapshot: Snapshot = field(default_factory=lambda: Snapshot(View(), {}, False))

    def __post_init__(self) -> None:
        self._tail = RecordTail(self.run)
        self.launched = self.launched or is_starting(self.run)
        self._since = time.monotonic()

    def launched_now(self) -> None:
        """An engine has just been launched on the run."""
        self.launched, self._since = True, time.monotonic()

    def look(self) -> Snapshot:
        live = is_live(self.run)  # first: what a run wrote before it ended is then seen below
        new = self._tail.new_records()
        view = self._folded(new)
        progress = read_progress(self.run)
        before = self._snapshot
        taken = live or (self._looked and bool(new))
        self.launched = self.launched and not taken and time.monotonic() - self._since < STARTING_S
        self._looked = True
        self._snapshot = Snapshot(
            view, progress, live, self.launched, tuple(new), _rate(before, progress)
        )
        return self._snapshot

    def _folded(self, new: list[Record]) -> View:
        self._records += new
        undone = [r for r in new if isinstance(r.event, Continued)]
        if undone:
            self._records = effective(self._records)
            return fold_all(self._records)
        view = self._snapshot.view
        for record in new:
            view = fold(view, record)
        return view


def _rate(before: Snapshot, progress: dict[str, Any]) -> float:
    """Bead-steps a second between two snapshots of progress."""
    if not before.progress or not progress:
        return 0.0
    seconds = progress["time"] - before.progress["time"]
    if seconds <= 0:
        return before.steps_per_s
    steps = progress["counters"]["bead_steps"] - before.progress["counters"]["bead_steps"]
    return max(0.0, float(steps / seconds))
