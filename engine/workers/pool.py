"""The workers that a run computes with: one thread each, with a replica of the problem.

On CUDA a worker is a device and has a stream of its own. On the CPU it is a thread with one
intra-op thread, because torch's default number of them on busy cores is slower by a factor of up to
100. Work goes in as shards and comes back in order. A worker's exception is raised where the
results are awaited.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from engine.backends.backend import Backend
from engine.errors import InputError
from engine.spec.keys import Spec

log = logging.getLogger("engine")

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Item = TypeVar("Item")

#: The share with which the newest shard counts in a GPU's measured speed.
NEWEST = 0.3


class Task(Protocol[Item_contra, Result_co]):
    """A computation with a result for each of many items. An item's result depends on it alone.

    Tasks are frozen, and equal where they do the same: the items of equal tasks may share a call.
    """

    def size(self, item: Item_contra, /) -> int:
        """Returns the number of samples that are computed for an item, for a fair cut."""

    def __call__(self, backend: Backend, items: Sequence[Item_contra], /) -> Sequence[Result_co]:
        """Returns a result for each item."""


@runtime_checkable
class Workers(Protocol):
    """The protocol of a `Pool`, and of a pool that several searches share."""

    @property
    def backend(self) -> Backend:
        """The backend of a worker; those of all workers are alike."""

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """The device of each worker."""

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Returns a task's results in the order of the items, or raises a worker's exception."""


