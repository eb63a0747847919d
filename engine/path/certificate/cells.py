"""Cells of t: a segment is cut until each cell is enclosed below the bound, or one refutes it."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import ceil, inf, isfinite, log2

import torch
from torch import Tensor

from engine.path.certificate.bernstein import RAMP, highest
from engine.path.certificate.losses import Bound
from engine.path.certificate.network import Provable, Segment, bounded
from engine.path.certificate.proof import EFFORT, Cell, Proof
from engine.shapes import Weights

#: A value refutes a bound that it exceeds by more than this share, which rounding cannot.
EXCESS = 1e-9
#: Cells into which one is cut at most.
MOST_PARTS = 16
#: Cuts of cuts after which a cell is not cut again: its ends must be exact in float64.
NARROWEST = 2.0**-26


def prove(
    net: Provable, left: Weights, right: Weights, level: float, effort: int = EFFORT
) -> Proof:
    """Decides whether the objective is at most `level` on the whole segment between two beads.

    The search depends on nothing but its arguments, so that a rerun finds the same cells.
    """
    return _Search(net, Segment(left.double().cpu(), right.double().cpu()), level, effort).run()


class _Search:
    """The cells of one segment that are still to be bounded."""

    def __init__(self, net: Provable, segment: Segment, level: float, effort: int) -> None:
        self.net, self.segment, self.level, self.effort = net, segment, level, effort
        self.open: deque[tuple[float, float]] = deque([(0.0, 1.0)])
        self.proven: list[Cell] = []
        self.given_up: list[tuple[float, float]] = []
        self.bounds = 0
        self.ends = (inf, inf)
        self.refuted: tuple[float, float] | None = None

    def run(self) -> Proof:
        while self.open and self.refuted is None and self.bounds < self.effort:
            count = min(len(self.open), self.net.cells_at_once)
            self._bound([self.open.popleft() for _ in range(count)])
        left = [*self.given_up, *self.open]
        at, by = self.refuted or (None, None)
        return Proof(
            tuple(sorted(self.proven, key=lambda cell: cell.u)),
            self.bounds,
            self.ends,
            at,
            by,
            max(left, key=lambda cell: cell[1] - cell[0], default=None),
        )

    def _bound(self, cells: list[tuple[float, float]]) -> None:
        u, v = (torch.tensor(side, dtype=torch.float64) for side in zip(*cells, strict=True))
        found = bounded(self.net, self.segment, u, v)
        self.bounds += len(cells)
        means = found.ends / len(self.net.samples)
        if cells[0] == (0.0, 1.0):
            self.ends = (float(means[0, 0]), float(means[0, 1]))
        tops = self._tops(found)
        parts = self._parts(found)
        for number, (cell, top) in enumerate(zip(cells, tops.tolist(), strict=True)):
            for t, value in zip(cell, means[number].tolist(), strict=True):
                if value > self.level * (1 + EXCESS) and self.refuted is None:
                    self.refuted = (t, value)
            if top <= self.level:
                self.proven.append(Cell(*cell, top))
            elif cell[1] - cell[0] <= NARROWEST:
                self.given_up.append(cell)
            else:
                self.open += _cut(cell, parts[number])

    def _tops(self, found: Bound) -> Tensor:
        """Returns what the mean is at most on each cell, NaN where that is unknown."""
        if found.counted:
            return found.coefficients[:, 0] / len(self.net.samples)
        return highest(found.coefficients) / len(self.net.samples)

    def _parts(self, found: Bound) -> list[int]:
        """Returns into how many cells each is to be cut.

        What a bound loses falls with the square of a cell's width, so that a cell that lost k times
        too much needs √k parts.
        """
        limit = self.level * len(self.net.samples)
        chords = found.ends[:, :1] + (found.ends[:, 1:] - found.ends[:, :1]) * RAMP
        lost = (found.coefficients - chords).amax(1)
        room = limit - chords.amax(1)
        return [_parts(*pair) for pair in zip(lost.tolist(), room.tolist(), strict=True)]


def _parts(lost: float, room: float) -> int:
    if not isfinite(lost):
        return MOST_PARTS
    if room <= 0 or lost <= room:
        return 2
    return int(min(MOST_PARTS, 2 ** ceil(log2(min(lost / room, 2.0**60)) / 2)))


def _cut(cell: tuple[float, float], parts: int) -> list[tuple[float, float]]:
    """Returns a cell in equal parts; their ends are exact, since `parts` is a power of two."""
    u, v = cell
    places = [u + (v - u) * number / parts for number in range(parts + 1)]
    return list(pairwise(places))
