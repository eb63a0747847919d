"""What the objective is proven not to exceed anywhere on a segment, with no level to begin from.

The cell with the highest bound is halved again and again (branch and bound), until no bound is
above the highest value met, or enough cells were bounded. The highest of all bounds then holds for
the whole segment, however far that came.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan

import torch

from engine.backends.backend import Backend
from engine.cache import warn_of_compiling
from engine.path.certificate import bernstein
from engine.path.certificate.cells import NARROWEST
from engine.path.certificate.network import Provable, Segment, bounded
from engine.path.certificate.proving import PASSES
from engine.path.segments import Pair
from engine.told import Told, untold
from engine.workers.pool import Workers

#: How far above the highest value that is met a bound is as good as reached, as a share of that.
CLOSE = 1e-4


@dataclass(frozen=True)
class Highest:
    """How high the objective is on a segment, from above and from below."""

    bound: float
    """What it is proven not to exceed; infinite where nothing is."""
    reached: float
    """The highest value met, up to rounding."""
    at: float
    """The t from 0 to 1 where it was met."""
    ends: tuple[float, float]
    """The objective at the two beads, as the bounds see it."""
    cells: int
    """The number of cells that were bounded."""


@dataclass(frozen=True, eq=False)
class Asked:
    """An objective to be bounded on the segment between two beads."""

    net: Provable
    pair: Pair
    effort: int
    """The number of cells that are bounded at most."""
    told: Told = untold
    """Is told, by the worker, which share of the effort is spent; 1 in the end."""


@dataclass(frozen=True)
class Bounding:
    """The task of bounding objectives on whole segments, each by itself."""

    def size(self, asked: Asked) -> int:
        """Returns how many samples are computed for a segment at most."""
        return asked.effort * PASSES * len(asked.net.samples)

    def __call__(self, backend: Backend, several: Sequence[Asked]) -> list[Highest]:
        """Returns how high each objective is."""
        with torch.no_grad():
            return [_Descent(asked).run() for asked in several]


def highest(pool: Workers, several: Sequence[Asked]) -> list[Highest]:
    """Returns how high each objective is; warns first where code is to be compiled."""
    if any(not each.is_compiled for asked in several for each in asked.net.layers):
        warn_of_compiling()
    return pool.run(Bounding(), several)


class _Descent:
    """The cells of one segment, the one with the highest bound in front."""

    def __init__(self, asked: Asked) -> None:
        self.net, self.effort, self.told = asked.net, asked.effort, asked.told
        self.segment = Segment(*(self.net.whole(bead.double().cpu()) for bead in asked.pair))
        self.cells: list[tuple[float, float, float]] = []
        """(−bound, u, v) of each cell, a heap that covers the segment."""
        self.reached, self.at, self.count = -inf, 0.0, 0
        self.ends = (inf, inf)

    def run(self) -> Highest:
        """Returns what is found."""
        self._bound([(0.0, 1.0)])
        while self.count < self.effort and not self._is_close(self.cells[0]):
            worst = self._worst()
            if not worst:
                break
            middles = [(u, (u + v) / 2, v) for u, v in worst]
            self._bound([half for u, m, v in middles for half in ((u, m), (m, v))])
            self.told(min(1.0, self.count / self.effort))
        self.told(1.0)
        return Highest(-self.cells[0][0], self.reached, self.at, self.ends, self.count)

    def _worst(self) -> list[tuple[float, float]]:
        """Takes the cells off that are halved next; none where the worst is too narrow for it."""
        found: list[tuple[float, float]] = []
        most = max(1, self.net.cells_at_once // 2)
        while self.cells and len(found) < most and not self._is_close(self.cells[0]):
            _, u, v = self.cells[0]
            if v - u <= NARROWEST:
                break
            heapq.heappop(self.cells)
            found.append((u, v))
        return found

    def _is_close(self, cell: tuple[float, float, float]) -> bool:
        """Returns whether a cell's bound can hardly be lowered."""
        return -cell[0] <= self.reached + CLOSE * abs(self.reached)

    def _bound(self, cells: list[tuple[float, float]]) -> None:
        """Bounds cells and puts them on the heap."""
        u, v = (torch.tensor(side, dtype=torch.float64) for side in zip(*cells, strict=True))
        found, mass = bounded(self.net, self.segment, u, v), self.net.mass
        pieces = found.coefficients[:, :1]
        if not found.counted:
            pieces = bernstein.highest(found.coefficients)
        tops = (pieces.amax(1) / mass).tolist()
        self.count += len(cells)
        means = (found.ends / mass).tolist()
        if cells == [(0.0, 1.0)]:
            self.ends = (means[0][0], means[0][1])
        for cell, top, values in zip(cells, tops, means, strict=True):
            for t, value in zip(cell, values, strict=True):
                if value > self.reached:
                    self.reached, self.at = value, t
            heapq.heappush(self.cells, (-inf if isnan(top) else -top, *cell))