class Pool:
    """A pool of workers, which runs each shard of a task's items on a worker of its own."""

    def __init__(
        self,
        backend: Backend,
        devices: Sequence[torch.device],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Starts a worker for each of `devices`, with a replica of the backend."""
        self.devices = tuple(devices)
        self._clock = clock
        self._speeds: list[float | None] = [None] * len(devices)
        """The samples per second of each GPU; None before its first shard, and on the CPU."""
        self._backends = [backend.replica(device) for device in devices]
        self._threads = [
            ThreadPoolExecutor(
                1, f"worker-{number}", initializer=prepare_thread, initargs=(device,)
            )
            for number, device in enumerate(devices)
        ]

    @property
    def backend(self) -> Backend:
        """The backend of the first worker."""
        return self._backends[0]

    def __enter__(self) -> Pool:
        """Returns the pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for the work in progress, drops the rest, and ends the workers' threads."""
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)

    def shards(self, items: Sequence[Item], sizes: Sequence[int]) -> list[Sequence[Item]]:
        """Returns contiguous parts, one for each worker that is worth its thread.

        `sizes` are the numbers of samples that are computed for each item. Parts are as even as
        possible, or in proportion to the workers' speeds where these are known; some may be empty.
        On the CPU speeds are not used. The cut then depends on nothing but the items and the number
        of workers, so that a rerun computes the same.
        """
        problem = self.backend.problem
        work = sum(sizes) * (problem.cost.products + problem.cost.values)
        on_cpu = problem.device.type == "cpu"
        worth = max(1, work // self.backend.worth_a_thread) if on_cpu else len(items)
        count = min(len(self._threads), len(items), worth)
        if count == 1:
            return [items]
        known = [speed for speed in self._speeds[:count] if speed is not None]
        speeds = known if len(known) == count else [1.0] * count
        ends = np.cumsum([0.0, *speeds]) / sum(speeds) * sum(sizes)
        middles = np.cumsum(sizes) - np.array(sizes) / 2
        cuts = [0, *np.searchsorted(middles, ends[1:-1]).tolist(), len(items)]
        return [items[a:b] for a, b in pairwise(cuts)]

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Returns a task's results in the order of the items, or raises a worker's exception."""
        if not items:
            return []
        sizes = [task.size(item) for item in items]
        shards = self.shards(items, sizes)
        spare = self._threads_of_a_shard(len(shards))
        here = int(self.backend.steps_at_once)
        running = [
            thread.submit(self._work, task, number, shard, spare)
            for number, (thread, shard) in enumerate(zip(self._threads, shards, strict=False))
            if shard and number >= here
        ]
        first = self._here(task, shards[0]) if here and shards[0] else []
        return [*first, *(result for future in running for result in future.result())]

    def _here(self, task: Task[Item, Result], shard: Sequence[Item]) -> list[Result]:
        """Returns the results of the first worker's shard, which the calling thread computes.

        Compiled code often takes less time than to hand it to a thread and to wait for it.
        """
        before = torch.get_num_threads()
        try:
            return list(self._work(task, 0, shard, threads=1))
        finally:
            if before != 1:
                torch.set_num_threads(before)

    def _threads_of_a_shard(self, shards: int) -> int:
        """Returns the number of torch's threads for a shard: more than one for large networks."""
        backend = self.backend
        if backend.problem.device.type != "cpu" or not backend.takes_idle_threads:
            return 1
        return max(1, len(self._threads) // max(1, shards))

    def _work(
        self, task: Task[Item, Result], number: int, shard: Sequence[Item], threads: int
    ) -> Sequence[Result]:
        """Computes one shard in a worker's thread and returns its results.

        `threads` is the number of torch's threads for it.
        """
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        device = self.devices[number]
        if device.type == "cpu":
            return self._attempt(task, number, shard)
        began = self._clock()
        with _in_stream(device):
            results = self._attempt(task, number, shard)
        samples = sum(task.size(item) for item in shard)
        self._learn(number, samples / max(1e-9, self._clock() - began))
        return results

    def _learn(self, number: int, speed: float) -> None:
        """Updates a worker's speed from the samples per second of its newest shard."""
        before = self._speeds[number]
        self._speeds[number] = speed if before is None else before + NEWEST * (speed - before)

    def _attempt(
        self, task: Task[Item, Result], number: int, shard: Sequence[Item]
    ) -> Sequence[Result]:
        """Computes a shard, and once more in pieces of half the size where memory runs out.

        Raises MemoryError where that is not enough.
        """
        backend = self._backends[number]
        try:
            return task(backend, shard)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        half = backend.within(backend.piece_bytes // 2)
        log.warning("out of memory: from now on in pieces of %.3g MiB", half.piece_bytes / 2**20)
        self._backends[number] = half
        if half.problem.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            return task(half, shard)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            raise MemoryError(
                f"not enough memory for pieces of {half.piece_bytes / 2**30:.3g} GiB; lower "
                "limits.memory or search.greedy.slots"
            ) from error


def _out_of_memory(error: Exception) -> bool:
    """Returns whether an allocation failed. On the CPU torch says so in its message only."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


def prepare_thread(device: torch.device) -> None:
    """Prepares a worker's thread: one thread of torch's, its device, and a stream of its own."""
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


@contextmanager
def _in_stream(device: torch.device) -> Iterator[None]:
    """Makes this thread's stream wait for the device's default one before the block.

    After the block the thread waits for its stream.
    """
    stream = torch.cuda.current_stream(device)
    stream.wait_stream(torch.cuda.default_stream(device))
    yield
    stream.synchronize()


def resolve_devices(spec: Spec) -> Spec:
    """Returns the spec with its devices and its number of workers decided.

    Raises InputError for a CUDA device that this machine does not have.
    """
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
    workers = spec.workers or cores()
    return spec.model_copy(update={"device": device, "workers": workers if device == "cpu" else 1})


def cores() -> int:
    """Returns the number of cores that this process may use, or of all where that is not known."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_precision(spec: Spec) -> None:
    """Lets GPUs round to TF32 where the spec says so, and nowhere else."""
    torch.backends.cuda.matmul.allow_tf32 = spec.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = spec.precision == "tf32"


def open_pool(backend: Backend, spec: Spec) -> Pool:
    """Returns the pool of a resolved spec, and sets the spec's precision for the process."""
    set_precision(spec)
    if spec.device == "cpu":
        return Pool(backend, [torch.device("cpu")] * (spec.workers or 1))
    return Pool(backend, [torch.device(name) for name in spec.device.split(",")])
