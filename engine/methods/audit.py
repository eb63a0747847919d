"""The closer look at a whole string before anything is concluded about it.

Every segment is measured again at full data on a grid that shares no inner point with the
search's: ten times finer in float64 where that is cheap beside the run, else twice as fine in
float32. The highest peaks are refined either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.pool import Pool
from engine.problem import Problem
from engine.segments import Measured, audit_grid, measure
from engine.shapes import Weights
from engine.spec import Search

#: Segments that one step looks at.
AT_ONCE = 16
#: Products of a weight and a sample that may always be spent on an audit: some seconds.
ALWAYS_CHEAP = 2e11

Key = tuple[int, int]


class Audit:
    """One look at a string, a few segments a step."""

    def __init__(
        self, search: Search, problem: Problem, pool: Pool, segments: int, bead_steps: int
    ) -> None:
        self._pool, self._samples = pool, len(problem.train)
        self.search_points = search.greedy.grid
        entries = self._samples * problem.parameter_count
        cost = 2 * 10 * self.search_points * entries * segments  # float64 costs twice
        run = 3 * entries * bead_steps  # a step costs a pass forward and two back
        choice = search.audit.grid
        self.fine = choice == "fine" or (choice == "auto" and cost <= max(ALWAYS_CHEAP, run / 5))
        self.measured: dict[Key, Measured] = {}

    @property
    def grid(self) -> NDArray[np.float64]:
        return audit_grid(self.search_points, 10 if self.fine else 2)

    @property
    def precision(self) -> str:
        return "float64" if self.fine else "float32"

    def step(self, keys: Sequence[Key], weights: Mapping[int, Weights]) -> bool:
        """Looks at the next few segments; whether all have been looked at."""
        todo = [key for key in keys if key not in self.measured]
        if todo:
            some = todo[:AT_ONCE]
            pairs = [(weights[left], weights[right]) for left, right in some]
            dtype = torch.float64 if self.fine else torch.float32
            found = measure(self._pool, pairs, self.grid, self._samples, dtype=dtype)
            self.measured |= dict(zip(some, found, strict=True))
        return len(todo) <= AT_ONCE

    def description(self) -> dict[str, Any]:
        """For the string file."""
        return {
            "points": len(self.grid),
            "search_points": self.search_points,
            "precision": self.precision,
            "max_peak": max(found.peak for found in self.measured.values()),
        }
