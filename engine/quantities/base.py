"""What a quantity along a path is: what it refuses, how long it takes, and how it is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args

import torch

from engine.backends.backend import Backend
from engine.problem.problem import Problem, Split
from engine.quantities.models import OneByOne
from engine.quantities.path import Path, Place
from engine.record.quantity import Series, Table
from engine.workers.pool import Workers

Item = TypeVar("Item")
Result = TypeVar("Result")

#: What the splits are called in words.
SPLITS: dict[Split, str] = {"train": "training", "held_out": "held-out"}


@dataclass(frozen=True)
class Found:
    """What was measured of a quantity."""

    series: tuple[Series, ...]
    """Numbers at each place of the path."""
    table: Table | None = None
    """Numbers of a few models."""
    notes: tuple[str, ...] = ()
    """What the numbers are, in sentences."""


@dataclass(frozen=True, eq=False)
class Each(Generic[Item, Result]):
    """The task of a function of the backend and one item, for each item."""

    of: Callable[[OneByOne, Item], Result]
    samples: int
    """The number of samples that are computed for an item, forward or backward."""
    dtype: torch.dtype

    def size(self, item: Item) -> int:
        """Returns the number of samples that are computed for an item."""
        return self.samples

    def __call__(self, backend: Backend, items: Sequence[Item]) -> list[Result]:
        """Returns what the function gives for each item."""
        found = backend.to(self.dtype)
        assert isinstance(found, OneByOne)
        return [self.of(found, item) for item in items]


@dataclass(frozen=True, eq=False)
class Measurement:
    """A path, the workers that measure it, and how."""

    path: Path
    pool: Workers
    """The workers, whose backends are `OneByOne`."""
    dtype: torch.dtype
    seed: int
    """The seed of what is drawn."""

    @property
    def problem(self) -> Problem:
        """The problem whose models the path consists of, in float32."""
        return self.pool.backend.problem

    @property
    def splits(self) -> list[Split]:
        """The splits that have samples."""
        return splits_of(self.problem)

    def each(
        self, of: Callable[[OneByOne, Item], Result], items: Sequence[Item], samples: int
    ) -> list[Result]:
        """Returns what a function of the backend and an item gives for each item.

        `samples` is the number of samples that are computed for an item.
        """
        return self.pool.run(Each(of, samples, self.dtype), items)

    def at_places(
        self, of: Callable[[OneByOne, torch.Tensor], Result], samples: int
    ) -> list[Result]:
        """Returns what a function of the backend and weights (param,) gives at each place."""

        def there(backend: OneByOne, place: Place) -> Result:
            return of(backend, self.path.weights(place))

        return self.each(there, self.path.places, samples)

    def statistics(self) -> list[dict[str, torch.Tensor]]:
        """Returns each bead's statistics of batch normalization, empty where nothing has any."""
        problem, beads = self.problem, self.path.at_beads
        if not problem.normalizes:
            return [{} for _ in beads]
        return self.each(
            lambda backend, place: backend.statistics(self.path.weights(place)),
            beads,
            len(problem.estimate or ()),
        )

    def in_pieces(self, of: Callable[[OneByOne, slice], Result], split: Split) -> list[Result]:
        """Returns what a function of the backend and some samples gives for each piece of a split.

        It computes every bead's outputs for them.
        """
        backend = self.pool.backend.to(self.dtype)
        assert isinstance(backend, OneByOne)
        pieces = backend.bounds(self.problem.samples(split))
        size = max(some.stop - some.start for some in pieces)
        return self.each(of, pieces, size * len(self.path.at_beads))


class Kind(ABC):
    """A quantity along a path."""

    title: ClassVar[str]
    """What is measured, in words."""

    def refusal(self, problem: Problem) -> str | None:
        """Returns why a problem does not allow it, as a clause, or None where it does."""
        return None

    @abstractmethod
    def samples(self, path: Path, problem: Problem) -> int:
        """Returns the number of samples that are computed, forward or backward, about."""

    @abstractmethod
    def measured(self, on: Measurement) -> Found:
        """Returns what is measured."""


def splits_of(problem: Problem) -> list[Split]:
    """Returns the splits of a problem that have samples."""
    return [split for split in get_args(Split) if len(problem.samples(split))]


def samples_of(problem: Problem) -> int:
    """Returns the number of samples of all splits together."""
    return sum(len(problem.samples(split)) for split in splits_of(problem))


def floats(values: Any) -> tuple[float, ...]:
    """Returns an array or tensor (number,) as floats."""
    return tuple(map(float, values))
