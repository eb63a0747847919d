"""Measures the machine's own limits: float32 products from the cache, and copies of memory.

All workers work at the same time, each in its thread, as in a search (Williams, Waterman and
Patterson, Roofline, CACM 2009).
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

#: The rows and columns of the matrices. On the CPU three of them fit a core's cache.
CPU_SIDE, GPU_SIDE = 384, 4096
#: The bytes of an array that is copied: for all CPU threads together, at least for each, on a GPU.
CPU_COPY, LEAST, GPU_COPY = 256 * 2**20, 32 * 2**20, 2**30

Work = Callable[[int], None]
"""A function that does its work a number of times and waits until the device is done."""


def measure_limits(
    device: str, workers: int, effort: Effort, clock: Clock = time.perf_counter
) -> Limits:
    """Returns the limits of the devices of a resolved spec."""
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
    """Returns the units per second of all devices together.

    `work_on` makes the work of a device, which is `units` units each time.
    """
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
    """Returns the work of matrix products on a device."""
    a, b = (torch.rand(side, side, device=device) for _ in range(2))
    out = torch.empty_like(a)

    def work(count: int) -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)
        out[0, 0].item()

    return work


def _copies(size: int, device: torch.device) -> Work:
    """Returns the work of copies on a device, of `size` bytes each."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)

    def work(count: int) -> None:
        for _ in range(count):
            target.copy_(source)
        target[0].item()

    return work


def names_of(device: str) -> tuple[str, ...]:
    """Returns the names of a device's processors."""
    if device != "cpu":
        return tuple(torch.cuda.get_device_name(name) for name in device.split(","))
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return (found[1],)
    return (platform.processor() or platform.machine(),)


def _load() -> float | None:
    """Returns the mean number of running processes in the last minute, where it is known."""
    with suppress(OSError):
        return os.getloadavg()[0]
    return None


def _versions() -> dict[str, str]:
    """Returns the versions of Python, of the system and of the packages that compute."""
    versions = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in ("torch", "numpy", "numba"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
