"""A worker's backend, which goes on in smaller pieces where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from engine.backends.backend import Backend
from engine.errors import NO_THREAD, CompilerMemoryError

log = logging.getLogger("engine")

Compute = Callable[[Backend, Sequence[Any]], Sequence[Any]]
"""A task: takes a backend and items, and returns a result for each item."""

#: What torch, cuBLAS, cuDNN, cuSOLVER and ROCm's twins of them say where an allocation fails, and
#: Python where a thread does not begin.
SAID = (
    "out of memory",
    "outofmemory",
    "not enough memory",
    "can't allocate memory",
    "alloc_failed",
    NO_THREAD,
)


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means that an allocation failed.

    Only torch's own allocator on a GPU has a class for it; the others say it in their message.
    """
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in SAID)


class Frugal:
    """A worker's backend and what it has learned of the memory that there is.

    The first time that memory runs out in a call, pieces of layers' outputs become half as large.
    Each further time the items are halved too, since rows in training lie in memory as a whole. So
    it goes on down to one sample of one item, and what was learned holds for later calls.
    """

    def __init__(self, backend: Backend) -> None:
        """Makes a worker of a backend whose pieces are as large as the backend has them."""
        self.backend = backend
        self._most: dict[type[Any], int] = {}
        """The number of items that a call may take, by kind of task, where more did not fit."""

    def run(self, task: Compute, items: Sequence[Any]) -> list[Any]:
        """Returns a task's result for each item.

        Raises MemoryError where a single item does not fit, and whatever else the task raises.
        """
        most = self._most.get(type(task), len(items))
        if len(items) <= most:
            return self._attempt(task, items)
        parts = [items[start : start + most] for start in range(0, len(items), most)]
        return [result for part in parts for result in self._attempt(task, part)]

    def _attempt(self, task: Compute, items: Sequence[Any], failed: int = 0) -> list[Any]:
        """Returns the results of a call that has failed so often, or those of smaller ones."""
        try:
            return list(task(self.backend, items))
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, CompilerMemoryError) or not out_of_memory(error):
                raise
            said = str(error)
        # The error is gone here, and with it the tensors that its traceback held.
        shrunk = self._shrink()
        if len(items) > 1 and (failed or not shrunk):
            half = (len(items) + 1) // 2
            self._most[type(task)] = half
            log.warning("out of memory: from now on at most %d items of a task at a time", half)
            parts = (items[:half], items[half:])
            return [found for part in parts for found in self._attempt(task, part, failed + 1)]
        if shrunk:
            return self._attempt(task, items, failed + 1)
        raise MemoryError(
            f"not enough memory on {self.backend.problem.device} for one item in pieces of one "
            f"sample; take a smaller network, or close what else needs that memory ({said})"
        )

    def _shrink(self) -> bool:
        """Halves the pieces and gives back what is unused; False where they hold one sample."""
        problem = self.backend.problem
        if problem.device.type == "cuda":
            torch.cuda.empty_cache()
        sample = problem.cost.values * problem.dtype.itemsize
        if self.backend.piece_bytes <= max(1, sample):
            return False
        self.backend = self.backend.within(max(1, self.backend.piece_bytes // 2))
        pieces = self.backend.piece_bytes / 2**20
        log.warning("out of memory: from now on in pieces of %.3g MiB", pieces)
        return True
