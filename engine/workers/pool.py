"""The workers that a run computes with: one thread each, with a replica of the problem.

On CUDA a worker is a device and has a stream of its own. On the CPU it is a thread with one
intra-op thread, because torch's default number of them on busy cores is slower by a factor of up to
100. Work goes in as shards and comes back in order, all of it on the first worker's device. A
worker's exception is raised where the results are awaited.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from engine.backends.algorithms import choose_algorithms
from engine.backends.backend import Backend
from engine.breaks import Attend, Part, computing
from engine.spec.keys import Spec
from engine.workers.memory import Frugal
from engine.workers.speeds import Speeds

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Item = TypeVar("Item")

#: The products and values of a step from which on a second GPU pays. With fewer, one computes for
#: less time than the interpreter needs to launch its kernels, and all of them wait for that.
WORTH_A_GPU = 10**9
#: The seconds between two looks at a call that takes long.
BETWEEN_LOOKS_S = 0.25


class Task(Protocol[Item_contra, Result_co]):
    """A computation with a result for each of many items. An item's result depends on it alone.

    Tasks are frozen, and equal where they do the same: the items of equal tasks may share a call.
    """

    def size(self, item: Item_contra, /) -> int:
        """Returns the number of samples that are computed for an item, for a fair cut."""

    def __call__(self, backend: Backend, items: Sequence[Item_contra], /) -> Sequence[Result_co]:
        """Returns a result for each item."""


@runtime_checkable
class Repeated(Protocol):
    """A task that passes more samples through a network than the size of its items says."""

    def passed(self, item: Any, /) -> int:
        """Returns the number of samples that are passed through a network for an item."""


@runtime_checkable
class Movable(Protocol):
    """A result that holds tensors."""

    def to(self, device: torch.device, /) -> object:
        """Returns the same with its tensors on a device."""


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
        self._speeds = Speeds(len(devices))
        self._attend: Attend | None = None
        """Who looks at a call that takes long; None where nobody does."""
        self._broken = threading.Event()
        """Asks the workers to give up the call that they are at."""
        self._workers = [Frugal(backend.replica(device)) for device in devices]
        self._threads = [
            ThreadPoolExecutor(
                1, f"worker-{number}", initializer=prepare_thread, initargs=(device,)
            )
            for number, device in enumerate(devices)
        ]

    @property
    def backend(self) -> Backend:
        """The backend of the first worker."""
        return self._workers[0].backend

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

    @contextmanager
    def attended(self, attend: Attend) -> Iterator[None]:
        """Lets `attend` look at each call that takes long, for as long as the block takes.

        Where it raises BrokenOff, the workers give the call up, and `run` raises it.
        """
        before, self._attend = self._attend, attend
        try:
            yield
        finally:
            self._attend = before

    def shards(self, items: Sequence[Item], sizes: Sequence[int]) -> list[Sequence[Item]]:
        """Returns contiguous parts, one for each worker that is worth its thread or its launches.

        `sizes` are the numbers of samples that are computed for each item. Parts are as even as
        possible, or on GPUs in proportion to the workers' speeds; some may be empty. On the CPU the
        cut depends on nothing but the items and the number of workers, so that a rerun computes the
        same.
        """
        problem = self.backend.problem
        work = sum(sizes) * (problem.cost.products + problem.cost.values)
        on_cpu = problem.device.type == "cpu"
        worth = work // (self.backend.worth_a_thread if on_cpu else WORTH_A_GPU)
        count = min(len(self._threads), len(items), max(1, worth))
        if count == 1:
            return [items]
        speeds = self._speeds.of_first(count)
        ends = np.cumsum([0.0, *speeds]) / sum(speeds) * sum(sizes)
        middles = np.cumsum(sizes) - np.array(sizes) / 2
        cuts = [0, *np.searchsorted(middles, ends[1:-1]).tolist(), len(items)]
        return [items[a:b] for a, b in pairwise(cuts)]

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Returns a task's results in the order of the items, or raises a worker's exception.

        Tensors in the results are on the first worker's device, whichever worker computed them.
        """
        if not items:
            return []
        sizes = [task.size(item) for item in items]
        shards = self.shards(items, sizes)
        spare = self._threads_of_a_shard(len(shards))
        here = int(self.backend.steps_at_once)
        parts = [Part(self._broken) for _ in shards]
        running = [
            (parts[number], thread.submit(self._work, task, number, shard, spare, parts[number]))
            for number, (thread, shard) in enumerate(zip(self._threads, shards, strict=False))
            if shard and number >= here
        ]
        first = [self.alone(task, shards[0], 0)] if here and shards[0] else []
        done = [*first, *self._awaited(running, lambda: _passed(task, items))]
        if len(done) == len(self._threads) > 1 and self.devices[0].type != "cpu":
            self._speeds.learn([share.speed for share in done])
        return [result for share in done for result in share.results]

    def each(self) -> tuple[Workers, ...]:
        """Returns each worker as a pool of its own, so that they can do different tasks at a time.

        They compute in the thread that asks, and nobody attends them.
        """
        if len(self.devices) == 1:
            return (self,)
        return tuple(_Worker(self, number) for number in range(len(self.devices)))

    def _awaited(
        self, running: Sequence[tuple[Part, Future[Result]]], total: Callable[[], int]
    ) -> list[Result]:
        """Returns what workers have made of their shards, and lets somebody look meanwhile.

        `total` returns the number of samples that they pass through a network.
        """
        attend = self._attend
        if attend is None:
            return [future.result() for _, future in running]
        began = self._clock()
        for _, future in running:
            while not wait([future], BETWEEN_LOOKS_S).done:
                done = sum(part.done for part, _ in running)
                try:
                    attend(min(1.0, done / max(1, total())), self._clock() - began)
                except BaseException:
                    self._broken.set()
                    wait([each for _, each in running])
                    self._broken.clear()
                    raise
        return [future.result() for _, future in running]

    def alone(self, task: Task[Item, Result], shard: Sequence[Item], number: int) -> _Done[Result]:
        """Returns the results of one worker's shard, which the calling thread computes.

        Compiled code often takes less time than to hand it to a thread and to wait for it.
        """
        before = torch.get_num_threads()
        try:
            return self._work(task, number, shard, 1, Part(self._broken))
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
        self,
        task: Task[Item, Result],
        number: int,
        shard: Sequence[Item],
        threads: int,
        part: Part,
    ) -> _Done[Result]:
        """Computes one shard in a worker's thread, and brings its results to the first device.

        `threads` is the number of torch's threads for it, and `part` counts what is computed.
        """
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        device, began = self.devices[number], self._clock()
        with _in_stream(device), computing(part):
            found = self._workers[number].run(task, shard)
            results = [brought(result, self.devices[0]) for result in found]
        samples = sum(task.size(item) for item in shard)
        return _Done(results, samples / max(1e-9, self._clock() - began))


