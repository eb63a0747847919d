"""The machine's own limits: float32 products from the cache, and copies from memory.

All workers are at it at the same time, each in its thread, as in a search (Williams, Waterman
and Patterson, Roofline, CACM 2009).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import torch

from engine.bench.measures import Action, Clock, Effort, Limits, Spread, count_for, repeated, spread
from engine.workers.pool import cores, prepare_thread

#: Rows and columns of the matrices: three of them fit a core's cache, and fill a GPU.
CPU_SIDE, GPU_SIDE = 384, 4096
#: Bytes of an array that is copied: of all CPU threads together, though no fewer than LEAST each.
CPU_COPY, LEAST, GPU_COPY = 256 * 2**20, 32 * 2**20, 2**30

Work = Callable[[int], None]
"""That many times, until the device is done."""


def measure_limits(
    device: str, workers: int, effort: Effort, clock: Clock = time.perf_counter
) -> Limits:
    """Of the devices of a resolved spec."""
    devices = [torch.device("cpu")] * workers
    if device != "cpu":
        devices = [torch.device(name) for name in device.split(",")]
    load = _load()
    side = CPU_SIDE if device == "cpu" else GPU_SIDE
    size = max(LEAST, CPU_COPY // len(devices)) if device == "cpu" else GPU_COPY
    return Limits(
        device=device,
        workers=workers,
        names=names_of(device),
        cores=cores(),
        load=load,
        versions=_versions(),
        flop_per_s=_together(devices, partial(_products, side), 2 * side**3, effort, clock),
        bytes_per_s=_together(devices, partial(_copies, size), 2 * size, effort, clock),
    )


def _together(
    devices: Sequence[torch.device],
    work_on: Callable[[torch.device], Work],
    units: int,
    effort: Effort,
    clock: Clock,
) -> Spread:
    """Units a second of all devices, where each does that many at a time."""
    with ExitStack() as stack:
        threads = [
            stack.enter_context(
                ThreadPoolExecutor(1, initializer=prepare_thread, initargs=(device,))
            )
            for device in devices
        ]
        works = [
            thread.submit(work_on, device).result()
            for thread, device in zip(threads, devices, strict=True)
        ]

        def prepare(count: int) -> Action:
            def action() -> int:
                running = [
                    thread.submit(work, count) for thread, work in zip(threads, works, strict=True)
                ]
                for future in running:
                    future.result()
                return units * count * len(running)

            return action

        count = count_for(effort.seconds, prepare, clock)
        timings = repeated(partial(prepare, count), effort.repeats, clock)
    return spread([timing.rate for timing in timings])


def _products(side: int, device: torch.device) -> Work:
    a, b = (torch.rand(side, side, device=device) for _ in range(2))
    out = torch.empty_like(a)

    def work(count: int) -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)
        out[0, 0].item()

    return work


def _copies(size: int, device: torch.device) -> Work:
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)

    def work(count: int) -> None:
        for _ in range(count):
            target.copy_(source)
        target[0].item()

    return work


def names_of(device: str) -> tuple[str, ...]:
    """Of its processors, as they call themselves."""
    if device != "cpu":
        return tuple(torch.cuda.get_device_name(name) for name in device.split(","))
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return (found[1],)
    return (platform.processor() or platform.machine(),)


def _load() -> float | None:
    with suppress(OSError):
        return os.getloadavg()[0]
    return None


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in ("torch", "numpy", "numba"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
