"""The lock that says whether an engine is at work on a run. No torch here.

The system frees it however the engine ends, so a run whose process was killed is not live. What the
lock does not tell, because the engine is on another machine, its heartbeat does (`heartbeat`).
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import IO

from engine.errors import InputError
from engine.record.heartbeat import EVERY_S, LOST_S, Holder, holder_in, is_heard, silent_s
from engine.record.reading import Damaged, open_to_read
from engine.record.rundir import RunDir
from engine.record.writing import open_to_append

#: The number of times that an engine asks for the lock, and the seconds in between.
TRIES, BETWEEN_TRIES_S = 20, 0.05
#: The seconds for which an engine listens for another machine's before it takes its run.
LISTEN_S = 2 * EVERY_S + 1


def take_lock(run: RunDir) -> IO[bytes]:
    """Returns the run's lock file, locked until it is closed.

    Raises InputError where another process runs this run, and SaveError where the file cannot be
    opened.
    """
    file = open_to_append(run.lock)
    try:
        _lock(file, run)
        _check_away(file, run)
    except BaseException:
        file.close()
        raise
    return file


def _lock(file: IO[bytes], run: RunDir) -> None:
    """Locks the file. Raises InputError where another process has."""
    for _ in range(TRIES):  # a reader that asks whether the run is live holds it for an instant
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(BETWEEN_TRIES_S)
    raise InputError(
        f"another process is running it; `dss-tui stop {run.path}` stops it", file=run.path
    )


def _check_away(file: IO[bytes], run: RunDir) -> None:
    """Raises InputError where an engine of another machine is heard, whose lock is not seen here.

    It is listened for, whatever the clocks say.
    """
    holder = _holder(run)
    if holder is not None and not holder.is_near and is_heard(file.fileno(), LISTEN_S):
        raise InputError(
            f"process {holder.pid} of {holder.host} is running it; `dss-tui stop {run.path}` "
            "stops it",
            file=run.path,
        )


def _holder(run: RunDir) -> Holder | None:
    """Returns the process that has written itself into a run's lock file, or None."""
    descriptor = open_to_read(run.lock)
    if descriptor is None:
        return None
    try:
        return holder_in(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Life:
    """Whether an engine is at work on a run, as far as can be told from here."""

    live: bool
    """Whether one is."""
    lost: Holder | None = None
    """The engine of another machine that was at work and is not heard any more, or None."""
    silent_s: float = 0.0
    """The seconds for which that one was not heard."""

    @property
    def words(self) -> str:
        """What is known of an engine that is lost, in a sentence; else empty."""
        if self.lost is None:
            return ""
        return f"no heartbeat from {self.lost.host} (process {self.lost.pid}) for {self._silence}"

    @property
    def _silence(self) -> str:
        minutes = self.silent_s / 60
        if minutes < 2:
            return f"{self.silent_s:.0f} s"
        return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


#: The life of a run that nobody is at work on.
AT_REST = Life(live=False)


def life_of(run: RunDir) -> Life:
    """Returns whether an engine is at work on a run, on this machine or on another one."""
    try:
        descriptor = open_to_read(run.lock)
    except Damaged:
        return AT_REST
    if descriptor is None:
        return AT_REST
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return _told_by(descriptor, run)
    except BlockingIOError:
        return Life(live=True)
    except OSError:
        return AT_REST
    finally:
        os.close(descriptor)


def _told_by(descriptor: int, run: RunDir) -> Life:
    """Returns the life of a run whose lock is free here. Raises OSError."""
    holder = holder_in(descriptor)
    if holder is None or holder.is_near:
        return AT_REST
    silent = silent_s(run.lock, os.fstat(descriptor).st_mtime_ns)
    if silent < LOST_S:
        return Life(live=True)
    return AT_REST if holder.is_of_this_host else Life(live=False, lost=holder, silent_s=silent)


def is_live(run: RunDir) -> bool:
    """Returns whether an engine is at work on the run, on this machine or on another one."""
    return life_of(run).live
