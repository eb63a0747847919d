"""Answers a request in this process: with the machine's limits or the measures of a preset."""

from __future__ import annotations

import re
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from engine.bench.costs import measure_costs
from engine.bench.measures import (
    Clock,
    Limits,
    Memory,
    PresetReport,
    Profiles,
    TooLong,
    TrainingRow,
)
from engine.bench.roofline import measure_limits
from engine.bench.suite import Request
from engine.bench.throughput import Throughput, step_of
from engine.run.prepare import prepare
from engine.workers.devices import on, resolve_devices, roomiest
from engine.workers.pool import open_pool


def answer(request: Request, clock: Clock = time.perf_counter) -> Limits | PresetReport:
    """Returns the machine's limits, or the report of the preset that the request names.

    Raises InputError for a spec that cannot run.
    """
    torch.set_num_threads(1)
    if request.preset is None:
        spec = resolve_devices(request.spec)
        spec = on(spec, roomiest()) if spec.device == "auto" else spec
        return measure_limits(spec.device, spec.workers or 1, request.effort, clock)
    return measure_preset(request, request.preset, clock)


def measure_preset(request: Request, name: str, clock: Clock) -> PresetReport:
    """Returns the report of a preset. Raises InputError for a spec that cannot run."""
    imports = peak_bytes()
    prepared = prepare(request.spec)
    spec, backend = prepared.spec, prepared.backend
    effort = request.effort
    with open_pool(backend, spec) as pool:
        problem = pool.backend.problem
        loaded = peak_bytes()
        throughput = Throughput(spec, pool.backend, effort, clock)
        rows = list(throughput.training_rows(request.sizes))
        trained = peak_bytes()
        profiles = throughput.profiles()
        profiled = peak_bytes()
        costs = measure_costs(spec, pool, effort, clock)
    training = spec.endpoints
    too_long = [each for each in (*rows, profiles) if isinstance(each, TooLong)]
    return PresetReport(
        preset=name,
        network=spec.problem.network.words,
        parameters=problem.parameter_count,
        optimizer=training.optimizer.kind,
        batching=spec.search.batching,
        device=spec.device,
        workers=len(pool.devices),
        check_every=training.check_every,
        step=step_of(training, problem),
        training=tuple(row for row in rows if isinstance(row, TrainingRow)),
        too_long=tuple(too_long),
        profiles=profiles if isinstance(profiles, Profiles) else None,
        costs=costs,
        memory=Memory(imports, loaded, trained, profiled, peak_bytes(), _gpu_bytes(spec.device)),
    )


def peak_bytes() -> int:
    """Returns the largest memory in bytes that this process has held at a time."""
    # The number of getrusage may go on from the process that started this one.
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
        if found:
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _gpu_bytes(device: str) -> int | None:
    """Returns the largest memory that tensors took on all GPUs together, or None on the CPU."""
    if device == "cpu":
        return None
    return sum(torch.cuda.max_memory_allocated(name) for name in device.split(","))
