"""The objective, the level's tolerance, and the words that tell them. No torch here."""

from __future__ import annotations

import re
from math import ceil, isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from engine.part import Part


def _name(text: str) -> str:
    """Returns a name. Raises ValueError for a text that is none."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text):
        return text
    raise ValueError("a name such as error_rate")


Name = Annotated[str, AfterValidator(_name)]
"""The name of a metric or a split, which may be one of a later version."""


class Measure(Part):
    """A metric over a split by their names, as files of runs tell it.

    Viewers show names that only later versions know as they stand.
    """

    model_config = ConfigDict(extra="ignore")

    metric: Name = "loss"
    """The name of the metric, such as error_rate."""
    split: Name = "train"
    """The name of the samples over which it is taken, such as held_out."""

    @property
    def words(self) -> str:
        """The metric and the split in words, such as "held-out error rate"."""
        splits = {"train": "training", "held_out": "held-out"}
        return f"{splits.get(self.split, self.split.replace('_', ' '))} {self.metric_words}"

    @property
    def metric_words(self) -> str:
        """The metric alone in words."""
        return self.metric.replace("_", " ")

    def __eq__(self, other: object) -> bool:
        """Returns whether both are the same metric over the same split."""
        if not isinstance(other, Measure):
            return NotImplemented
        return (self.metric, self.split) == (other.metric, other.split)

    def __hash__(self) -> int:
        """Returns the hash of both names."""
        return hash((self.metric, self.split))


class LevelOn(Measure):
    """The objective, which is held against the level. Beads always train on the training loss."""

    model_config = ConfigDict(extra="forbid")

    metric: Literal["loss", "error_rate", "perplexity"] = "loss"
    """The metric: the loss, the share of samples or tokens that get the wrong class, or the
    perplexity of a cross-entropy."""
    split: Literal["train", "held_out"] = "train"
    """The samples over which the metric is taken: those that are trained on, or those held out."""


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


def multiple(share: float, digits: int = 4) -> str:
    """Returns a multiple of the level, rounded up to `digits` decimals or more.

    What is below the level is never rounded onto it: there are as many decimals as that takes.
    """
    if not isfinite(share):
        return f"{share}"
    while digits < 12 and share < 1 <= ceil(share * 10**digits) / 10**digits:
        digits += 2
    return f"{ceil(share * 10**digits) / 10**digits:.{digits}f}"
