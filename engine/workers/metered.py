"""A pool that counts what is computed for one search, whoever else shares the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from engine.backends.backend import Backend
from engine.problem.problem import Problem
from engine.record.costs import Costs
from engine.workers.pool import Item, Result, Task, Workers


@runtime_checkable
class Priced(Protocol):
    """A task that says what it has cost; a search asks for no others."""

    def cost(self, problem: Problem, item: Any, result: Any, /) -> Costs:
        """Returns what the result of an item has cost. It depends on nothing but these."""


class Metered:
    """A pool of one search, which adds up what its tasks cost."""

    def __init__(self, pool: Workers) -> None:
        """Counts from nothing what `pool` computes."""
        self.unmetered = pool
        """The pool itself, for what is computed for viewers alone."""
        self.costs: Costs | None = Costs()
        """What the search has cost so far; None where that is not known, because a part of it was
        done by a version that did not count."""

    @property
    def backend(self) -> Backend:
        """See `Workers`."""
        return self.unmetered.backend

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """See `Workers`."""
        return self.unmetered.devices

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """See `Workers`. Raises TypeError for a task that does not say what it costs."""
        if not isinstance(task, Priced):
            raise TypeError(f"{type(task).__name__} has no method cost, so it cannot be counted")
        results = self.unmetered.run(task, items)
        problem = self.backend.problem
        costs = [task.cost(problem, *pair) for pair in zip(items, results, strict=True)]
        self.add(sum(costs, start=Costs()))
        return results

    def add(self, costs: Costs) -> None:
        """Adds what was computed for the search by other ways than the pool."""
        if self.costs is not None:
            self.costs += costs
