"""What annotations say of a value beside its type, and the types that many files share.

`decoding` holds values against these marks. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

#: The largest whole number that every reader of JSON agrees on.
LARGEST = 2**53


@dataclass(frozen=True)
class Range:
    """The bounds of a number, both included. A NaN is outside of every range."""

    low: float
    high: float = LARGEST


@dataclass(frozen=True)
class Positive:
    """The mark of a number above zero. NaN passes; it stands for a number that is not finite."""


@dataclass(frozen=True)
class Length:
    """The least number of items of a tuple."""

    least: int


@dataclass(frozen=True)
class Formerly:
    """The mark of a field of a dataclass that older files hold under another key."""

    key: str


class Kind:
    """The base of frozen dataclasses that are told apart by `kind: Literal["name"]`.

    Where its direct subclass stands as a type, any dataclass below that is meant, wherever it is
    defined. Nobody has to list them.
    """


Count = Annotated[int, Range(0)]
"""A whole number from 0 to 2⁵³, such as a bead's id or a number of steps."""

Seed = Annotated[int, Range(0, 2**64)]
"""The seed of a random stream."""

Depth = Annotated[int, Range(0, 10_000)]
"""A depth of recursion; the bound keeps lists by depth small."""

Seconds = Annotated[float, Range(0)]
"""A finite running time in seconds."""

Level = Annotated[float, Positive()]
"""A positive value of the objective, by which others are divided."""

Tolerance = Annotated[float, Range(0)]
"""The share of the level by which a closed segment may exceed it."""
