"""Runs many pairs at many levels in one process, where each cell is a run directory of its own.

The open segments of all strings share their batches (`shared`). A number of cells are under way at
a time. When one ends the next begins, and only its line of the table is kept in memory. A sweep
that was killed goes on: cells that have ended are kept, and the others resume from their
checkpoints.

With `search.batching: fused` a bead's bits do not depend on its batch, so a cell's string is that
of its run alone. With vmap or loop the same holds up to rounding, which depends on the batch, and
so on the cells that are under way. Where a bead starts on a pass, rounding can choose the side to
which it falls. A cell's running time includes its waits for others, and `limits.seconds` counts
them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.backends.backend import Backend
from engine.errors import InputError, SaveError
from engine.record.events import Outcome
from engine.record.finding import PLAN
from engine.record.reading import check_regular
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End, exit_status_of, held
from engine.record.sweep_folder import Cell, Plan, create, plan_for, read_plan
from engine.record.sweep_tables import (
    ENDINGS,
    LevelRow,
    Result,
    csv_of,
    csv_of_levels,
    json_of,
)
from engine.record.writing import made_folder, replace
from engine.run.cells import CellLogs, CellWriter, ending, logging_cells
from engine.run.grid import AT_ONCE, prepare_grid
from engine.run.loop import Pace
from engine.run.session import Ended, run_session
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec
from engine.spec.trust import check_of_plan, check_run
from engine.spec.yaml_file import dump
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The pace of cells, which are short and many: checkpoints and snapshots of progress are rare.
PACE = Pace(checkpoint_s=60.0, progress_s=20.0)
#: The seconds between two looks of a paused cell at its commands.
PAUSED_CELL_S = 0.5


class Sweep:
    """A sweep in its folder, which holds its plan."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Reads how far the sweep of a folder has come."""
        self.plan, self.folder = plan, folder
        self._ended: dict[Cell, Result] = {}
        self._read()

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.plan.levels) * self.plan.pairs

    def count(self, *outcomes: Outcome) -> int:
        """Returns how many cells have ended so far, or how many of them with one of `outcomes`."""
        ended = list(self._ended.values())  # at one go: threads add to it
        return sum(result.outcome in (outcomes or ENDINGS) for result in ended)

    @property
    def unfinished(self) -> str:
        """A sentence on the cells that have not ended."""
        left = self.cells - self.count()
        return f"{left} of {self.cells} cells have not ended; the same command goes on"

    def results(self) -> list[Result]:
        """Returns how the cells ended that have, in the order of the plan."""
        cells = self.plan.cells(self.folder)
        return [self._ended[cell] for cell in cells if cell in self._ended]

    def run(self, backend: Backend, signals: Signals, at_once: int = AT_ONCE) -> End:
        """Runs until every cell has ended, somebody asks to stop, or the engine fails in a cell.

        `backend` computes the problem of the plan's spec, which is resolved, and `at_once` cells
        are under way at a time. Where the session ends early, the cells that are under way are
        stopped with their checkpoints written.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it or the sweep, or its checkpoint cannot be read; SaveError where its folder cannot be
        written.
        """
        with held(self.folder):
            return self.run_held(Desk(self.folder), backend, signals, at_once)

    def run_held(self, desk: Desk, backend: Backend, signals: Signals, at_once: int) -> End:
        """Does what `run` does, where the caller holds the sweep and has a desk on its folder."""
        try:
            end = self._end(self._work(desk, backend, signals, at_once), signals)
        except (InputError, SaveError) as error:
            desk.close(End(str(error), exit_status_of(error)))
            raise
        desk.close(end)
        return end

    def _work(self, desk: Desk, backend: Backend, signals: Signals, at_once: int) -> str | None:
        """Runs the cells that have not ended, and returns the sentence of a failure, or None."""
        self._read()
        todo = [cell for cell in self.plan.cells(self.folder) if not self._has_ended(cell)]
        todo.sort(key=_begins)
        if not todo or signals.received is not None:
            return None
        with logging_cells(self.folder / "engine.log") as logs:
            desk.begin()

            def hurried() -> bool:
                return signals.received is not None or desk.stop.is_set()

            with open_pool(backend, self.plan.spec) as pool:
                shared = SharedPool(pool, hurried=hurried)
                session = _Session(self, shared, signals, logs, desk, hurried)
                shared.run_each(todo, session.work, at_once, desk.stop)
            return session.failure

    def _end(self, failure: str | None, signals: Signals) -> End:
        """Returns how a session has ended that was not refused."""
        if failure is not None:
            return End(failure, 1)
        if self.count() == self.cells:
            return End(f"Every cell has ended, {self.count(Outcome.CONNECTED)} connected.", 0)
        return End(self.unfinished, 3 if signals.received is None else 128 + signals.received)

    def write_tables(self) -> list[LevelRow]:
        """Writes the sweep's tables into its folder, and returns the rows of the levels.

        sweep.csv has a line for each cell, levels.csv for each level, sweep.json both. Raises
        SaveError.
        """
        results = self.results()
        rows = self.plan.rows(results)
        texts = {
            "sweep.csv": csv_of(results),
            "levels.csv": csv_of_levels(rows),
            "sweep.json": json_of(rows, results),
        }
        for name, text in texts.items():
            replace(self.folder / name, text.encode())
        return rows

    def note(self, cell: Cell) -> None:
        """Reads how a cell has ended, if it has, and keeps that."""
        self._ended.pop(cell, None)
        end = ending(cell.run)
        if end is not None:
            self._ended[cell] = self.plan.result_of(cell, end)

    def _read(self) -> None:
        """Reads how all cells have ended."""
        for cell in self.plan.cells(self.folder):
            self.note(cell)

    def _has_ended(self, cell: Cell) -> bool:
        """Returns whether a cell has ended for good."""
        return cell in self._ended and self._ended[cell].outcome in ENDINGS


