"""The losses of beads in training as a viewer has seen them while it watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from engine.record.progress import Progress

#: The number of points of a trail from which on every other one is left out.
LONGEST = 400

Trail = tuple[tuple[float, float], ...]
"""The running time in seconds and the loss, at each look."""


@dataclass(frozen=True)
class Trails:
    """The trails of the beads in training, by id.

    The engine records only the newest loss of a bead, so a trail begins where the viewer does.
    """

    losses: Mapping[int, Trail] = field(default_factory=dict)

    def after(self, progress: Progress) -> Trails:
        """Returns the trails after one more look.

        A bead that is no longer in training keeps its trail only as long as there is no string.
        """
        kept = {} if progress.order else dict(self.losses)
        for bead in progress.training:
            trail = self.losses.get(bead.bead, ())
            new = not trail or trail[-1][0] < progress.time
            if new and isfinite(bead.loss):
                trail = (*trail, (progress.time, bead.loss))
            kept[bead.bead] = trail if len(trail) < LONGEST else trail[::2]
        return Trails(kept)