@dataclass(frozen=True)
class _Worker:
    """One worker of a pool."""

    pool: Pool
    number: int

    @property
    def backend(self) -> Backend:
        """See `Workers`."""
        return self.pool.backend

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """See `Workers`."""
        return (self.pool.devices[self.number],)

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """Returns a task's results in the order of the items, or raises the worker's exception."""
        return self.pool.alone(task, items, self.number).results


@dataclass(frozen=True)
class _Done(Generic[Result]):
    """What a worker has made of its shard, and the samples per second that it took."""

    results: list[Result]
    speed: float


def _passed(task: Task[Item, Any], items: Sequence[Item]) -> int:
    """Returns the number of samples that a task passes through a network for some items."""
    each = task.passed if isinstance(task, Repeated) else task.size
    return sum(map(each, items))


def brought(result: Any, device: torch.device) -> Any:
    """Returns a result with its tensors on a device; what holds none is returned as it is."""
    if isinstance(result, tuple):
        return tuple(brought(part, device) for part in result)
    return result.to(device) if isinstance(result, Movable) else result


def prepare_thread(device: torch.device) -> None:
    """Prepares a worker's thread: one thread of torch's, its device, and a stream of its own."""
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


@contextmanager
def _in_stream(device: torch.device) -> Iterator[None]:
    """Makes this thread's stream wait for the device's default one before the block.

    After the block the thread waits for its stream. On the CPU nothing waits.
    """
    if device.type == "cpu":
        yield
        return
    stream = torch.cuda.current_stream(device)
    stream.wait_stream(torch.cuda.default_stream(device))
    yield
    stream.synchronize()


def cores() -> int:
    """Returns the number of cores that this process may use, or of all where that is not known."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_pool(backend: Backend, spec: Spec) -> Pool:
    """Returns the pool of a resolved spec."""
    if spec.device == "cpu":
        return Pool(backend, [torch.device("cpu")] * (spec.workers or 1))
    choose_algorithms(backend.name, deterministic=spec.deterministic)
    return Pool(backend, [torch.device(name) for name in spec.device.split(",")])
