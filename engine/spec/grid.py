"""The searches of one preset for many pairs of endpoints at many levels. No torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from engine.part import LARGEST_LOSS
from engine.spec.keys import Spec
from engine.spec.search import TimesEnds

LevelAsked = float | str | TimesEnds
"""A level that a grid is asked for: a number, `lowest`, or so many times the worse end's."""

#: What a user is asked for where a list of levels is none.
LEVELS = "give different losses such as 0.1,0.05, or lowest, or 1.5x: so many times the worse end"


def level_of(text: object) -> LevelAsked | None:
    """Returns the level that `text_of` writes so, or None where there is none.

    That is a number above 0, `lowest`, or a number from 1 with an x behind it.
    """
    if text == "lowest":
        return "lowest"
    if isinstance(text, str) and (times := re.fullmatch(r"([0-9.]+(?:e[-+]?[0-9]+)?)x", text)):
        factor = _number(times[1])
        return TimesEnds(times_ends=factor) if factor is not None and factor >= 1 else None
    number = _number(text)
    return number if number is not None and 0 < number <= LARGEST_LOSS else None


def text_of(level: LevelAsked) -> str:
    """Returns a level as the command line and the files of a sweep write it."""
    return f"{level.times_ends!r}x" if isinstance(level, TimesEnds) else str(level)


def levels_of(texts: Iterable[object]) -> tuple[LevelAsked, ...]:
    """Returns different levels. Raises ValueError where one is none, or is there twice."""
    found = tuple(map(level_of, texts))
    if not found or None in found or len(set(map(str, found))) < len(found):
        raise ValueError(found)
    return tuple(level for level in found if level is not None)


def _number(value: object) -> float | None:
    """Returns a finite number, or None where a value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if -inf < number < inf else None


@dataclass(frozen=True)
class Grid:
    """The searches of one preset for so many pairs of endpoints at each of some levels."""

    spec: Spec
    """The preset; pair k has the seed `spec.seed + k`."""
    levels: tuple[LevelAsked, ...]
    pairs: int

    def places(self) -> Iterator[tuple[LevelAsked, int]]:
        """Yields (level, pair), level by level, pairs counted from 0."""
        return ((level, pair) for level in self.levels for pair in range(self.pairs))

    def at(self, level: LevelAsked, pair: int = 0) -> Spec:
        """Returns the spec of one pair at one level."""
        search = self.spec.search.model_copy(update={"level": level})
        return self.spec.model_copy(update={"search": search, "seed": self.spec.seed + pair})
