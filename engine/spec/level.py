"""The objective, the level's tolerance, and the words that tell them. No torch here."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Literal

from engine.part import Part


class LevelOn(Part):
    """The objective, which is held against the level. Beads always train on the training loss."""

    metric: Literal["loss", "error_rate", "perplexity"] = "loss"
    """The metric: the loss, the share of samples or tokens that get the wrong class, or the
    perplexity of a cross-entropy."""
    split: Literal["train", "held_out"] = "train"
    """The samples over which the metric is taken: those that are trained on, or those held out."""

    @property
    def words(self) -> str:
        """The metric and the split in words, such as "held-out error rate"."""
        split = "training" if self.split == "train" else "held-out"
        return f"{split} {self.metric.replace('_', ' ')}"


def bound(level: float, tolerance: float) -> float:
    """Returns the highest objective that a closed segment may have: (1 + tolerance) × level."""
    return (1 + tolerance) * level


def both(level: float, tolerance: float) -> str:
    """Returns both numbers in words, such as "level 0.001, tolerance 0.05".

    Returns an empty text where the tolerance is 0. Every sentence that compares something with the
    level tells them, so that nobody takes a multiple of the level above 1 for a mistake.
    """
    return f"level {level:g}, tolerance {tolerance:g}" if tolerance else ""


def in_brackets(level: float, tolerance: float) -> str:
    """Returns the words of `both` in brackets, to be put behind a multiple of the level."""
    return f" ({both(level, tolerance)})" if tolerance else ""


def too_high(level: float, tolerance: float) -> str:
    """Returns the object of "the segment exceeds": the level, and its tolerance if it has one."""
    if not tolerance:
        return "the level"
    return f"the level {level:g} by more than its tolerance {tolerance:g}"


def multiple(share: float) -> str:
    """Returns a multiple of the level in four decimals or more, rounded up.

    What is below the level is never rounded onto it: there are as many decimals as that takes.
    """
    if not isfinite(share):
        return f"{share}"
    digits = 4
    while digits < 12 and share < 1 <= ceil(share * 10**digits) / 10**digits:
        digits += 2
    return f"{ceil(share * 10**digits) / 10**digits:.{digits}f}"
