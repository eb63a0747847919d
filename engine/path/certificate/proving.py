"""Proofs of segments as work for the pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from engine.backends.backend import Backend
from engine.cache import warn_of_compiling
from engine.path.certificate.cells import prove
from engine.path.certificate.network import NotAvailable, Provable, provable
from engine.path.certificate.proof import EFFORT, Proof
from engine.path.segments import Pair
from engine.problem.problem import Problem
from engine.record.costs import NOTHING, Costs
from engine.workers.pool import Workers

#: Passes forward through the network that bounding one cell costs, in multiplications.
PASSES = 40


@dataclass(frozen=True)
class Timed:
    """A segment's proof, and how long it took."""

    proof: Proof
    seconds: float


@dataclass(frozen=True)
class Prove:
    """Proves, or refutes, that the objective is at most a level on whole segments.

    Each segment is decided by itself, so that a rerun finds the same cells whatever else is done.
    """

    net: Provable
    level: float
    effort: int = EFFORT
    """Cells of a segment that are bounded at most."""
    clock: Callable[[], float] = time.perf_counter

    def size(self, pair: Pair) -> int:
        """Returns how many samples are computed for a segment: some tens of passes."""
        return PASSES * len(self.net.samples)

    def cost(self, problem: Problem, pair: Pair, found: Timed) -> Costs:
        """Returns nothing: cells are bounded, and no sample is passed through the network."""
        return NOTHING

    def __call__(self, backend: Backend, pairs: Sequence[Pair]) -> list[Timed]:
        """Returns what was found out about each segment (left, right)."""
        found = []
        with torch.no_grad():
            for left, right in pairs:
                began = self.clock()
                proof = prove(self.net, left, right, self.level, self.effort)
                found.append(Timed(proof, self.clock() - began))
        return found


def proven(pool: Workers, task: Prove, pairs: Sequence[Pair]) -> list[Timed]:
    """Returns what was found out about each segment; warns first where code is to be compiled."""
    if any(not each.is_compiled for each in task.net.layers):
        warn_of_compiling()
    return pool.run(task, pairs)


#: How far the values at beads may be from those stated, relative to them and to the level.
TOLERANCE = 1e-3


def disagreement(ends: tuple[float, float], stated: tuple[float, float], level: float) -> float:
    """Returns how far the values at the ends of a segment are from those stated elsewhere.

    It is a share of the largest of the two and the level. A network or data read wrongly show here.
    """
    pairs = zip(ends, stated, strict=True)
    return max(abs(ours - other) / max(abs(ours), abs(other), level) for ours, other in pairs)


def allowed(net: Provable, level: float) -> float:
    """Returns which disagreement counts as rounding.

    An error rate moves by whole samples, of which rounding may turn one or two.
    """
    if net.measure != "error_rate":
        return TOLERANCE
    return 2.5 / (net.mass * level)


@lru_cache(maxsize=4)
def provable_or_why(problem: Problem) -> Provable | str:
    """Returns a problem ready to be proven, or a clause that says why there is no proof for it.

    Many searches of a sweep ask for the same problem.
    """
    try:
        return provable(problem)
    except NotAvailable as why:
        return str(why)