def _begins(cell: Cell) -> float:
    """Returns what cells begin in the order of: those take longest whose level is lowest."""
    return cell.level if isinstance(cell.level, float) else 0.0


def start(
    spec: Spec, levels: Iterable[LevelAsked], pairs: int, folder: Path
) -> tuple[Sweep, Backend]:
    """Returns the sweep in a folder, new or begun before, and the backend that computes it.

    Raises InputError where it cannot run, or the folder holds another sweep.
    """
    return _prepared(plan_for(spec, levels, pairs, folder), folder)


def _prepared(plan: Plan, folder: Path) -> tuple[Sweep, Backend]:
    """Returns the sweep of a plan and its backend, and writes the plan as it was decided.

    Raises InputError where it cannot run.
    """
    grid, backend = prepare_grid(plan.spec, plan.levels, plan.pairs)
    decided, begun = Plan(grid.spec, grid.levels, grid.pairs), read_plan(folder)
    if begun is None or begun.told() != decided.told():
        create(decided, folder)
    return Sweep(decided, folder), backend


def run_folder(
    desk: Desk, signals: Signals, at_once: int = AT_ONCE, *, run_factories: bool = False
) -> End:
    """Runs the sweep whose plan the folder of a desk holds, or goes on, and writes its tables.

    Functions that the plan names are run where the folder is this user's own, or with
    `run_factories`.

    The caller holds the sweep. Raises InputError where it cannot run, and SaveError.
    """
    try:
        plan = read_plan(desk.folder)
        if plan is None:
            raise InputError("holds no sweep", file=desk.folder)
        check_run(plan.spec, desk.folder / PLAN, run_factories=run_factories)
        sweep, backend = _prepared(plan, desk.folder)
    except InputError as error:
        desk.close(End(f"It cannot run: {error}.", exit_status_of(error)))
        raise
    try:
        return sweep.run_held(desk, backend, signals, at_once)
    finally:
        sweep.write_tables()


# ---------------------------------------------------------------- at work


@dataclass
class _Session:
    """A session of a sweep, whose threads run one cell after another."""

    sweep: Sweep
    pool: SharedPool
    signals: Signals
    logs: CellLogs
    desk: Desk
    hurried: Callable[[], bool]
    """Returns whether all cells are to stop."""
    failure: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, cell: Cell) -> None:
        """Runs a cell, unless a signal has asked this process to end."""
        if self.signals.received is not None:
            return
        ended = self._run(cell)
        self.sweep.note(cell)
        if ended.outcome is Outcome.FAILED:
            self._fail(f"{cell.run.path}: {ended.sentence}")

    def _fail(self, sentence: str) -> None:
        """Keeps the sentence of the first failure, and stops all cells."""
        with self.lock:
            self.failure = self.failure or sentence
        self.desk.stop.set()

    def _run(self, cell: Cell) -> Ended:
        """Runs a cell to the end of its session. Raises InputError and SaveError."""
        try:
            spec = self._spec(cell)
            writer = CellWriter(cell.run, self.desk)
        except OSError as error:
            raise SaveError(f"{cell.run.path}: cannot be written: {error.strerror}") from error
        with self.logs.of(cell.run), writer:
            return run_session(
                writer,
                spec,
                self.pool,
                self.signals,
                pace=PACE,
                wait=lambda seconds: self.pool.step_aside(max(seconds, PAUSED_CELL_S)),
                hurried=self.hurried,
                why="as it was decided for the whole sweep",
            )

    def _spec(self, cell: Cell) -> Spec:
        """Returns the spec in a cell's run.yaml, whose limits may have been changed.

        Writes the file first where it is missing.
        """
        made_folder(cell.run.path, self.sweep.folder)
        if check_regular(cell.run.spec):
            found = cell.run.load_spec()
            check_of_plan(found, self.sweep.plan.spec, cell.run.spec)
            return found
        spec = self.sweep.plan.at(cell.level, cell.pair)
        replace(cell.run.spec, dump(spec).encode())
        return spec
