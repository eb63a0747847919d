"""What a proof of one segment says, in plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from engine.record.marks import Count

#: Bounds of cells after which a segment stays undecided.
EFFORT = 4096


@dataclass(frozen=True)
class Cell:
    """A part [u, v] of a segment on which the objective is at most `bound`."""

    u: float
    v: float
    bound: float


@dataclass(frozen=True)
class Proof:
    """What was found out about one segment."""

    cells: tuple[Cell, ...]
    """The cells that are proven, from left to right; they cover [0, 1] where all is proven."""
    bounds: Count
    """Number of cells that were bounded, those that were then cut included."""
    ends: tuple[float, float]
    """The objective at the two beads, as the bounds see it."""
    refuted_at: float | None = None
    """A place t at which the objective is above the level; None where none was met."""
    refuted_by: float | None = None
    """The objective there."""
    undecided: tuple[float, float] | None = None
    """The widest cell that could not be decided."""

    @property
    def proven(self) -> bool:
        """Whether the objective is at most the level for every t."""
        return self.refuted_at is None and self.undecided is None

    @property
    def bound(self) -> float:
        """What the objective is proven not to exceed on the whole segment; infinite if nothing."""
        return max(cell.bound for cell in self.cells) if self.proven else inf
