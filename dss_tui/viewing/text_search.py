"""The search for a text in things that stand in an order: lines, segments, cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.record.progress import SegmentProgress


@dataclass(frozen=True)
class Hit:
    """The thing that a step of a search came to."""

    number: int
    """Its number among all things, from 0."""
    rank: int
    """Its number among those that fit, from 1."""
    count: int
    """The number of those that fit."""

    @property
    def words(self) -> str:
        """How far the search is, such as 3 of 17."""
        return f"{self.rank} of {self.count}"


def next_hit(fits: Sequence[bool], at: int | None, step: int) -> Hit | None:
    """Returns the next thing that fits, or None where none does.

    `at` is the number of the thing where the search is, or None before its first step. `step` is 1
    towards the last thing and -1 towards the first; beyond either the search goes on at the other.
    """
    found = [number for number, fit in enumerate(fits) if fit]
    if not found:
        return None
    if step > 0:
        number = next((n for n in found if at is None or n > at), found[0])
    else:
        number = next((n for n in reversed(found) if at is None or n < at), found[-1])
    return Hit(number, found.index(number) + 1, len(found))


def has(words: str, text: str) -> bool:
    """Returns whether words have a text in them, in capitals or not."""
    return text.casefold() in words.casefold()


def segment_has(segment: SegmentProgress, state: str, text: str) -> bool:
    """Returns whether a segment is what a text looks for.

    A whole number looks for a bead at an end of the segment or in training on it. Any other text
    is looked for in the pair of beads, such as 83–35 or 83-35, and in `state`, its state in words.
    """
    if text.isdecimal():
        return int(text) in (segment.left, segment.right, segment.bead)
    left, right = segment.pair
    return has(f"{left}–{right} {left}-{right} {state}", text)
