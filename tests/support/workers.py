"""Workers without threads, and backends for problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.backends.backend import Backend
from engine.backends.vmapped import VmappedBackend
from engine.problem.problem import Problem
from engine.workers.pool import Item, Result, Task


@dataclass(frozen=True)
class Here:
    """Does a task at once, in the thread that asks."""

    backend: Backend

    @property
    def devices(self) -> tuple[torch.device, ...]:
        return (self.backend.problem.device,)

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        return list(task(self.backend, items)) if items else []


def vmapped(problem: Problem) -> VmappedBackend:
    """Returns torch's way to compute a problem for many weight vectors at once."""
    return VmappedBackend(problem)
