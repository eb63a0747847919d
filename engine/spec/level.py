"""The level, its tolerance, and how both are told. No torch here."""

from __future__ import annotations


def bound(level: float, tolerance: float) -> float:
    """Returns the highest loss that a segment may have to be closed: (1 + tolerance) × level."""
    return (1 + tolerance) * level


def both(level: float, tolerance: float) -> str:
    """Returns both numbers in words, such as "level 0.001, tolerance 0.05"; "" without tolerance.

    Every sentence that compares something with the level tells them, so that nobody takes a
    multiple of the level above 1 for a mistake.
    """
    return f"level {level:g}, tolerance {tolerance:g}" if tolerance else ""


def in_brackets(level: float, tolerance: float) -> str:
    """Returns both numbers in brackets, to be put behind a multiple of the level."""
    return f" ({both(level, tolerance)})" if tolerance else ""


def too_high(level: float, tolerance: float) -> str:
    """Returns what a segment that is not closed exceeds, to be put behind a verb."""
    if not tolerance:
        return "the level"
    return f"the level {level:g} by more than its tolerance {tolerance:g}"
