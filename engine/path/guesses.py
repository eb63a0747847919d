"""Profiles of segments that are not measured yet, from what was measured of them before.

Viewers are shown them where a bead came into a segment, or was taken out between two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.path.segments import Floats, Measured


def halves(whole: Measured, grid: Floats) -> list[Measured]:
    """Returns the profiles of the two parts of a segment at the sides of its peak.

    The peak is taken at least 0.05 of t away from both ends.
    """
    cut = float(np.clip(whole.t_star, 0.05, 0.95))
    spans = ((0.0, cut), (cut, 1.0))
    return [_between(whole.t, whole.losses, np.linspace(*span, len(grid)), grid) for span in spans]


def joined(parts: Sequence[Measured], grid: Floats) -> Measured:
    """Returns the profile of segments one after the other, each of which takes as much of t."""
    t = np.concatenate([part.t + place for place, part in enumerate(parts)])
    losses = np.concatenate([part.losses for part in parts])
    return _between(t, losses, grid * t[-1], grid)


def _between(t: Floats, losses: Floats, at: Floats, grid: Floats) -> Measured:
    """Returns a profile on a grid from the losses over t, at as many places of it."""
    found = np.interp(at, t, losses)
    highest = int(found.argmax())
    return Measured(grid, found, float(found[highest]), float(grid[highest]))
