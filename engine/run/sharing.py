"""Runs cells that share one pool, many at a time, each in its own run directory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from engine.backends.backend import Backend
from engine.errors import SaveError
from engine.record.events import Outcome
from engine.record.reading import check_regular
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.record.writing import made_folder, replace
from engine.run.cells import CellLogs, CellWriter
from engine.run.folder_of_runs import AnyCell, CellOfRun
from engine.run.loop import Pace
from engine.run.session import Ended, run_session
from engine.spec.keys import Spec
from engine.spec.trust import check_of_plan
from engine.spec.yaml_file import dump
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The pace of cells, which are short and many: checkpoints and snapshots of progress are rare.
PACE = Pace(checkpoint_s=60.0, progress_s=20.0)
#: The seconds between two looks of a paused cell at its commands.
PAUSED_CELL_S = 0.5
#: The reason in words for which a cell has its backend.
WHY = "as it was decided for all runs of the folder"


@dataclass
class Sharing(Generic[AnyCell]):
    """A session on cells, whose threads run one cell after another."""

    signals: Signals
    logs: CellLogs
    desk: Desk
    spec_of: Callable[[AnyCell], Spec]
    """Returns the spec of a cell whose run has not begun; the same device and backend for all."""
    ended: Callable[[AnyCell], None]
    """Is called when the session of a cell has ended, before that of another begins."""
    failure: str | None = None
    """The sentence of the first cell in which the engine has failed, or None."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hurried(self) -> bool:
        """Returns whether all cells are to stop."""
        return self.signals.received is not None or self.desk.stop.is_set()

    def run(self, cells: Sequence[AnyCell], backend: Backend, spec: Spec, at_once: int) -> None:
        """Runs cells to the end of their sessions, `at_once` at a time, on the spec's devices.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it or its checkpoint cannot be read; SaveError where its folder cannot be written.
        """
        with open_pool(backend, spec) as pool:
            shared = SharedPool(pool, hurried=self.hurried)
            shared.run_each(cells, lambda cell: self._work(cell, shared), at_once, self.desk.stop)

    def _work(self, cell: AnyCell, pool: SharedPool) -> None:
        """Runs a cell, unless a signal has asked this process to end."""
        if self.signals.received is not None:
            return
        ended = self._session(cell, pool)
        self.ended(cell)
        if ended.outcome is Outcome.FAILED:
            self._fail(f"{cell.run.path}: {ended.sentence}")

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all cells."""
        with self.lock:
            self.failure = self.failure or sentence
        self.desk.stop.set()

    def _session(self, cell: AnyCell, pool: SharedPool) -> Ended:
        """Runs a cell to the end of its session. Raises InputError and SaveError."""
        spec = written_spec(cell, self.spec_of)
        try:
            writer = CellWriter(cell.run, self.desk)
        except OSError as error:
            raise unwritable(cell, error) from error
        with self.logs.of(cell.run), writer:
            return run_session(
                writer,
                spec,
                pool,
                self.signals,
                pace=PACE,
                wait=lambda seconds: pool.step_aside(max(seconds, PAUSED_CELL_S)),
                hurried=self.hurried,
                why=WHY,
            )


def written_spec(cell: AnyCell, spec_of: Callable[[AnyCell], Spec]) -> Spec:
    """Returns the spec in a cell's run.yaml, whose limits may have been changed.

    Writes the file first where it is missing, with what `spec_of` returns. Raises InputError and
    SaveError.
    """
    made_folder(cell.run.path, cell.run.path.parents[1])
    if check_regular(cell.run.spec):
        found = cell.run.load_spec()
        check_of_plan(found, spec_of(cell), cell.run.spec)
        return found
    spec = spec_of(cell)
    replace(cell.run.spec, dump(spec).encode())
    return spec


def unwritable(cell: CellOfRun, error: OSError) -> SaveError:
    """Returns the error for a cell whose folder cannot be written."""
    return SaveError(f"{cell.run.path}: cannot be written: {error.strerror}")
