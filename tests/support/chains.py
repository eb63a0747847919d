"""Chains over a landscape whose losses are known, for tests of what is done with a chain."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.path.chain import Chain
from engine.problem.problem import Problem
from engine.record.events import FIRST, LAST
from tests.support.landscapes import goal, landscape
from tests.support.workers import Here, vmapped

POINTS = 17
LEVEL = 0.375
ENDS = ([-1.0, 0.2], [2.0, 0.6])


def bowl(w: Tensor) -> Tensor:
    """w₂ and a parabola over w₁: of a segment whose w₂ is level, the ends are the peaks."""
    return 0.1 * w[0].square() + w[1]


def chain_of(*beads: list[float], level: float = LEVEL, problem: Problem | None = None) -> Chain:
    """The string 1 — 3 — 4 … — 2 through these points, not measured yet."""
    problem = problem or landscape(bowl)
    chain = Chain(Here(vmapped(problem)), goal(level), POINTS)
    ids = [FIRST, *range(LAST + 1, LAST + len(beads) - 1), LAST]
    chain.begin([(bead, torch.tensor(at), 0) for bead, at in zip(ids, beads, strict=True)])
    return chain


def measured(*beads: list[float], level: float = LEVEL) -> Chain:
    chain = chain_of(*beads, level=level)
    chain.measure(chain.keys)
    return chain
