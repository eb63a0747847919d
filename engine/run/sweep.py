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

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.backends.backend import Backend
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import Cell, Plan, create, plan_for, read_plan
from engine.record.sweep_tables import LevelRow, Result, csv_of, csv_of_levels, json_of
from engine.run.cells import logging_cells
from engine.run.folder_of_runs import FolderOfRuns, planned, starting
from engine.run.grid import AT_ONCE, prepare_grid
from engine.run.sharing import Sharing
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec


class Sweep(FolderOfRuns[Cell, Result, LevelRow]):
    """A sweep in its folder, which holds its plan."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Reads how far the sweep of a folder has come."""
        self.plan = plan
        super().__init__(plan, folder)

    def run(self, backend: Backend, signals: Signals, at_once: int = AT_ONCE) -> End:
        """Runs until every cell has ended, somebody asks to stop, or the engine fails in a cell.

        `backend` computes the problem of the plan's spec, which is resolved, and `at_once` cells
        are under way at a time. Where the session ends early, the cells that are under way are
        stopped with their checkpoints written.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it or the sweep, or its checkpoint cannot be read; SaveError where its folder cannot be
        written.
        """
        return self.held_session(signals, self.working(backend, signals, at_once))

    def working(
        self, backend: Backend, signals: Signals, at_once: int
    ) -> Callable[[Desk], str | None]:
        """Returns what a session does at its desk: it runs the cells that have not ended."""

        def work(desk: Desk) -> str | None:
            self._read()
            todo = [cell for cell in self.plan.cells(self.folder) if not self.has_ended(cell)]
            todo.sort(key=_begins)
            if not todo or signals.received is not None:
                return None
            with logging_cells(self.folder / "engine.log") as logs:
                desk.begin()
                session = Sharing(signals, logs, desk, self._spec_of, self.note)
                session.run(todo, backend, self.plan.spec, at_once)
                return session.failure

        return work

    def _spec_of(self, cell: Cell) -> Spec:
        """Returns the spec of a cell."""
        return self.plan.at(cell.level, cell.pair)

    def tables(self, rows: list[LevelRow], results: list[Result]) -> dict[str, str]:
        """See `FolderOfRuns`: a line for each cell, a line for each level, and both."""
        return {
            "sweep.csv": csv_of(results),
            "levels.csv": csv_of_levels(rows),
            "sweep.json": json_of(rows, results),
        }


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


def run_folder(desk: Desk, signals: Signals, at_once: int = AT_ONCE) -> End:
    """Runs the sweep whose plan the folder of a desk holds, or goes on, and writes its tables.

    The caller holds the sweep. Raises InputError where it cannot run, and SaveError.
    """
    with starting(desk):
        sweep, backend = _prepared(planned(read_plan(desk.folder), desk.folder), desk.folder)
    try:
        return sweep.session(desk, signals, sweep.working(backend, signals, at_once))
    finally:
        sweep.write_tables()
