"""Runs many pairs at many levels, where each cell is a run directory of its own.

A crew runs the cells (`crew`): this process, where their searches share their batches (`batched`),
or the workers of a cluster (`cluster`). Only a line of the table is kept in memory of a cell that
has ended. A sweep that was killed goes on: cells that have ended are kept, and the others resume
from their checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import Cell, Plan, create, plan_for, read_plan
from engine.record.sweep_tables import LevelRow, Result, csv_of, csv_of_levels, json_of
from engine.run.batched import Batched
from engine.run.cells import logging_cells
from engine.run.crew import Crew, Work
from engine.run.folder_of_runs import FolderOfRuns, planned, starting
from engine.run.grid import AT_ONCE, prepare_grid
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec


class Sweep(FolderOfRuns[Cell, Result, LevelRow]):
    """A sweep in its folder, which holds its plan."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Reads how far the sweep of a folder has come."""
        self.plan = plan
        super().__init__(plan, folder)

    def run(self, crew: Crew, signals: Signals) -> End:
        """Runs until every cell has ended, somebody asks to stop, or the engine fails in a cell.

        `crew` was prepared for the sweep's plan. Where the session ends early, the cells that are
        under way are stopped with their checkpoints written.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it or the sweep, or its checkpoint cannot be read; SaveError where its folder cannot be
        written.
        """
        return self.held_session(signals, self.working(crew, signals))

    def working(self, crew: Crew, signals: Signals) -> Callable[[Desk], str | None]:
        """Returns what a session does at its desk: it runs the cells that have not ended."""

        def work(desk: Desk) -> str | None:
            self._read()
            todo = [cell for cell in self.plan.cells(self.folder) if not self.has_ended(cell)]
            todo.sort(key=_begins)
            if not todo or signals.received is not None:
                return None
            with logging_cells(self.folder / "engine.log") as logs:
                desk.begin()
                cells = tuple(todo)
                return crew.run(
                    Work(self.folder, cells, self._spec_of, self.note, desk, logs, signals)
                )

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


Prepare = Callable[[Plan], tuple[Plan, Crew]]
"""Decides everything about a plan, and returns it with the crew for it. Raises InputError."""


def here(at_once: int = AT_ONCE) -> Prepare:
    """Returns what prepares a plan for this process, with so many cells under way at a time."""

    def prepare(plan: Plan) -> tuple[Plan, Crew]:
        grid, backend = prepare_grid(plan.spec, plan.levels, plan.pairs)
        decided = Plan(grid.spec, grid.levels, grid.pairs)
        return decided, Batched(backend, decided.spec, at_once)

    return prepare


def start(
    spec: Spec, levels: Iterable[LevelAsked], pairs: int, folder: Path, prepare: Prepare
) -> tuple[Sweep, Crew]:
    """Returns the sweep in a folder, new or begun before, and the crew that runs it.

    Raises InputError where it cannot run, or the folder holds another sweep.
    """
    return _prepared(plan_for(spec, levels, pairs, folder), folder, prepare)


def _prepared(plan: Plan, folder: Path, prepare: Prepare) -> tuple[Sweep, Crew]:
    """Returns the sweep of a plan and its crew, and writes the plan as it was decided.

    Raises InputError where it cannot run.
    """
    decided, crew = prepare(plan)
    begun = read_plan(folder)
    if begun is None or begun.told() != decided.told():
        create(decided, folder)
    return Sweep(decided, folder), crew


def run_folder(
    desk: Desk,
    signals: Signals,
    crew: AbstractContextManager[Prepare],
    *,
    run_factories: bool = False,
) -> End:
    """Runs the sweep whose plan the folder of a desk holds, or goes on, and writes its tables.

    `crew` gives what prepares the plan (`crews.crew_of`). Functions that the plan names are run
    where the folder is this user's own, or with `run_factories`. The caller holds the sweep. Raises
    InputError where it cannot run, and SaveError.
    """
    with ExitStack() as stack:
        with starting(desk):
            plan = planned(read_plan(desk.folder), desk.folder, run_factories=run_factories)
            sweep, workers = _prepared(plan, desk.folder, stack.enter_context(crew))
        try:
            return sweep.session(desk, signals, sweep.working(workers, signals))
        finally:
            sweep.write_tables()
