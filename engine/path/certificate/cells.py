"""Cells of t: a segment is cut until each cell is enclosed below the bound, or one refutes it."""

from __future__ import annotations

from collections import deque
from itertools import groupby
from math import ceil, inf, isfinite, log2

import torch
from torch import Tensor

from engine.path.certificate.bernstein import PIECES, RAMP, highest
from engine.path.certificate.losses import Bound
from engine.path.certificate.network import Provable, Segment, bounded
from engine.path.certificate.proof import EFFORT, Cell, Proof
from engine.shapes import Weights

#: A value refutes a bound that it exceeds by more than this share, which rounding cannot.
EXCESS = 1e-9
#: Cells into which one is cut at most.
MOST_PARTS = 4
#: Cuts of cuts after which a cell is not cut again: its ends must be exact in float64.
NARROWEST = 2.0**-26


def prove(
    net: Provable, left: Weights, right: Weights, level: float, effort: int = EFFORT
) -> Proof:
    """Decides whether the objective is at most `level` on the whole segment between two beads.

    The search depends on nothing but its arguments, so that a rerun finds the same cells.
    """
    ends = (net.whole(theta.double().cpu()) for theta in (left, right))
    return _Search(net, Segment(*ends), level, effort).run()


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
        means = found.ends / self.net.mass
        if cells[0] == (0.0, 1.0):
            self.ends = (float(means[0, 0]), float(means[0, 1]))
        tops = self._tops(found).tolist()
        parts = self._parts(found)
        for number, cell in enumerate(cells):
            for t, value in zip(cell, means[number].tolist(), strict=True):
                if value > self.level * (1 + EXCESS) and self.refuted is None:
                    self.refuted = (t, value)
            self._settle(cell, tops[number], parts[number])

    def _settle(self, cell: tuple[float, float], tops: list[float], parts: int) -> None:
        """Keeps what is proven of a cell, and opens the parts of it that are not.

        `tops` are what the mean is at most on each of `PIECES` pieces. `parts` are as many as are
        needed; where more of them leave no more to be bounded, they are narrower.
        """
        if all(top <= self.level for top in tops):
            self.proven.append(Cell(*cell, max(tops)))
            return
        if cell[1] - cell[0] <= NARROWEST:
            self.given_up.append(cell)
            return
        ways = (self._above(tops, parts), self._above(tops, MOST_PARTS))
        open_parts = next(way for way in reversed(ways) if sum(way) <= sum(ways[0]))
        count = len(open_parts)
        places = [cell[0] + (cell[1] - cell[0]) * n / count for n in range(count + 1)]
        for is_open, numbers in groupby(range(count), open_parts.__getitem__):
            run = list(numbers)
            if is_open:
                self.open += [(places[n], places[n + 1]) for n in run]
            else:
                within = tops[run[0] * PIECES // count : (run[-1] + 1) * PIECES // count]
                self.proven.append(Cell(places[run[0]], places[run[-1] + 1], max(within)))

    def _above(self, tops: list[float], parts: int) -> list[bool]:
        """Returns of each of so many parts of a cell whether it is not proven yet."""
        pieces = PIECES // parts
        return [
            not all(top <= self.level for top in tops[n * pieces : (n + 1) * pieces])
            for n in range(parts)
        ]

    def _tops(self, found: Bound) -> Tensor:
        """Returns what the mean is at most on pieces of each cell (cell, piece), NaN if unknown."""
        if found.counted:
            return found.coefficients[:, :1].expand(-1, PIECES) / self.net.mass
        return highest(found.coefficients) / self.net.mass

    def _parts(self, found: Bound) -> list[int]:
        """Returns into how many cells each is to be cut.

        What a bound loses falls with the square of a cell's width, so that a cell that lost k times
        too much needs √k parts.
        """
        limit = self.level * self.net.mass
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
