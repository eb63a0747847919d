"""One trial: something is done in a process of its own, which is watched from outside.

The process is a fork of this one, so that torch and the screens are there already. It has no
terminal, little more memory than it needs, and is ended once it takes too long.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Seconds of the processor, and of the clock, from which on a trial counts as a hang.
BUSY_S, PATIENCE_S = 10.0, 60.0
#: The most memory that a trial may hold, and what it may ask for beyond what this process has.
LARGEST, BEYOND = 2**30, 3 * 2**30
#: The exit status of a trial that ends in an exception.
RAISED = 70
#: The statuses that are promised besides 128 + N.
PROMISED = (0, 1, 2, 3)

Do = Callable[[], int]


@dataclass(frozen=True)
class Answer:
    """What came of a trial."""

    status: int | None
    """Its exit status; None where a signal ended it."""
    said: str
    """All that it printed."""
    busy_s: float
    """Seconds of the processor."""
    bytes_held: int
    """The most memory that it held."""
    signal: int = 0
    """The number of the signal that ended it."""

    @property
    def fault(self) -> str | None:
        """What is wrong with it in a few words, None where it is one of the promised answers."""
        if self.signal == signal.SIGKILL or self.busy_s > BUSY_S:
            return f"hang ({self.busy_s:.0f} s)"
        if self.signal:
            return f"ended by {signal.Signals(self.signal).name}"
        if "Traceback (most" in self.said or "engine failed" in self.said:
            return f"traceback: {self._last}"
        if self.status not in PROMISED:
            return f"exit status {self.status}: {self._last}"
        if self.bytes_held > LARGEST:
            return f"memory: {self.bytes_held / 2**30:.1f} GiB"
        refused = [line for line in self.said.splitlines() if line.startswith("dss-tui: ")]
        if self.status in (1, 2) and not self.said.strip():
            return f"exit status {self.status} without a sentence"
        if self.status in (1, 2) and len(refused) > 1:
            return f"exit status {self.status} with {len(refused)} sentences: {self._last}"
        return None

    @property
    def refused(self) -> bool:
        """Whether it was refused in a sentence."""
        return self.status in (1, 2) and self.fault is None

    @property
    def _last(self) -> str:
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1][:200] if lines else ""


def attempt(do: Do, patience_s: float = PATIENCE_S) -> Answer:
    """What comes of doing something in a process of its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as out:
        child = os.fork()
        if child == 0:
            _do(do, out.fileno())
        watched = os.pidfd_open(child)
        try:
            ended, _, _ = select.select([watched], [], [], patience_s)
            if not ended:
                os.killpg(child, signal.SIGKILL)
        finally:
            os.close(watched)
        _, how, used = os.wait4(child, 0)
        out.seek(0)
        said = out.read(10**6).decode(errors="replace")
    killed = os.WTERMSIG(how) if os.WIFSIGNALED(how) else 0
    status = None if killed else os.WEXITSTATUS(how)
    busy_s = used.ru_utime + used.ru_stime
    return Answer(status, said, busy_s, used.ru_maxrss * 1024, killed)


def _do(do: Do, out: int) -> None:
    """Does it, and ends this process."""
    status = RAISED
    try:
        os.setsid()
        signal.alarm(int(2 * PATIENCE_S))
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, target in enumerate((nothing, out, out)):
            os.dup2(target, number)
        held = data_bytes() + BEYOND
        resource.setrlimit(resource.RLIMIT_DATA, (held, held))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        status = do()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def drop_privileges() -> None:
    """Takes from the superuser what is above the permissions of files, in this process."""
    version_3, this_process = 0x20080522, 0
    header = struct.pack("Ii", version_3, this_process)
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)):
        raise OSError(ctypes.get_errno(), "the capabilities stay")


def data_bytes() -> int:
    """The bytes that this process has asked for."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 2**32
