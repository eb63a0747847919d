"""The lock that says whether an engine is at work on a run. No torch here.

The system frees it however the engine ends, so a run whose process was killed is not live.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import IO

from engine.errors import InputError
from engine.record.reading import Damaged, open_to_read
from engine.record.rundir import RunDir
from engine.record.writing import open_to_append

#: The number of times that an engine asks for the lock, and the seconds in between.
TRIES, BETWEEN_TRIES_S = 20, 0.05


def take_lock(run: RunDir) -> IO[bytes]:
    """Returns the run's lock file, locked until it is closed.

    Raises InputError where another process runs this run, and SaveError where the file cannot be
    opened.
    """
    file = open_to_append(run.lock)
    for _ in range(TRIES):  # a reader that asks whether the run is live holds it for an instant
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            time.sleep(BETWEEN_TRIES_S)
    file.close()
    raise InputError(
        f"another process is running it; `dss-tui stop {run.path}` stops it", file=run.path
    )


def is_live(run: RunDir) -> bool:
    """Returns whether a process of this machine is running the run now."""
    try:
        descriptor = open_to_read(run.lock)
    except Damaged:
        return False
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
