"""The GPUs of a run that is at work on this machine: how busy they were, and their memory."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from dss_tui.tui.palette import Palette, styled
from dss_tui.tui.widgets.sparkline import sparkline
from engine.devices import nvml
from engine.devices.memory import GIB
from engine.devices.nvml import Reading
from engine.record.meta import Gpu, read_meta
from engine.record.reading import Damaged
from engine.record.rundir import RunDir

#: The seconds between two samples, and the number of samples that are kept.
SAMPLE_S, KEPT = 1.0, 120
#: The cells of a graph.
CELLS = 12


@dataclass(frozen=True)
class Gauge:
    """A GPU as it was sampled, the oldest sample first. NaN stands for what it did not tell."""

    name: str
    busy: tuple[float, ...]
    """The share of time in which it computed, in percent, (sample,)."""
    used: tuple[float, ...]
    """The memory in use, in GiB, (sample,)."""
    total: float
    """The memory that it has, in GiB; NaN while it has not told it."""


class Gpus:
    """Samples the GPUs of a run while its engine is at work on this machine.

    They are looked up by the identifiers that the run has noted, so that GPUs of this machine are
    never taken for another's, and what CUDA_VISIBLE_DEVICES says here does not matter.
    """

    def __init__(self, run: RunDir, clock: Callable[[], float] = time.monotonic) -> None:
        """Has sampled nothing yet. `clock` returns seconds."""
        self._run, self._clock = run, clock
        self._due_s = -math.inf
        self._samples: dict[str, deque[Reading]] = {}

    def look(self, devices: Sequence[str]) -> tuple[Gauge, ...]:
        """Returns the GPUs among `devices`, such as cuda:0, sampled anew once in `SAMPLE_S`.

        Returns nothing where the run uses none, or another machine's, or there is no driver.
        """
        names = [name for name in devices if name.startswith("cuda:")]
        if not names:
            return ()
        if self._clock() >= self._due_s:
            self._due_s = self._clock() + SAMPLE_S
            for gpu in self._own():
                if gpu.device in names:
                    self._sample(gpu)
        return tuple(_gauge(name, self._samples[name]) for name in names if name in self._samples)

    def _own(self) -> tuple[Gpu, ...]:
        """Returns the GPUs of the run's newest session that can be asked for on this machine."""
        try:
            meta = read_meta(self._run)
        except Damaged:
            return ()
        if meta is None or meta.host != socket.gethostname():
            return ()
        return tuple(gpu for gpu in meta.gpus if gpu.uuid)

    def _sample(self, gpu: Gpu) -> None:
        """Keeps how a GPU answers now, where there is a driver."""
        library = nvml.library()
        if library is not None:
            kept = self._samples.setdefault(gpu.device, deque(maxlen=KEPT))
            kept.append(nvml.read(library, gpu.uuid))


def _gauge(name: str, samples: Sequence[Reading]) -> Gauge:
    """Returns what was sampled of a GPU."""
    totals = [each.total / GIB for each in samples if not math.isnan(each.total)]
    return Gauge(
        name,
        tuple(each.busy for each in samples),
        tuple(each.used / GIB for each in samples),
        totals[-1] if totals else math.nan,
    )


def gauge_words(gauge: Gauge, palette: Palette, *, graphs: bool) -> Text:
    """Returns how busy a GPU is and its memory, with a graph of each over time with `graphs`.

    What it does not tell is left out: a part of a GPU has no load of its own.
    """
    busy, used = gauge.busy[-1], gauge.used[-1]
    words = []
    if not math.isnan(busy):
        words.append((gauge.busy, 100.0, f"{busy:.0f} % busy"))
    if not math.isnan(used):
        words.append((gauge.used, gauge.total, f"{used:.1f} of {gauge.total:.0f} GiB"))
    if not words:
        return styled([(f"{gauge.name} does not answer", palette.dim)])
    pieces = [(gauge.name, palette.dim)]
    for values, high, word in words:
        graph = _graph(values, high, palette) if graphs else ""
        pieces += [(f" {graph}" if graph else "", palette.train), (f" {word}", palette.dim)]
    return styled(pieces)


def _graph(values: Sequence[float], high: float, palette: Palette) -> str:
    """Returns the newest values as blocks on the scale 0 … high."""
    return sparkline(values, min(CELLS, len(values)), 0.0, high, math.inf, palette).plain
