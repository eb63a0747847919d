"""The devices a run computes on: one thread each, and a replica of the problem in each thread.

On CUDA a worker is a device, on the CPU a thread with one intra-op thread (torch's default
number of them on busy cores is slower by a factor of up to 100). Work goes in as shards and
comes back in order; a worker's exception is raised where the results are awaited.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import TypeVar

import torch

from engine.errors import InputError
from engine.problem import Problem
from engine.spec import Spec

Shard = TypeVar("Shard")
Result = TypeVar("Result")
Item = TypeVar("Item")

#: Numbers that a shard should at least compute with: below it a second CPU thread waits for
#: the interpreter's lock longer than it computes.
WORTH_A_THREAD = 4_000_000


class Pool:
    """Runs functions of (problem, shard), each shard on a worker of its own."""

    def __init__(self, problem: Problem, devices: Sequence[torch.device]) -> None:
        self.devices = tuple(devices)
        self._problems = [problem.replica(device) for device in devices]
        self._threads = [
            ThreadPoolExecutor(1, f"worker-{number}", initializer=_prepare, initargs=(device,))
            for number, device in enumerate(devices)
        ]

    @property
    def held_out_samples(self) -> int:
        return len(self._problems[0].held_out)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)

    def shards(self, items: Sequence[Item], samples: int) -> list[Sequence[Item]]:
        """Contiguous parts, as even as can be, one for each worker that is worth its thread.

        `samples` is how many samples are computed for each item. The cut depends on nothing but
        the items and the number of workers, so that a rerun computes the same.
        """
        problem = self._problems[0]
        work = len(items) * samples * (problem.parameter_count + problem.values_per_sample)
        worth = max(1, work // WORTH_A_THREAD) if problem.device.type == "cpu" else len(items)
        count = min(len(self._threads), len(items), worth)
        cuts = [len(items) * part // max(1, count) for part in range(count + 1)]
        return [items[a:b] for a, b in pairwise(cuts)]

    def map(
        self, function: Callable[[Problem, Shard], Result], shards: Sequence[Shard]
    ) -> list[Result]:
        """The results in the order of the shards, of which there are at most as many as workers."""
        workers = zip(self._threads, self._problems, shards, strict=False)
        running = [thread.submit(function, problem, shard) for thread, problem, shard in workers]
        return [future.result() for future in running]


def _prepare(device: torch.device) -> None:
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_device(device)


def resolve_devices(spec: Spec) -> Spec:
    """The spec with its device and number of workers decided. Raises InputError."""
    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = ",".join(f"cuda:{n}" for n in range(max(1, torch.cuda.device_count())))
    for name in device.split(",") if device != "cpu" else []:
        if int(name.removeprefix("cuda:")) >= torch.cuda.device_count():
            raise InputError(
                f"is {spec.device}, but torch sees {torch.cuda.device_count()} CUDA devices here; "
                "choose cpu or auto",
                key="device",
            )
    workers = spec.workers or _cores()
    return spec.model_copy(update={"device": device, "workers": workers if device == "cpu" else 1})


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_pool(problem: Problem, spec: Spec) -> Pool:
    """The pool of a resolved spec."""
    if spec.device == "cpu":
        return Pool(problem, [torch.device("cpu")] * (spec.workers or 1))
    return Pool(problem, [torch.device(name) for name in spec.device.split(",")])
