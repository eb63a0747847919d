"""Reads the runs folder again and again, but only what has changed of its runs and sweeps.

No torch here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.record.finding import MARKS, PLANS, is_sweep, placed, runs_folder
from engine.record.reading import Stamp, stamp
from engine.record.rundir import RunDir
from engine.record.runs import Summary, summarize
from engine.record.sweep_summary import summarize_sweep
from engine.record.sweeps import SweepReader

#: The files of which the folder of a run or a sweep holds at least one.
HELD = (*MARKS, *PLANS)

#: The files whose change makes a run's facts worth reading again. Those that are replaced change
#: the time of the folder as well.
WATCHED = (*HELD, "notes.json", "session.json")

#: The states that change without any change of these files, because a process or a while ends.
UNSETTLED = ("running", "paused", "starting", "preparing", "lost")

Stamps = tuple[Stamp | None, ...]
"""The stamps of a run's folder and of its files that are watched."""


@dataclass(frozen=True)
class Look:
    """The runs as one look at the runs folder found them."""

    runs: tuple[Summary, ...]
    """The facts of the runs that are known by now, newest first."""
    complete: bool
    """Whether that is all of them. If not, the next look goes on."""


@dataclass(frozen=True)
class _Read:
    """A run as it was read last."""

    stamps: Stamps
    summary: Summary
    number: int
    """The number of the reading, from 1."""

    @property
    def settled(self) -> bool:
        """Whether the facts hold as long as the stamps do."""
        return self.summary.state not in UNSETTLED


class RunScan:
    """The facts of all runs and sweeps in the runs folder, kept from one look to the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Makes a scan that knows no run yet. `clock` returns seconds."""
        self._known: dict[str, _Read] = {}
        self._sweeps: dict[str, SweepReader] = {}
        self._clock = clock
        self._readings = 0

    def look(self, within_s: float) -> Look:
        """Looks at the runs folder, and reads the runs that are new or have changed.

        It begins no further run once `within_s` seconds have passed, but reads at least one. Runs
        that come or go meanwhile are seen or missed, and never raise.
        """
        until = self._clock() + within_s
        folder = runs_folder()
        stamps = {name: each for name, each in _all_stamps(folder) if any(each[1 : 1 + len(HELD)])}
        known = {name: self._known[name] for name in stamps if name in self._known}
        for at, name in enumerate(_to_read(stamps, known)):
            if at and self._clock() >= until:
                break
            self._readings += 1
            summary = replace(self._summary(placed(folder / name)), name=name)
            known[name] = _Read(stamps[name], summary, self._readings)
        self._known = known
        self._forget_settled()
        found = (read.summary for read in known.values())
        newest_first = sorted(found, key=lambda run: (run.made_s, run.name), reverse=True)
        return Look(tuple(newest_first), complete=len(known) == len(stamps))

    def _forget_settled(self) -> None:
        """Lets go of the readers of sweeps that have come to rest, or are gone."""
        going = {name for name, read in self._known.items() if not read.settled}
        self._sweeps = {name: each for name, each in self._sweeps.items() if name in going}

    def _summary(self, run: RunDir) -> Summary:
        """Returns the facts of a run, or of a sweep, whose reader is kept while that goes on."""
        if not is_sweep(run.path):
            return summarize(run)
        reader = self._sweeps.get(run.name) or SweepReader(run)
        found = summarize_sweep(reader)
        if found.state in UNSETTLED:
            self._sweeps[run.name] = reader
        return found


def _to_read(stamps: Mapping[str, Stamps], known: Mapping[str, _Read]) -> list[str]:
    """Returns the names of the runs to read.

    What was read longest ago comes first, so that none is left out for ever.
    """
    names = [name for name in stamps if not _holds(known.get(name), stamps[name])]
    return sorted(names, key=lambda name: (_number(known.get(name)), -_newest(stamps[name])))


def _holds(read: _Read | None, stamps: Stamps) -> bool:
    """Returns whether a run need not be read again."""
    return read is not None and read.stamps == stamps and read.settled


def _number(read: _Read | None) -> int:
    """Returns the number of a run's last reading, 0 where there was none."""
    return 0 if read is None else read.number


def _all_stamps(folder: Path) -> list[tuple[str, Stamps]]:
    """Returns the name and the stamps of each entry of the runs folder."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, _stamps(entry.path)) for entry in entries]
    except OSError:
        return []


def _stamps(path: str) -> Stamps:
    """Returns the stamps of a run's folder."""
    return tuple(stamp(each) for each in (path, *(f"{path}/{name}" for name in WATCHED)))


def _newest(stamps: Stamps) -> int:
    """Returns when a run was made, in ns: the time of its preset or its folder."""
    made = stamps[1] or stamps[0]
    return made[2] if made is not None else 0
