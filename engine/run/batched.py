"""A crew of threads of this process, whose searches share their batches.

With `search.batching: fused` a bead's bits do not depend on its batch, so a cell's string is that
of its run alone. With vmap or loop the same holds up to rounding, which depends on the batch, and
so on the cells that are under way. Where a bead starts on a pass, rounding can choose the side to
which it falls. A cell's running time includes its waits for others, and `limits.seconds` counts
them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Generic

from engine.backends.backend import Backend
from engine.breaks import Patience
from engine.record.events import Outcome
from engine.run.cells import AnyCell, session_of_cell, writer_of, written_spec
from engine.run.crew import Work
from engine.run.grid import AT_ONCE
from engine.run.session import Ended
from engine.spec.keys import Spec
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool


@dataclass(frozen=True)
class Batched:
    """The crew of this process."""

    backend: Backend
    """The backend that computes the problem of the cells."""
    spec: Spec
    """The resolved spec of any cell, whose devices are those of all."""
    at_once: int = AT_ONCE
    """The number of cells that are under way at a time; when one ends the next begins."""

    def run(self, work: Work[AnyCell]) -> str | None:
        """Does what `Crew.run` says."""

        def asked() -> bool:
            work.desk.look()
            return work.hurried()

        patience = Patience(asked)
        with (
            open_pool(self.backend, self.spec) as pool,
            pool.attended(lambda share, seconds: patience.check()),
        ):
            shared = SharedPool(pool, hurried=work.hurried)
            session = _Session(work, shared)
            shared.run_each(work.cells, session.cell, self.at_once, work.desk.stop)
        return session.failure


@dataclass
class _Session(Generic[AnyCell]):
    """A session on cells, whose threads run one cell after another."""

    work: Work[AnyCell]
    pool: SharedPool
    failure: str | None = None
    """The sentence of the first cell in which the engine has failed, or None."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cell(self, cell: AnyCell) -> None:
        """Runs a cell, unless a signal has asked this process to end."""
        if self.work.signals.received is not None:
            return
        ended = self._run(cell)
        self.work.ended(cell)
        if ended.outcome is Outcome.FAILED:
            self._fail(f"{cell.run.path}: {ended.sentence}")

    def _run(self, cell: AnyCell) -> Ended:
        """Runs a cell to the end of its session. Raises InputError and SaveError."""
        work = self.work
        spec = written_spec(cell, work.spec_of, work.folder)
        with writer_of(cell, work.desk) as writer, work.logs.of(cell.run):
            return session_of_cell(
                writer, spec, self.pool, work.signals, self.pool.step_aside, work.hurried
            )

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all cells."""
        with self.lock:
            self.failure = self.failure or sentence
        self.work.desk.stop.set()
