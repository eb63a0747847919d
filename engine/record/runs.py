"""Tells the state of a run from its directory alone. No torch here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from engine.record.events import Outcome, Record, RunFinished
from engine.record.finding import made_s
from engine.record.lock import is_live
from engine.record.progress import read_progress
from engine.record.reading import Damaged, check_regular
from engine.record.records import RecordTail, effective, finished, is_paused
from engine.record.rundir import RunDir

T = TypeVar("T")

#: The seconds that a new run may take until its engine holds the lock.
STARTING_S = 15.0


@dataclass(frozen=True)
class Summary:
    """The facts that a list of runs shows of one run."""

    name: str
    """The name of the run's folder."""
    state: str
    """One of the words of `state_of`."""
    beads: int | None
    """Number of beads on the string, or None before the first progress."""
    peak_over_level: float | None
    """The highest loss on the string divided by the level, or None before the first measurement."""
    age_s: float
    """Seconds since the run was made."""
    size_bytes: int
    """The size of all files in the folder together."""
    tolerance: float = 0.0
    """The run's segments close at (1 + tolerance) × level."""
    damaged: tuple[Damaged, ...] = ()
    """The faults of the files that were read."""


def summarize(run: RunDir) -> Summary:
    """Returns the facts that a list shows of a run, whatever its files hold."""
    live = is_live(run)  # first: whatever a run wrote before it ended is then seen below
    faults: list[Damaged] = []
    records = tried(lambda: _records(run, faults), faults)
    progress = tried(lambda: read_progress(run), faults)
    state = state_of(
        finished(records or []),
        live=live,
        starting=is_starting(run),
        paused=is_paused(records or []),
        readable=records is not None,
    )
    return Summary(
        name=run.name,
        state=state,
        beads=progress.counters.beads if progress is not None else None,
        peak_over_level=progress.peak_over_level if progress is not None else None,
        age_s=time.time() - made_s(run),
        size_bytes=_size_bytes(run),
        tolerance=progress.tolerance if progress is not None else 0.0,
        damaged=tuple(faults),
    )


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
    starting: bool = False,
    paused: bool = False,
    readable: bool = True,
) -> str:
    """Returns the state of a run in one word.

    It is *running* or *paused* while an engine holds the run, *starting* where one is about to, and
    *damaged* where its preset or its events cannot be read. Else it is the outcome of `ended`, or
    *interrupted* where the process ended without an outcome.
    """
    if live:
        return "paused" if paused else "running"
    if starting:
        return "starting"
    if not readable:
        return "damaged"
    return "interrupted" if ended is None else str(ended.outcome)


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


def _size_bytes(run: RunDir) -> int:
    """Returns the size of the files in a run's folder, without those that vanish meanwhile."""
    total = 0
    try:
        with os.scandir(run.path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass
    return total
