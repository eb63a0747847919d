"""The GPUs of a run that is at work on this machine: how busy they were, and their memory."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rich.text import Text

from dss_tui.tui.palette import Palette, styled
from dss_tui.tui.widgets.sparkline import sparkline
from engine.record.meta import read_meta
from engine.record.reading import Damaged
from engine.record.rundir import RunDir

#: The seconds between two samples, and the number of samples that are kept.
SAMPLE_S, KEPT = 1.0, 120
#: The cells of a graph.
CELLS = 12
#: The bytes of a GiB.
GIB = 2**30


@dataclass(frozen=True)
class Gauge:
    """A GPU as it was sampled, the oldest sample first. NaN stands where it did not answer."""

    name: str
    busy: tuple[float, ...]
    """The share of time in which it computed, in percent, (sample,)."""
    used: tuple[float, ...]
    """The memory in use, in GiB, (sample,)."""
    total: float
    """The memory that it has, in GiB; NaN while it has not answered."""


@lru_cache(maxsize=1)
def _library() -> Any | None:
    """Returns NVIDIA's management library, or None where there is no NVIDIA driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, or one that does not fit the other
        return None
    return pynvml


class Gpus:
    """Samples the GPUs of a run while its engine is at work on this machine."""

    def __init__(self, run: RunDir, clock: Callable[[], float] = time.monotonic) -> None:
        """Has sampled nothing yet. `clock` returns seconds."""
        self._run, self._clock = run, clock
        self._due_s = -math.inf
        self._samples: dict[str, deque[tuple[float, float]]] = {}
        self._total: dict[str, float] = {}

    def look(self, devices: Sequence[str]) -> tuple[Gauge, ...]:
        """Returns the GPUs among `devices`, such as cuda:0, sampled anew once in `SAMPLE_S`.

        Returns nothing where the run uses none, or another machine's, or there is no driver.
        """
        names = [name for name in devices if name.startswith("cuda:")]
        if not names:
            return ()
        if self._clock() >= self._due_s:
            self._due_s = self._clock() + SAMPLE_S
            library = _library() if self._is_here() else None
            for name in names if library is not None else []:
                kept = self._samples.setdefault(name, deque(maxlen=KEPT))
                kept.append(self._sample(library, name))
        return tuple(self._gauge(name) for name in names if name in self._samples)

    def _is_here(self) -> bool:
        """Returns whether the newest session of the run is on this machine."""
        try:
            meta = read_meta(self._run)
        except Damaged:
            return False
        return meta is not None and meta.host == socket.gethostname()

    def _sample(self, library: Any, name: str) -> tuple[float, float]:
        """Returns how busy a GPU is in percent, and its memory in use in GiB."""
        try:
            handle = library.nvmlDeviceGetHandleByIndex(int(name.removeprefix("cuda:")))
            memory = library.nvmlDeviceGetMemoryInfo(handle)
            busy = library.nvmlDeviceGetUtilizationRates(handle).gpu
        except (ValueError, library.NVMLError):
            return math.nan, math.nan
        self._total[name] = memory.total / GIB
        return float(busy), memory.used / GIB

    def _gauge(self, name: str) -> Gauge:
        """Returns what was sampled of a GPU."""
        busy, used = zip(*self._samples[name], strict=True)
        return Gauge(name, busy, used, self._total.get(name, math.nan))


def gauge_words(gauge: Gauge, palette: Palette, *, graphs: bool) -> Text:
    """Returns how busy a GPU is and its memory, with a graph of each over time with `graphs`."""
    busy, used = gauge.busy[-1], gauge.used[-1]
    if math.isnan(busy):
        return styled([(f"{gauge.name} does not answer", palette.dim)])
    words = [
        (_graph(gauge.busy, 100.0, palette) if graphs else "", f"{busy:.0f} % busy"),
        (
            _graph(gauge.used, gauge.total, palette) if graphs else "",
            f"{used:.1f} of {gauge.total:.0f} GiB",
        ),
    ]
    pieces = [(gauge.name, palette.dim)]
    for graph, word in words:
        pieces += [(f" {graph}" if graph else "", palette.train), (f" {word}", palette.dim)]
    return styled(pieces)


def _graph(values: Sequence[float], high: float, palette: Palette) -> str:
    """Returns the newest values as blocks on the scale 0 … high."""
    return sparkline(values, min(CELLS, len(values)), 0.0, high, math.inf, palette).plain
