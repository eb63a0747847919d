"""What became of a run, told from its directory alone. No torch here."""

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

#: Seconds that a new run may take to load its libraries before its engine holds it.
STARTING_S = 15.0


@dataclass(frozen=True)
class Summary:
    """A run in a list of runs."""

    name: str
    state: str
    """One of the words of `state_of`."""
    beads: int | None
    """Number of beads on the string, None as long as nothing is known."""
    peak_over_level: float | None
    """The highest loss on the string divided by the level, None as long as nothing is measured."""
    age_s: float
    """Seconds since the run was made."""
    size_bytes: int
    """Bytes of all files in the folder."""
    tolerance: float = 0.0
    """The run's segments close at (1 + tolerance) × level."""
    damaged: tuple[Damaged, ...] = ()
    """What is wrong with the files that were read."""


def summarize(run: RunDir) -> Summary:
    """Returns what a list shows of a run, whatever its files hold."""
    live = is_live(run)  # first: what a run wrote before it ended is then seen below
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
    """Returns what `read` returns, or None with the fault appended where a file is damaged."""
    try:
        return read()
    except Damaged as damaged:
        faults.append(damaged)
        return None


def _records(run: RunDir, faults: list[Damaged]) -> list[Record]:
    """Returns the records of a run that has a preset, with a damaged line noted in `faults`.

    Raises Damaged where the preset or the events cannot be read.
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

    It is *running* or *paused* while an engine holds the run, *starting* where one is about to,
    *damaged* where its preset or its events cannot be read, else the outcome that it `ended` with,
    or *interrupted* where its process is gone without one.
    """
    if live:
        return "paused" if paused else "running"
    if starting:
        return "starting"
    if not readable:
        return "damaged"
    return "interrupted" if ended is None else str(ended.outcome)


def is_starting(run: RunDir) -> bool:
    """Returns whether a run that no process holds is so new that its engine may be about to."""
    young = time.time() - made_s(run) < STARTING_S
    return young and not os.path.lexists(run.events)


def goes_on(ended: RunFinished | None, *, limits_changed: bool = False) -> bool:
    """Returns whether a run that is not live can do more from its checkpoint."""
    if ended is None:
        return True
    if ended.outcome is Outcome.LIMIT_REACHED:
        return limits_changed
    return ended.outcome in (Outcome.STOPPED, Outcome.FAILED)


def _size_bytes(run: RunDir) -> int:
    """Returns the bytes of the files in a run's folder, those that vanish meanwhile left out."""
    total = 0
    try:
        with os.scandir(run.path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass
    return total
