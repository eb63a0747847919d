"""What a checkpoint holds of constrained DSS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Literal

from engine.methods.base import StageState
from engine.record.marks import Count
from engine.shapes import Beads, PerBead, Steps


@dataclass(frozen=True)
class StringRows:
    """The columns of a string's rows that a checkpoint holds; the rest follows from the chain."""

    steps: Steps
    loss: PerBead
    best: PerBead
    best_step: Steps
    state: Mapping[str, Beads]
    """(bead, param) The optimizer's tensors by name."""


@dataclass(frozen=True)
class ConstrainedState(StageState):
    """All that a checkpoint holds of constrained DSS beside the chain.

    Raises ValueError where the level is not a number.
    """

    level: float
    held: tuple[bool, bool]
    attempts: dict[Count, Count]
    bead_steps: Count
    taken_out: Count
    reported: bool
    blocked: bool
    idle: bool
    evaluated: bool
    lowered: bool
    stuck: str | None
    moved_last: tuple[Count, ...]
    rows: StringRows | None
    """None before there is a string, and where later stages have gone on with it."""
    kind: Literal["constrained"] = "constrained"

    def __post_init__(self) -> None:
        """Raises ValueError where the level is not a number."""
        if isnan(self.level):
            raise ValueError("level is not a number")
