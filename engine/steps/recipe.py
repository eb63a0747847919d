"""The settings by which rows take their steps. A round needs nothing else but the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.spec.training import Training
from engine.steps.linear_map import Identity, LinearMap
from engine.steps.tethers import Off, Tether


@dataclass(frozen=True)
class Recipe:
    """The settings of a round of training.

    Equal recipes do the same, so that rows of several searches may share a round.
    """

    training: Training
    """The optimizer, the batch size, and the numbers of steps of a round and of a row."""
    tether: Tether = field(default_factory=Off)
    """The tether between the rows of a group."""
    at: LinearMap = field(default_factory=Identity)
    """The map from the rows of a group to the points at which gradients are computed."""
    evaluate: Literal["before", "after"] = "before"
    """Whether the objective is evaluated before or after the steps of a round, where the steps do
    not see it. Strings are evaluated after a round in any case, since the next step of a bead
    depends on all beads."""

    def samples(self, data: int) -> int:
        """Returns the number of samples that a step sees, where the data hold `data` of them."""
        size = self.training.batch_size
        return data if size == "full" else min(size, data)
