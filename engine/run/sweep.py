"""Runs many pairs at many levels, where each cell is a run directory of its own.

A crew runs the cells (`crew`): this process (`batched`), or the workers of a cluster (`cluster`).
Only a line of the table is kept in memory of a cell that has ended. A sweep that was killed goes
on: cells that have ended are kept, and the others resume from their checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.record.events import Outcome
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
from engine.record.writing import replace
from engine.run.cells import ending
from engine.run.crew import Crew, Prepare, Work
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec


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

    def run(self, crew: Crew, signals: Signals) -> End:
        """Runs until every cell has ended, somebody asks to stop, or the engine fails in a cell.

        `crew` was prepared for the sweep's plan. Where the session ends early, the cells that are
        under way are stopped with their checkpoints written.

        What a cell raises is raised when the others have stopped: InputError where another process
        runs it or the sweep, or its checkpoint cannot be read; SaveError where its folder cannot be
        written.
        """
        with held(self.folder):
            return self.run_held(Desk(self.folder), crew, signals)

    def run_held(self, desk: Desk, crew: Crew, signals: Signals) -> End:
        """Does what `run` does, where the caller holds the sweep and has a desk on its folder."""
        try:
            end = self._end(self._work(desk, crew, signals), signals)
        except (InputError, SaveError) as error:
            desk.close(End(str(error), exit_status_of(error)))
            raise
        desk.close(end)
        return end

    def _work(self, desk: Desk, crew: Crew, signals: Signals) -> str | None:
        """Runs the cells that have not ended, and returns the sentence of a failure, or None."""
        self._read()
        todo = [cell for cell in self.plan.cells(self.folder) if not self._has_ended(cell)]
        todo.sort(key=_begins)
        if not todo or signals.received is not None:
            return None
        return crew.run(Work(self.plan, self.folder, tuple(todo), desk, signals, self.note))

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


def run_folder(desk: Desk, signals: Signals, crew: AbstractContextManager[Prepare]) -> End:
    """Runs the sweep whose plan the folder of a desk holds, or goes on, and writes its tables.

    `crew` gives what prepares the plan (`crews.crew_of`). The caller holds the sweep. Raises
    InputError where it cannot run, and SaveError.
    """
    with ExitStack() as stack:
        try:
            plan = read_plan(desk.folder)
            if plan is None:
                raise InputError("holds no sweep", file=desk.folder)
            sweep, workers = _prepared(plan, desk.folder, stack.enter_context(crew))
        except InputError as error:
            desk.close(End(f"It cannot run: {error}.", exit_status_of(error)))
            raise
        try:
            return sweep.run_held(desk, workers, signals)
        finally:
            sweep.write_tables()
