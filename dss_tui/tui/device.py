"""Reads memory and utilisation of this machine's GPUs, for runs that use them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.record.meta import read_meta
from engine.record.reading import Damaged
from engine.record.rundir import RunDir


@lru_cache(maxsize=1)
def _library() -> Any | None:
    """Returns NVIDIA's management library, or None where there is no NVIDIA driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, or one that does not fit the other
        return None
    return pynvml


def _on_gpu(run: RunDir) -> bool:
    """Returns whether the newest session of a run is known to be on a GPU."""
    try:
        meta = read_meta(run)
    except Damaged:
        return False
    return meta is not None and any("cpu" not in name for name in meta.devices)


def device_line(run: RunDir) -> str:
    """Returns a line on how busy each GPU is, empty where the run or the machine uses none."""
    library = _library() if _on_gpu(run) else None
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
