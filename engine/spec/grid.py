"""The searches of one preset for many pairs of endpoints at many levels. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.spec.keys import Spec


@dataclass(frozen=True)
class Grid:
    """The searches of one preset for so many pairs of endpoints at each of some levels."""

    spec: Spec
    """The preset; pair k has the seed `spec.seed + k`."""
    levels: tuple[float, ...]
    pairs: int

    def places(self) -> Iterator[tuple[float, int]]:
        """Yields (level, pair), level by level, pairs counted from 0."""
        return ((level, pair) for level in self.levels for pair in range(self.pairs))

    def at(self, level: float, pair: int = 0) -> Spec:
        """Returns the spec of one pair at one level."""
        search = self.spec.search.model_copy(update={"level": level})
        return self.spec.model_copy(update={"search": search, "seed": self.spec.seed + pair})
