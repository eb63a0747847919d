"""Measurements that take long, in parts: after each, somebody is told how far they have come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engine.backends.backend import Backend
from engine.told import Told
from engine.workers.pool import Item, Result, Task, Workers

#: The products of a weight and a sample that a worker takes between two tellings: some tenths of a
#: second.
BETWEEN = 2 * 10**9


@dataclass
class Telling:
    """A pool that hands out its tasks part by part, and tells after each how far it has come."""

    pool: Workers
    total: float
    """What the sizes of all items come to that will be handed out."""
    told: Told
    of: tuple[type[Any], ...]
    """The classes of the tasks that count; others are handed out whole."""
    per_part: float
    """The sizes of the items of a part together, at least."""
    done: float = 0.0
    """The sizes of the items that are done."""

    @property
    def backend(self) -> Backend:
        """See `Workers`."""
        return self.pool.backend

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """See `Workers`."""
        return self.pool.devices

    def run(self, task: Task[Item, Result], items: Sequence[Item]) -> list[Result]:
        """See `Workers`."""
        if not isinstance(task, self.of):
            return self.pool.run(task, items)
        found: list[Result] = []
        for some in self._parts(task, items):
            found += self.pool.run(task, some)
            self.done += sum(map(task.size, some))
            self.told(min(1.0, self.done / self.total))
        return found

    def _parts(self, task: Task[Item, Result], items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Yields the items in parts that keep all workers busy for a while."""
        start, size = 0, 0.0
        for number, item in enumerate(items):
            size += task.size(item)
            enough = number + 1 - start >= len(self.devices) and size >= self.per_part
            if enough or number + 1 == len(items):
                yield items[start : number + 1]
                start, size = number + 1, 0.0
