"""Runs the cells of a sweep in this process, where the searches share their batches.

The open segments of all strings share their batches (`shared`). A number of cells are under way at
a time, and when one ends the next begins. With `search.batching: fused` a bead's bits do not depend
on its batch, so a cell's string is that of its run alone. With vmap or loop the same holds up to
rounding, which depends on the batch, and so on the cells that are under way. Where a bead starts on
a pass, rounding can choose the side to which it falls. A cell's running time includes its waits for
others, and `limits.seconds` counts them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from engine.backends.backend import Backend
from engine.record.events import Outcome
from engine.record.sweep_folder import Cell, Plan
from engine.run.cells import CellLogs, CellWriter, logging_cells
from engine.run.crew import PACE, WHY, Crew, Prepare, Work, spec_of_cell, unwritable
from engine.run.grid import AT_ONCE, prepare_grid
from engine.run.session import Ended, run_session
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The seconds between two looks of a paused cell at its commands.
PAUSED_CELL_S = 0.5


@dataclass(frozen=True)
class Batched:
    """A crew of threads of this process, whose searches share their batches."""

    backend: Backend
    """The backend that computes the problem of the plan's spec."""
    at_once: int
    """The number of cells that are under way at a time."""

    def run(self, work: Work) -> str | None:
        """Does what `Crew.run` says."""
        with logging_cells(work.folder / "engine.log") as logs:
            work.desk.begin()
            with open_pool(self.backend, work.plan.spec) as pool:
                shared = SharedPool(pool, hurried=work.hurried)
                session = _Session(work, shared, logs)
                shared.run_each(work.cells, session.cell, self.at_once, work.desk.stop)
            return session.failure


def here(at_once: int = AT_ONCE) -> Prepare:
    """Returns what prepares a plan for this process, with so many cells under way at a time."""

    def prepare(plan: Plan) -> tuple[Plan, Crew]:
        grid, backend = prepare_grid(plan.spec, plan.levels, plan.pairs)
        return Plan(grid.spec, grid.levels, grid.pairs), Batched(backend, at_once)

    return prepare


@dataclass
class _Session:
    """A session of a sweep, whose threads run one cell after another."""

    work: Work
    pool: SharedPool
    logs: CellLogs
    failure: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cell(self, cell: Cell) -> None:
        """Runs a cell, unless a signal has asked this process to end."""
        if self.work.signals.received is not None:
            return
        ended = self._run(cell)
        self.work.note(cell)
        if ended.outcome is Outcome.FAILED:
            self._fail(f"{cell.run.path}: {ended.sentence}")

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all cells."""
        with self.lock:
            self.failure = self.failure or sentence
        self.work.desk.stop.set()

    def _run(self, cell: Cell) -> Ended:
        """Runs a cell to the end of its session. Raises InputError and SaveError."""
        spec = spec_of_cell(self.work.plan, cell)
        try:
            writer = CellWriter(cell.run, self.work.desk)
        except OSError as error:
            raise unwritable(cell, error) from error
        with self.logs.of(cell.run), writer:
            return run_session(
                writer,
                spec,
                self.pool,
                self.work.signals,
                pace=PACE,
                wait=lambda seconds: self.pool.step_aside(max(seconds, PAUSED_CELL_S)),
                hurried=self.work.hurried,
                why=WHY,
            )
