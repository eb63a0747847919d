"""Follows a run, live or not, by reading its directory alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import isfinite

from dss_tui.viewing.folding import Folding
from dss_tui.viewing.trails import Trails
from dss_tui.viewing.view_state import View
from engine.record.events import Continued, Record
from engine.record.lock import AT_REST, Life, life_of
from engine.record.progress import Progress, ProgressReader, SegmentProgress, steps_per_s
from engine.record.reading import Damaged
from engine.record.records import RecordTail, effective
from engine.record.rundir import RunDir
from engine.record.runs import STARTING_S, goes_on, is_starting, state_of, tried
from engine.spec.level import bound


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment, as its directory shows it."""

    view: View
    progress: Progress | None
    """The newest progress that could be read, or None before the first."""
    live: bool
    """Whether an engine is at work on the run."""
    starting: bool = False
    """Whether an engine was launched that has not taken the run yet."""
    new: tuple[Record, ...] = ()
    """The records since the last snapshot."""
    steps_per_s: float | None = None
    """The bead-steps per second since the last snapshot; None until two of them tell it."""
    damaged: tuple[Damaged, ...] = ()
    """The faults of the run's files now."""
    readable: bool = True
    """Whether the run's events can be read at all."""
    trails: Trails = field(default_factory=Trails)
    """The losses of the beads in training, as they were seen so far."""
    silent_s: float = 0.0
    """The seconds since the run's events or its progress told anything new."""
    life: Life = AT_REST
    """Whether an engine is at work on the run, and what is known of one that is lost."""
    replayed: bool = False
    """Whether this is a moment of a replay."""
    whole: bool = True
    """Whether profiles and counters are the engine's own; else only what events tell is known."""

    @property
    def state(self) -> str:
        """The run's state in one of the words of `runs.state_of`, or *replay*."""
        if self.replayed:
            return "replay"
        return state_of(
            self.view.finished,
            live=self.live,
            lost=self.life.lost is not None,
            starting=self.starting,
            paused=self.view.paused,
            readable=self.readable,
        )

    @property
    def exit_status(self) -> int:
        """The exit status of a command that watched the run: 0 while the search goes on."""
        return self.view.finished.outcome.exit_status if self.view.finished else 0

    @property
    def going(self) -> bool:
        """Whether an engine is at work on the run, or about to be."""
        return self.live or self.starting

    @property
    def can_resume(self) -> bool:
        """Whether an engine could go on with the run from its checkpoint."""
        return not self.going and goes_on(self.view.finished)

    @property
    def level(self) -> float | None:
        """The newest level that is known."""
        known = self.progress or self.view.started
        return known.level if known is not None and isfinite(known.level) else None

    @property
    def bound(self) -> float | None:
        """The highest loss that a closed segment may have: (1 + tolerance) × level."""
        known, level = self.progress or self.view.started, self.level
        return bound(level, known.tolerance) if known is not None and level is not None else None

    @property
    def segments(self) -> tuple[SegmentProgress, ...]:
        """The segments of the string from end to end, as of the newest progress."""
        return self.progress.segments if self.progress is not None else ()


@dataclass
class Follower:
    """Reads what is new in a run directory at each call of `look`."""

    run: RunDir
    launched: bool = False
    """Whether an engine has just been launched on the run."""
    _looked: bool = False
    """Whether the run was read before. Records that are new now were written since then."""
    _records: list[Record] = field(default_factory=list)
    _folding: Folding = field(default_factory=Folding)
    _snapshot: Snapshot = field(default_factory=lambda: Snapshot(View(), None, False))

    def __post_init__(self) -> None:
        """Starts at the run's first record."""
        self._tail = RecordTail(self.run)
        self._progress = ProgressReader(self.run)
        self.launched = self.launched or is_starting(self.run)
        self._since = self._heard = time.monotonic()

    @property
    def records(self) -> tuple[Record, ...]:
        """The records so far that count."""
        return tuple(self._records)

    def launched_now(self) -> None:
        """Notes that an engine has just been launched on the run."""
        self.launched, self._since = True, time.monotonic()

    def look(self) -> Snapshot:
        """Returns the state of the run as its files show it now, whatever they hold."""
        before = self._snapshot
        faults: list[Damaged] = []
        life = life_of(self.run)  # first: whatever a run wrote before it ended is then seen below
        new = tried(self._tail.new_records, faults)
        progress = tried(self._progress.look, faults) or before.progress
        faults += [self._tail.damaged] if self._tail.damaged is not None else []
        view = self._folded(new or [])
        taken = life.live or (self._looked and bool(new))
        self.launched = self.launched and not taken and time.monotonic() - self._since < STARTING_S
        self._looked = True
        if new or progress != before.progress:
            self._heard = time.monotonic()
        self._snapshot = Snapshot(
            view,
            progress,
            life.live,
            self.launched,
            tuple(new or ()),
            steps_per_s(before.progress, progress, before.steps_per_s),
            tuple(faults),
            readable=new is not None,
            trails=before.trails if progress is None else before.trails.after(progress),
            silent_s=time.monotonic() - self._heard,
            life=life,
        )
        return self._snapshot

    def _folded(self, new: list[Record]) -> View:
        """Returns the view after some new records."""
        if not new:
            return self._snapshot.view
        self._records += new
        if any(isinstance(record.event, Continued) for record in new):
            self._records = effective(self._records)
            self._folding = Folding(self._records)
        else:
            for record in new:
                self._folding.add(record)
        return self._folding.view()
