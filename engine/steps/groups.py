"""Groups of rows that stay together, and single rows in plain numbers.

A group is one row where nothing ties it to others, and a whole string where a tether does. Groups,
never rows, are shared out among workers and written to checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from engine.shapes import Weights
from engine.steps.rows import End, Rows


@dataclass(frozen=True)
class Group:
    """The rows that stay together, and the ids of their beads."""

    beads: tuple[int, ...]
    """The id of each row's bead."""
    rows: Rows
    """The weight vectors in training, one for each bead."""
    doublings: int = 0
    """The number of times that its mini-batch has doubled, where mini-batches grow."""

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.beads)

    def to(self, device: torch.device) -> Group:
        """Returns the group on a device, or the object itself where it is there already."""
        rows = self.rows.to(device)
        return self if rows is self.rows else replace(self, rows=rows)

    @property
    def going(self) -> bool:
        """Whether any of its rows takes steps."""
        return End.GOING in self.rows.told.end

    @property
    def bead_steps(self) -> int:
        """The number of steps that its rows have taken together."""
        return sum(self.rows.told.steps)

    def each(self) -> list[Row]:
        """Returns its rows one by one, with plain numbers."""
        told = self.rows.told
        numbers = (told.loss, told.steps, told.end)
        return [
            Row(bead, theta, loss, steps, end)
            for bead, theta, loss, steps, end in zip(
                self.beads, self.rows.judged, *numbers, strict=True
            )
        ]


@dataclass(frozen=True)
class Row:
    """A bead in training, or at the end of its training, in plain numbers."""

    bead: int
    """The bead's id."""
    theta: Weights
    """The weights that are judged, (param,)."""
    loss: float
    """The objective at its last evaluation; NaN before the first one."""
    steps: int
    """The number of steps taken so far."""
    end: End
    """The reason why the bead takes no more steps; `GOING` where it takes steps."""
