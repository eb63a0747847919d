"""What the searches of one process have asked for, and which of it the next call computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any, Protocol, runtime_checkable

from engine.workers.pool import Pool, Task, Workers

#: The seconds that a call takes at most, about, before it is asked again whether to hurry.
CALL_S = 0.2
#: The seconds of work for which a worker begins a call while some searches have not asked yet.
#: With 0.02 many small calls made sweeps of small networks slower by a tenth.
WORTH_S = 0.1


@runtime_checkable
class Skippable(Protocol):
    """A task that may leave its items as they are, since it is asked for again until it is done."""

    def skip(self, items: Sequence[Any], /) -> Sequence[Any]:
        """Returns the results of items for which nothing is computed."""


@dataclass(frozen=True)
class Call:
    """One task and the items of the searches that ask for it, for some of the workers."""

    task: Task[Any, Any]
    asked: Mapping[Thread, Sequence[Any]]
    """The items of each search."""
    lanes: tuple[Workers, ...]
    """The lanes that the call keeps busy."""
    pool: Workers | None = None
    """All workers, where the call has all lanes."""

    @property
    def workers(self) -> Workers:
        """The workers that compute the call."""
        return self.pool or self.lanes[0]

    @property
    def items(self) -> list[Any]:
        """The items of all searches, one search after another."""
        return [item for items in self.asked.values() for item in items]

    def each(self) -> Iterator[Call]:
        """Yields a call for each search."""
        for who, items in self.asked.items():
            yield replace(self, asked={who: items})


@dataclass
class _Group:
    """The searches that wait for equal tasks, the one that asked first in front."""

    task: Task[Any, Any]
    asked: dict[Thread, Sequence[Any]] = field(default_factory=dict)
    sizes: dict[Thread, int] = field(default_factory=dict)
    """The sum of the sizes of a search's items."""
    size: int = 0
    """The sum of the sizes of all items."""

    def add(self, who: Thread, items: Sequence[Any], size: int) -> None:
        """Adds the items of a search, whose sizes have the sum `size`."""
        self.asked[who], self.sizes[who] = items, size
        self.size += size

    def take(self, most: float) -> dict[Thread, Sequence[Any]]:
        """Takes out the first searches, one at least, until their items have the size `most`."""
        taken: dict[Thread, Sequence[Any]] = {}
        size = 0
        while self.asked and (not taken or size < most):
            who = next(iter(self.asked))
            taken[who] = self.asked.pop(who)
            size += self.sizes.pop(who)
        self.size -= size
        return taken


class Questions:
    """The questions that wait for an answer, and the workers that are free for them.

    In compiled code results do not depend on who shares a call, so each worker is a lane of its
    own, which takes a call whenever there is one. Elsewhere all workers are one lane.
    """

    def __init__(self, pool: Pool) -> None:
        """Makes questions, none yet, that the workers of a pool answer."""
        self._pool, self._cut = pool, pool.backend.steps_at_once
        self.lanes: tuple[Workers, ...] = pool.each() if self._cut else (pool,)
        """The workers that compute calls of their own."""
        self._free = list(self.lanes)
        self.who: set[Thread] = set()
        """The searches whose questions no call has taken yet."""
        self._groups: dict[Task[Any, Any], _Group] = {}
        self._sizes_per_s: dict[type[Any], float] = {}
        """The sum of the sizes of a task's items that a lane computes in a second, by its kind."""

    def ask(self, who: Thread, task: Task[Any, Any], items: Sequence[Any]) -> None:
        """Adds the question of a search. Raises TypeError for a task that has no hash."""
        size = sum(task.size(item) for item in items)
        self._groups.setdefault(task, _Group(task)).add(who, items, size)
        self.who.add(who)

    def due(self, all_asked: bool) -> bool:
        """Returns whether a call should begin.

        That is so where all searches wait for an answer, or, in compiled code, where what was asked
        takes a worker longer than it takes to begin a call.
        """
        if not self._free or not self._groups:
            return False
        return all_asked or (len(self.lanes) > 1 and any(map(self._worth, self._groups.values())))

    def _worth(self, group: _Group) -> bool:
        """Returns whether a group is worth a call, as none is while no speed is known."""
        speed = self._sizes_per_s.get(type(group.task))
        return speed is not None and group.size >= WORTH_S * speed

    def next_call(self, all_asked: bool) -> Call | None:
        """Takes out the questions that the next call answers, or returns None where none is due.

        They are those that wait longest, and those with equal tasks. All lanes share a call where
        they are free and nobody else is going to ask, unless other tasks wait while it takes long.
        """
        if not self.due(all_asked):
            return None
        group = next(iter(self._groups.values()))
        together = all_asked and len(self._free) == len(self.lanes)
        together &= len(self._groups) == 1 or not self._worth(group)
        asked = group.take(self._most(group, together))
        self.who -= asked.keys()
        if not group.asked:
            del self._groups[group.task]
        if not together:
            return Call(group.task, asked, (self._free.pop(),))
        self._free.clear()
        return Call(group.task, asked, self.lanes, self._pool)

    def ended(self, call: Call) -> None:
        """Frees the lanes of a call that has ended."""
        self._free.extend(call.lanes)

    def learn(self, call: Call, seconds: float) -> None:
        """Learns from the time that a call took how much a lane computes of such a task."""
        if seconds > 0:
            size = sum(call.task.size(item) for item in call.items)
            self._sizes_per_s[type(call.task)] = size / seconds / len(call.lanes)

    def _lanes_for_one(self) -> int:
        """Returns the number of free lanes that one group has, so that others have one too."""
        return max(1, len(self._free) - len(self._groups) + 1)

    def _most(self, group: _Group, together: bool) -> float:
        """Returns the size from which on a call of a group takes no further search.

        In compiled code a call of what can be skipped takes about `CALL_S`, so that a search is
        never kept for longer once it is to end, and lanes that are free share what there is. The
        items of one search always share a call.
        """
        if not self._cut:
            return float("inf")
        lanes = len(self.lanes) if together else 1
        share = group.size if together else group.size / self._lanes_for_one()
        if not isinstance(group.task, Skippable):
            return share
        speed = self._sizes_per_s.get(type(group.task))
        if speed is None:  # each lane gets something to do
            return group.size / len(group.asked) * lanes
        return min(share, CALL_S * speed * lanes)
