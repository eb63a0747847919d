"""Tells the state of a run from its directory alone. No torch here.

A sweep in a list of runs is told in the same way (`sweep_summary`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from engine.record.events import Outcome, Record, RunFinished, RunStarted
from engine.record.finding import made_s, preset_of
from engine.record.lock import AT_REST, Life, life_of
from engine.record.notes import Notes, read_notes
from engine.record.progress import read_progress
from engine.record.reading import Damaged, check_regular
from engine.record.records import RecordTail, effective, finished, is_paused
from engine.record.rundir import RunDir

T = TypeVar("T")

#: The seconds that a new run may take until its engine holds the lock.
STARTING_S = 15.0


@dataclass(frozen=True)
class Summary:
    """The facts that a list shows of a run or a sweep. What no file tells yet is None."""

    name: str
    """The name of the run's folder."""
    state: str
    """One of the words of `state_of`, or of `SweepView.state` for a sweep."""
    preset: str | None
    """The name of the preset, as the folder's first name tells it."""
    started: RunStarted | None
    """The event that began the run, with its method, its level and its seed."""
    beads: int | None
    """Number of beads on the string."""
    peak_over_level: float | None
    """The highest loss on the string divided by the level."""
    normalized_length: float | None
    """The string's length divided by the distance of its ends."""
    elapsed_s: float | None
    """Running time in seconds, all sessions together."""
    made_s: float
    """When the run was made, in seconds since 1970."""
    size_bytes: int | None
    """The size of all files in the folder together; None of a sweep that goes on."""
    note: str = ""
    """The user's note on the run, or "" for none."""
    tolerance: float = 0.0
    """The run's segments close at (1 + tolerance) × level."""
    damaged: tuple[Damaged, ...] = ()
    """The faults of the files that were read."""
    pairs: tuple[int, int] | None = None
    """Of a sweep, how many of its searches have ended, and how many it has; None for a run."""
    level_set: float | None = None
    """The newest level that came about in the search; None where the preset names it."""
    life: Life = AT_REST
    """Whether an engine is at work on it."""

    @property
    def level(self) -> float | None:
        """The level; None where no file tells it, or it is to come about in the search."""
        if self.level_set is not None or self.started is None:
            return self.level_set
        return _finite(self.started.level)

    @property
    def level_asked(self) -> str:
        """What the preset asks for where it names no number, such as "lowest"; else empty."""
        return "" if self.started is None else self.started.level_asked

    @property
    def age_s(self) -> float:
        """Seconds since the run was made."""
        return time.time() - self.made_s


def summarize(run: RunDir) -> Summary:
    """Returns the facts that a list shows of a run, whatever its files hold."""
    life = life_of(run)  # first: whatever a run wrote before it ended is then seen below
    faults: list[Damaged] = []
    records = tried(lambda: _records(run, faults), faults)
    progress = tried(lambda: read_progress(run), faults)
    notes = tried(lambda: read_notes(run), faults) or Notes()
    state = state_of(
        finished(records or []),
        live=life.live,
        lost=life.lost is not None,
        starting=is_starting(run),
        paused=is_paused(records or []),
        readable=records is not None,
    )
    counters = progress.counters if progress is not None else None
    set_to = progress.level if progress is not None and progress.bracket is not None else None
    return Summary(
        name=run.name,
        state=state,
        preset=preset_of(notes.first_name or run.name),
        started=_started(records or []),
        beads=counters.beads if counters is not None else None,
        peak_over_level=progress.peak_over_level if progress is not None else None,
        normalized_length=_finite(counters.normalized_length) if counters is not None else None,
        elapsed_s=progress.time if progress is not None else None,
        made_s=made_s(run),
        size_bytes=size_bytes(run.path),
        note=notes.note,
        tolerance=progress.tolerance if progress is not None else 0.0,
        damaged=tuple(faults),
        level_set=None if set_to is None else _finite(set_to),
        life=life,
    )


def _started(records: list[Record]) -> RunStarted | None:
    """Returns the event that began a run, or None where no record holds it."""
    return next((each.event for each in records if isinstance(each.event, RunStarted)), None)


def _finite(value: float) -> float | None:
    """Returns a number, or None where it is not finite."""
    return value if isfinite(value) else None


def tried(read: Callable[[], T], faults: list[Damaged]) -> T | None:
    """Returns what `read` returns, or None where it raises Damaged, which is added to `faults`."""
    try:
        return read()
    except Damaged as damaged:
        faults.append(damaged)
        return None


def _records(run: RunDir, faults: list[Damaged]) -> list[Record]:
    """Returns the records of a run, and adds the first damaged line to `faults`.

    Raises Damaged where the run has no preset, or the events cannot be read.
    """
    if not check_regular(run.spec):
        raise Damaged(run.spec, "it is missing")
    tail = RecordTail(run)
    records = effective(tail.new_records())
    faults += [tail.damaged] if tail.damaged is not None else []
    return records


def state_of(
    ended: RunFinished | None,
    *,
    live: bool,
    lost: bool = False,
    starting: bool = False,
    paused: bool = False,
    readable: bool = True,
) -> str:
    """Returns the state of a run in one word.

    It is *running* or *paused* while an engine holds the run, *starting* where one is about to, and
    *damaged* where its preset or its events cannot be read. Else it is the outcome of `ended`,
    *lost* where an engine of another machine is not heard any more, or *interrupted* where the
    process ended without an outcome.
    """
    if live:
        return "paused" if paused else "running"
    if starting:
        return "starting"
    if not readable:
        return "damaged"
    if ended is not None:
        return str(ended.outcome)
    return "lost" if lost else "interrupted"


def is_starting(run: RunDir) -> bool:
    """Returns whether a run that no process holds is so new that its engine may still start."""
    young = time.time() - made_s(run) < STARTING_S
    return young and not os.path.lexists(run.events)


def goes_on(ended: RunFinished | None, *, limits_changed: bool = False) -> bool:
    """Returns whether a run that is not live can go on from its checkpoint.

    `ended` is how it ended, or None; `limits_changed` says that it would get other limits.
    """
    if ended is None:
        return True
    if ended.outcome is Outcome.LIMIT_REACHED:
        return limits_changed
    return ended.outcome in (Outcome.STOPPED, Outcome.FAILED)


def size_bytes(folder: str | os.PathLike[str], depth: int = 1) -> int:
    """Returns the size of the files in a folder, without those that vanish meanwhile.

    The files of the folders within it are counted too, down to a depth.
    """
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
                elif depth and entry.is_dir(follow_symlinks=False):
                    total += size_bytes(entry.path, depth - 1)
    except OSError:
        pass
    return total
