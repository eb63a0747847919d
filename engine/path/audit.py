"""The audit of a whole string, before anything is concluded about it.

Every segment is measured again at full data on a grid that shares no inner point with the
search's: ten times finer in float64 where that is cheap beside the run, else twice as fine in
float32. The highest peaks are refined either way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.path.chain import Chain
from engine.path.segments import Measured, audit_grid, measure
from engine.path.snapshot import Key
from engine.record.events import AuditFailed, Event
from engine.spec.keys import Spec
from engine.spec.stages import stages_of
from engine.steps.recipe import Recipe
from engine.workers.devices import float64_cost

#: The number of segments that one step measures.
AT_ONCE = 16
#: The products of a weight and a sample that an audit may always take, which are some seconds.
ALWAYS_CHEAP = 2e10


class Audit:
    """An audit of a chain, which measures a few segments in each step."""

    def __init__(self, spec: Spec, chain: Chain, bead_steps: int) -> None:
        """Chooses the grid, by the keys of the audit and the cost of `bead_steps` in the run."""
        self._chain, self._samples = chain, chain.problem.objective_samples
        self.costs_before = chain.pool.costs
        """What the search had cost when the audit began."""
        self.search_points = len(chain.grid)
        products = chain.problem.cost.products
        # A step of training costs a pass forward and two back.
        slower = float64_cost(chain.pool.devices[0])
        cost = slower * 10 * self.search_points * self._samples * products * len(chain.keys)
        run = multiplications(spec, chain, bead_steps)
        audit = spec.search.audit
        cheap = cost <= max(ALWAYS_CHEAP, audit.share * run)
        self.fine = audit.grid == "fine" or (audit.grid == "auto" and cheap)
        """Whether the grid is ten times finer than the search's, and the precision float64."""
        self.measured: dict[Key, Measured] = {}
        """The profiles measured so far, by the keys of their segments."""

    @property
    def grid(self) -> NDArray[np.float64]:
        """The values of t at which each segment is measured, (point,)."""
        return audit_grid(self.search_points, 10 if self.fine else 2)

    @property
    def precision(self) -> str:
        """The precision of the measurement: float64 or float32."""
        return "float64" if self.fine else "float32"

    def step(self) -> bool:
        """Measures the next few segments, and returns whether all have been measured."""
        chain = self._chain
        todo = [key for key in chain.keys if key not in self.measured]
        if todo:
            some = todo[:AT_ONCE]
            pairs = [(chain.weights[left], chain.weights[right]) for left, right in some]
            dtype = torch.float64 if self.fine else torch.float32
            found = measure(chain.pool, pairs, self.grid, self._samples, dtype=dtype)
            self.measured |= dict(zip(some, found, strict=True))
        return len(todo) <= AT_ONCE

    def reopen(self) -> list[Event]:
        """Opens the closed segments that exceed the bound after all, and returns the events."""
        events: list[Event] = []
        for key, found in self.measured.items():
            segment = self._chain.segments[key]
            if segment.state == "closed" and not found.peak <= self._chain.bound:
                self._chain.correct(replace(segment, state="open", measured=found))
                events.append(AuditFailed(*key, found.peak, found.t_star))
        return events

    def description(self) -> dict[str, Any]:
        """Returns the facts about the measurement, for the header of a string file."""
        return {
            "points": len(self.grid),
            "search_points": self.search_points,
            "precision": self.precision,
            "max_peak": max(found.peak for found in self.measured.values()),
        }


def multiplications(spec: Spec, chain: Chain, bead_steps: int) -> float:
    """Returns about how many multiplications that many steps of beads have cost.

    A step costs a pass forward and two back over its batch.
    """
    samples = Recipe(stages_of(spec).audit).samples(len(chain.problem.train))
    return 3.0 * samples * chain.problem.cost.products * bead_steps
