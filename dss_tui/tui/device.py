"""The GPU's memory and utilisation, where the run is on one of this machine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.record.rundir import RunDir, read_meta


@lru_cache(maxsize=1)
def _library() -> Any | None:
    """NVIDIA's management library, None where there is no NVIDIA driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, or one that does not fit the other
        return None
    return pynvml


def device_line(run: RunDir) -> str:
    """A line for the counters; empty for a run on the CPU or on another machine."""
    if not any("cpu" not in name for name in read_meta(run).get("devices", ["cpu"])):
        return ""
    library = _library()
    if library is None:
        return ""
    parts = []
    for number in range(library.nvmlDeviceGetCount()):
        handle = library.nvmlDeviceGetHandleByIndex(number)
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        busy = library.nvmlDeviceGetUtilizationRates(handle).gpu
        used, total = memory.used / 2**30, memory.total / 2**30
        parts.append(f"cuda:{number} {used:.1f} of {total:.0f} GiB, {busy} % busy")
    return "   ".join(parts)
