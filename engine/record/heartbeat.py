"""Whether an engine on another machine is at work on a run: who holds it, and its heartbeat.

A lock tells this machine, but locks do not travel over every network file system. So an engine
writes into the lock's file which process of which machine it is, and sets the file's time every few
seconds. That time comes from the file system, and a reader judges it by its changes, or by a new
file beside it: the clocks of both machines may be wrong, and may jump. No torch here.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from engine.record.decoding import decode, parse_json
from engine.record.events import dump_json
from engine.record.marks import Count
from engine.record.unfit import Unfit

#: The seconds between two beats, and those without any after which an engine counts as lost.
EVERY_S, LOST_S = 5.0, 30.0
#: The bytes of a lock's file that are read.
LARGEST = 4096


@dataclass(frozen=True)
class Holder:
    """The process that holds a run, as it writes itself into the lock's file."""

    host: str
    """The name of its machine."""
    boot: str = ""
    """The number of the machine's start, where the system has one. It tells machines apart."""
    pid: Count = 0
    """The number of the process."""

    @property
    def is_near(self) -> bool:
        """Whether it is of this machine since its last start, where locks are told surely."""
        here = this_process()
        if here.boot and self.boot:
            return here.boot == self.boot
        return here.host == self.host

    @property
    def is_of_this_host(self) -> bool:
        """Whether its machine has this one's name."""
        return self.host == this_process().host


def this_process() -> Holder:
    """Returns this process as a holder."""
    return Holder(*_machine(), os.getpid())


@cache
def _machine() -> tuple[str, str]:
    """Returns the name of this machine, and the number of its start, "" where it has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        boot = ""
    return socket.gethostname(), boot


def holder_in(descriptor: int) -> Holder | None:
    """Returns the process that wrote itself into an open lock's file, or None. Raises OSError."""
    content = os.pread(descriptor, LARGEST, 0)
    try:
        return decode(Holder, parse_json(content)) if content else None
    except Unfit:
        return None


# ---------------------------------------------------------------- an engine


class Heartbeat:
    """Tells other machines that this process holds a lock, until `stop`."""

    def __init__(self, lock: IO[bytes]) -> None:
        """Writes this process into a lock's file, as far as that can be, and begins to beat."""
        self._lock = lock
        with suppress(OSError):
            lock.truncate(0)
            lock.write(dump_json(this_process()).encode())
        _BEATING.add(self)

    def beat(self) -> None:
        """Sets the time of the lock's file, by the clock of its file system."""
        with suppress(OSError, ValueError):
            os.utime(self._lock.fileno())

    def stop(self) -> None:
        """Ends it in order: nobody need wait for another beat. The lock is still held."""
        _BEATING.discard(self)
        with suppress(OSError, ValueError):
            self._lock.truncate(0)


class _Beating:
    """The heartbeats of this process, kept by one thread, which lasts as long as the process."""

    def __init__(self) -> None:
        self._all: set[Heartbeat] = set()
        self._mine = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, each: Heartbeat) -> None:
        """Adds one, and starts the thread with the first one."""
        with self._mine:
            self._all.add(each)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
                self._thread.start()

    def discard(self, each: Heartbeat) -> None:
        """Takes one away."""
        with self._mine:
            self._all.discard(each)

    def _beat(self) -> None:
        """Beats for all, over and over."""
        while True:
            time.sleep(EVERY_S)
            with self._mine:
                for each in self._all:
                    each.beat()


_BEATING = _Beating()


# ---------------------------------------------------------------- those who look


@dataclass(frozen=True)
class _Seen:
    """The time of a lock's file as this process saw it last."""

    mtime_ns: int
    since_s: float
    """When it was seen first, on a clock that only grows."""
    moved: bool
    """Whether it was seen to change."""


#: The clocks of this machine: one that only grows, in seconds, and the time of day in ns.
clock, wall_ns = time.monotonic, time.time_ns

#: What this process has seen, by the path of the lock's file.
_SEEN: dict[Path, _Seen] = {}


def silent_s(path: Path, mtime_ns: int) -> float:
    """Returns the seconds for which a heartbeat has not been heard, by the time of its file.

    Where this process has seen it change, no clock of another machine matters. Before that it is
    compared with a new file of the same file system.
    """
    now = clock()
    before = _SEEN.get(path)
    if before is None or before.mtime_ns != mtime_ns:
        _SEEN[path] = before = _Seen(mtime_ns, now, moved=before is not None)
    watched = now - before.since_s
    if before.moved:
        return watched
    return max(watched, abs(_now_ns(path.parent) - mtime_ns) / 1e9)


def _now_ns(folder: Path) -> int:
    """Returns the time of a file system, by a file without a name beside a folder in it.

    Where none can be made, it is the time of this machine.
    """
    try:
        with TemporaryFile(dir=folder.parent, prefix=".clock-") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return wall_ns()


def is_heard(descriptor: int, within_s: float) -> bool:
    """Waits for the next beat of an open lock's file and returns whether it came."""
    before, until = os.fstat(descriptor).st_mtime_ns, time.monotonic() + within_s
    while time.monotonic() < until:
        time.sleep(min(0.2, within_s))
        if os.fstat(descriptor).st_mtime_ns != before:
            return True
    return False
