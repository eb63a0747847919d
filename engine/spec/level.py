"""The level, what is held against it, its tolerance, and how these are told. No torch here."""

from __future__ import annotations

from typing import Literal

from engine.part import Part


class LevelOn(Part):
    """What is held against the level. Beads are trained on the training loss all the same."""

    metric: Literal["loss", "error_rate", "perplexity"] = "loss"
    """The metric: the loss, the share of samples or tokens that get the wrong class, or the
    perplexity of a cross-entropy."""
    split: Literal["train", "held_out"] = "train"
    """The samples that it is taken over: those that are trained on, or those held out."""

    @property
    def words(self) -> str:
        """The metric and the split in words, such as "held-out error rate"."""
        split = "training" if self.split == "train" else "held-out"
        return f"{split} {self.metric.replace('_', ' ')}"


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
