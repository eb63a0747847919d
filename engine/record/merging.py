"""Decides which pairs of models are searched next so that few searches join them. No torch here.

A path that was found at a level holds at every higher one, and any path that a search has left,
connected or not, holds at the levels that its measured peak does not exceed. So levels are taken
from the lowest up. At each, models that paths join are a component, and only pairs of models
between components are searched, the closest first.

Searches are decided in rounds, so that many may run at once and yet the same ones are run in
whatever order they end: a round is a spanning forest of the components, by the distance of the
closest models between two of them that were not tried at this level. No path that it may find is
one too many. The next round is decided by what all searches of the rounds before have found, and
by nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isfinite

from engine.spec.level import bound

Pair = tuple[int, int]
"""Two models by their numbers, the smaller one first."""

Peaks = Mapping[tuple[float, Pair], float]
"""The highest loss on the path that the search of a pair at a level has left, by level and pair;
infinite where it has left none."""


class Groups:
    """Sets of items that grow together: union–find, by size, with halved paths (Tarjan 1975)."""

    def __init__(self, items: Iterable[int]) -> None:
        """Makes a group of each item."""
        self._above = {item: item for item in items}
        self._size = dict.fromkeys(self._above, 1)

    def of(self, item: int) -> int:
        """Returns the item that stands for the group of an item."""
        above = self._above
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    def join(self, one: int, other: int) -> bool:
        """Makes one group of those of two items, and returns whether they were two."""
        first, second = self.of(one), self.of(other)
        if first == second:
            return False
        if self._size[first] < self._size[second]:
            first, second = second, first
        self._above[second] = first
        self._size[first] += self._size[second]
        return True

    def tops(self) -> list[int]:
        """Returns the items that stand for the groups."""
        return [item for item, above in self._above.items() if item == above]

    def members(self) -> tuple[tuple[int, ...], ...]:
        """Returns the members of each group in order, the largest group first.

        Of groups of the same size, that with the smallest member comes first.
        """
        found: dict[int, list[int]] = {}
        for item in sorted(self._above):
            found.setdefault(self.of(item), []).append(item)
        return tuple(map(tuple, sorted(found.values(), key=lambda group: (-len(group), group[0]))))


@dataclass(frozen=True)
class Models:
    """What is known of the models before any search."""

    losses: tuple[float, ...]
    """The objective of each."""
    distances: tuple[tuple[float, ...], ...]
    """The distance of each two, (model, model), after alignment where that is asked for."""

    def present(self, highest: float) -> tuple[int, ...]:
        """Returns the models whose own loss is not above a value."""
        return tuple(model for model, loss in enumerate(self.losses) if loss <= highest)

    def distance(self, pair: Pair) -> tuple[float, Pair]:
        """Returns what pairs are sorted by: their distance, and of equal ones the numbers."""
        return self.distances[pair[0]][pair[1]], pair


@dataclass(frozen=True)
class Round:
    """Searches at one level that are decided together."""

    level: float
    pairs: tuple[Pair, ...]
    """The pairs, the closest first."""


@dataclass(frozen=True)
class Decided:
    """The searches that are decided, as far as what was found allows."""

    rounds: tuple[Round, ...]
    """All rounds so far, of which the last may not have ended."""
    left: tuple[tuple[float, Pair], ...]
    """The searches of the last round that have not ended; none where everything has."""

    @property
    def searches(self) -> tuple[tuple[float, Pair], ...]:
        """The level and the pair of each search that is decided."""
        return tuple((each.level, pair) for each in self.rounds for pair in each.pairs)


def decide(
    models: Models, levels: Iterable[float], peaks: Peaks, *, tries: int, tolerance: float = 0.0
) -> Decided:
    """Returns all searches that follow from what was found, round by round.

    `peaks` are those of the searches that have ended; what it holds of others is not used. `tries`
    is the number of pairs that are searched between two components at one level.
    """
    known: dict[tuple[float, Pair], float] = {}
    rounds: list[Round] = []
    for level in sorted(levels):
        highest = bound(level, tolerance)
        present = models.present(highest)
        closest_first = sorted(combinations(present, 2), key=models.distance)
        while True:
            groups = joined(present, known, highest)
            tried = [pair for at, pair in known if at == level]
            pairs = _next_round(groups, closest_first, tried, tries)
            if not pairs:
                break
            rounds.append(Round(level, pairs))
            left = tuple((level, pair) for pair in pairs if (level, pair) not in peaks)
            if left:
                return Decided(tuple(rounds), left)
            known |= {(level, pair): peaks[level, pair] for pair in pairs}
    return Decided(tuple(rounds), ())


def joined(present: Iterable[int], peaks: Peaks, highest: float) -> Groups:
    """Returns the groups of models that paths join whose peaks are at most a value."""
    groups = Groups(present)
    for (_, (a, b)), peak in peaks.items():
        if peak <= highest:  # then both ends, which are points of the path, are present
            groups.join(a, b)
    return groups


def _next_round(
    groups: Groups, closest_first: Iterable[Pair], tried: Collection[Pair], tries: int
) -> tuple[Pair, ...]:
    """Returns a spanning forest of the groups by the closest pairs that may be tried.

    Where the first pair between two groups would close a circle, all later ones would.
    """
    done = set(tried)
    between = Counter(_two(groups.of(a), groups.of(b)) for a, b in done)
    forest, found = Groups(groups.tops()), []
    for pair in closest_first:
        two = _two(groups.of(pair[0]), groups.of(pair[1]))
        if pair not in done and between[two] < tries and forest.join(*two):
            found.append(pair)
    return tuple(found)


def _two(one: int, other: int) -> tuple[int, int]:
    """Returns two numbers, the smaller one first."""
    return (one, other) if one < other else (other, one)


def spanning_tree(barriers: Mapping[Pair, float]) -> tuple[Pair, ...]:
    """Returns the pairs of a minimum spanning tree, the lowest barrier first (Kruskal 1956).

    Barriers that are not finite join nothing, so it may be a forest. Of equal barriers that of the
    smaller pair comes first.
    """
    finite = sorted((peak, pair) for pair, peak in barriers.items() if isfinite(peak))
    groups = Groups({model for _, pair in finite for model in pair})
    return tuple(pair for _, pair in finite if groups.join(*pair))
