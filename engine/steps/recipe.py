"""How rows take their steps: all that a round needs beside the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.spec.training import Training
from engine.steps.linear_map import Identity, LinearMap
from engine.steps.tethers import Off, Tether


@dataclass(frozen=True)
class Recipe:
    """Equal recipes do the same, so that rows of several searches may share a round."""

    training: Training
    """Optimizer, batch size, and how many steps a round and a row have."""
    tether: Tether = field(default_factory=Off)
    """What ties the rows of a group."""
    at: LinearMap = field(default_factory=Identity)
    """Where gradients are taken, for the rows of a group."""
    evaluate: Literal["before", "after"] = "before"
    """When what is judged is looked at where steps do not see it; strings are looked at after a
    round in any case, since their next step depends on all of their beads."""

    def samples(self, data: int) -> int:
        """Returns how many samples a step sees, of so many in the data."""
        size = self.training.batch_size
        return data if size == "full" else min(size, data)
