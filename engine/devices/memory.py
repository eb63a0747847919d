"""The memory of this machine, or of the container that the process is in. No torch here."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Where Linux tells its memory, and where it tells a container's limit and use, new and old.
MEMINFO = Path("/proc/meminfo")
LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """A memory, in bytes."""

    free: int
    """The bytes that a process may still take."""
    total: int

    @property
    def words(self) -> str:
        """The sizes, such as "19.5 of 23.4 GiB free"."""
        return f"{self.free / GIB:.1f} of {self.total / GIB:.1f} GiB free"


def host_memory() -> Memory | None:
    """Returns the machine's memory, or its container's where that is less; None where not told."""
    whole = _machine()
    if whole is None:
        return None
    for limit, used in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            most = int(limit.read_text())
            if most < whole.total:
                return Memory(min(whole.free, max(0, most - int(used.read_text()))), most)
    return whole


def _machine() -> Memory | None:
    """Returns the memory of the machine, or None where the system does not tell it."""
    with suppress(OSError, KeyError):
        lines = dict(re.findall(r"^(\w+):\s+(\d+) kB$", MEMINFO.read_text(), re.M))
        return Memory(int(lines["MemAvailable"]) * 1024, int(lines["MemTotal"]) * 1024)
    with suppress(OSError, ValueError, AttributeError):
        page = os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * page
        return Memory(total, total)
    return None
