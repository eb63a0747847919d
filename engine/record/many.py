"""Reads how many runs stand, again and again, at the cost of those that have changed.

No torch here. A run whose events have the same size and time as before is not read again, and of
the others only the last line is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.record.events import Paused, RunFinished, from_line
from engine.record.lines import last_line
from engine.record.lock import AT_REST, life_of
from engine.record.reading import LINK, Damaged
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit


@dataclass(frozen=True)
class Brief:
    """A run in brief, as its newest event tells it."""

    state: str = "waiting"
    """One of the words of `runs.state_of`, or *waiting* for a run without any event."""
    ended: RunFinished | None = None
    """The event that ended the run's newest session, or None while that goes on."""
    began_s: float = 0.0
    """The time at which the newest session began, in seconds since 1970; 0 if not known."""
    written_s: float = 0.0
    """The time of the newest event, in seconds since 1970; 0 if there is none."""
    damaged: Damaged | None = None
    """The fault of the run's events, or None."""


#: The brief of a run without any event.
WAITING = Brief()


@dataclass
class _Known:
    """What is known of a run, and the file that it was read from."""

    run: RunDir
    events: str
    """The path of its events."""
    file: tuple[int, int, int] | None = None
    """The number, size and time of change of the events when they were read; None for no file."""
    brief: Brief = WAITING
    at_work: str | None = None
    """The state of the run if a process is at work on it; None where that makes no difference."""


class ManyRuns:
    """The briefs of many runs, kept up to date."""

    def __init__(self, runs: Iterable[RunDir]) -> None:
        """Knows nothing of the runs yet."""
        self._known = [_Known(run, str(run.events)) for run in runs]
        self._folders = {each.run.path.parent for each in self._known}

    def look(self) -> tuple[Brief, ...]:
        """Returns the brief of each run as its files are now, whatever they hold.

        A brief that has not changed is the same object as before.
        """
        links = {folder for folder in self._folders if folder.is_symlink()}
        return tuple(
            _kept(each, _behind_a_link(each.run))
            if each.run.path.parent in links
            else _looked(each)
            for each in self._known
        )


def _behind_a_link(run: RunDir) -> Brief:
    """Returns the brief of a run whose folder lies in a link."""
    return Brief("damaged", damaged=Damaged(run.path.parent, LINK))


def _looked(known: _Known) -> Brief:
    """Returns the brief of a run, read again where that is needed."""
    # First: whatever the run wrote before it ended is then seen below.
    life = AT_REST if known.at_work is None else life_of(known.run)
    try:
        stat = os.lstat(known.events)
    except FileNotFoundError:
        known.file, known.at_work = None, None
        return _kept(known, WAITING)
    except OSError as error:
        fault = Damaged(known.run.path, f"it cannot be read: {error.strerror}")
        return _kept(known, Brief("damaged", damaged=fault))
    file = stat.st_ino, stat.st_size, stat.st_mtime_ns
    if file != known.file:
        life = life_of(known.run)
        known.file = file
        known.brief, known.at_work = _read(known.run, stat.st_mtime)
    if known.at_work is None:
        return known.brief
    state = "lost" if life.lost is not None else "interrupted"
    return _kept(known, replace(known.brief, state=known.at_work if life.live else state))


def _kept(known: _Known, brief: Brief) -> Brief:
    """Returns the brief that is known if it says the same, else the new one, which is kept."""
    if known.brief != brief:
        known.brief = brief
    return known.brief


def _read(run: RunDir, written_s: float) -> tuple[Brief, str | None]:
    """Returns the brief of a run with events, and its state if a process is at work on it.

    The latter is None where the run has ended, and where its events cannot be read.
    """
    try:
        line = last_line(run.events)
        event = from_line(line).event if line is not None else None
    except Damaged as damaged:
        return Brief("damaged", written_s=written_s, damaged=damaged), None
    except Unfit as unfit:
        why = f"its last line is no event: {unfit}"
        return Brief("damaged", written_s=written_s, damaged=Damaged(run.events, why)), None
    if isinstance(event, RunFinished):
        return Brief(str(event.outcome), event, _began_s(run), written_s), None
    at_work = "paused" if isinstance(event, Paused) else "running"
    return Brief("interrupted", None, _began_s(run), written_s), at_work


def _began_s(run: RunDir) -> float:
    """Returns when the newest session of a run began, in seconds since 1970, or 0."""
    try:
        return os.lstat(run.meta).st_mtime
    except OSError:
        return 0.0
