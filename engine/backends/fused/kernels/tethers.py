"""The steps of a string whose beads are tied: springs, hyperplanes and even spacing."""

from __future__ import annotations

import math

import numpy as np

from engine.backends.fused.kernels.arrays import Floats, Rows, Rule, Tie, Work
from engine.backends.fused.kernels.compiling import STRICT, compiled
from engine.backends.fused.kernels.optimizers import take_step


@compiled(STRICT)
def step_together(rule: Rule, tie: Tie, rows: Rows, work: Work, number: int) -> None:
    """Takes the step of that number in the round, of the beads that move.

    Each goes by the places of its neighbours before it.
    """
    beads, params = rows.theta.shape
    tied = tie.hard or tie.kappa != 0 or tie.zeta != 0
    if tied:
        for bead in range(beads):
            for p in range(params):
                work.before[bead, p] = rows.theta[bead, p]
    for bead in range(beads):
        if not work.moved[bead]:
            continue
        inner = tied and 0 < bead < beads - 1
        if inner:
            _pull(tie, work, bead)
        take_step(rule, rows, bead, work.grads[bead], number)
        if inner and tie.hard:
            _project(rows.theta, work, bead)


@compiled(STRICT)
def _pull(tie: Tie, work: Work, bead: int) -> None:
    """Adds the gradients of the springs and of leaving the hyperplane to work.grads[bead]."""
    here, left, right = work.before[bead], work.before[bead - 1], work.before[bead + 1]
    grad, tiny = work.grads[bead], 1e-12
    to_left, to_right, chord, off = 0.0, 0.0, 0.0, 0.0
    for p in range(here.size):
        a, b, c = np.float64(left[p]), np.float64(here[p]), np.float64(right[p])
        to_left += (b - a) * (b - a)
        to_right += (c - b) * (c - b)
        chord += (c - a) * (c - a)
        off += (b - (a + c) / 2) * (c - a)
    to_left, to_right = max(math.sqrt(to_left), tiny), max(math.sqrt(to_right), tiny)
    chord = max(math.sqrt(chord), tiny)
    for p in range(here.size):
        a, b, c = np.float64(left[p]), np.float64(here[p]), np.float64(right[p])
        more = tie.zeta * ((b - a) / to_left + (b - c) / to_right)
        more += tie.kappa * np.sign(off) * (c - a) / chord
        grad[p] += grad.dtype.type(more)


@compiled(STRICT)
def _project(theta: Floats, work: Work, bead: int) -> None:
    """Takes the part along the chord out of the step that a bead has just taken."""
    before, left, right = work.before[bead], work.before[bead - 1], work.before[bead + 1]
    chord, along = 0.0, 0.0
    for p in range(before.size):
        way = np.float64(right[p]) - np.float64(left[p])
        chord += way * way
        along += (np.float64(theta[bead, p]) - np.float64(before[p])) * way
    share = along / max(chord, 1e-24)
    for p in range(before.size):
        way = np.float64(right[p]) - np.float64(left[p])
        theta[bead, p] = theta[bead, p] - theta.dtype.type(share * way)


@compiled(STRICT)
def respace(theta: Floats, work: Work) -> bool:
    """Makes one pass of even spacing, as `tethers.spread`, and returns whether any bead moved."""
    beads, params = theta.shape
    arc, before = work.arc, work.before
    for bead in range(beads):
        work.moved[bead] = False
        for p in range(params):
            before[bead, p] = theta[bead, p]
    arc[0] = 0.0
    for bead in range(1, beads):
        length = 0.0
        for p in range(params):
            way = np.float64(before[bead, p]) - np.float64(before[bead - 1, p])
            length += way * way
        arc[bead] = arc[bead - 1] + math.sqrt(length)
    whole = arc[beads - 1]
    if beads < 3 or not np.isfinite(whole) or whole <= 0:
        return False
    left, any_moved = 0, False
    for bead in range(1, beads - 1):
        place = whole * bead / (beads - 1)
        while left < beads - 2 and arc[left + 1] <= place:
            left += 1
        gap = arc[left + 1] - arc[left]
        t = min(max((place - arc[left]) / gap, 0.0), 1.0) if gap > 0 else 0.0
        for p in range(params):
            a, b = np.float64(before[left, p]), np.float64(before[left + 1, p])
            there = theta.dtype.type(a + t * (b - a) if t < 0.5 else b - (b - a) * (1 - t))
            if there != theta[bead, p]:
                theta[bead, p] = there
                work.moved[bead] = True
                any_moved = True
    return any_moved
