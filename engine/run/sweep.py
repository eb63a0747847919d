"""Runs many pairs at many levels, where each cell is a run directory of its own.

A crew runs the cells (`crew`): this process, where their searches share their batches (`batched`),
or the workers of a cluster (`cluster`). Only a line of the table is kept in memory of a cell that
has ended. A sweep that was killed goes on: cells that have ended are kept, and the others resume
from their checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from engine.record.finding import PLAN
from engine.record.sweep_folder import Cell, Plan, keep, plan_for, read_plan
from engine.record.sweep_tables import LevelRow, Result, csv_of, csv_of_levels, json_of
from engine.run.crew import Crew, Session, Work
from engine.run.folder_of_runs import FolderOfRuns
from engine.run.searching import Search
from engine.spec.grid import LevelAsked
from engine.spec.keys import Spec


class Sweep(FolderOfRuns[Cell, Result, LevelRow]):
    """A sweep in its folder, which holds its plan."""

    def __init__(self, plan: Plan, folder: Path, crew: Crew) -> None:
        """Reads how far the sweep of a folder has come, which a crew is to run."""
        self.plan = plan
        super().__init__(plan, folder, crew)

    def work(self, session: Session) -> str | None:
        """See `FolderOfRuns`: runs the cells that have not ended."""
        todo = [cell for cell in self.plan.cells(self.folder) if not self.has_ended(cell)]
        todo.sort(key=_begins)
        return self.crew.run(Work(session, tuple(todo), self._task_of, self.note))

    def _task_of(self, cell: Cell) -> Search:
        """Returns the search in a cell."""
        return Search(self.plan.at(cell.level, cell.pair), self.place_of(cell))

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


def start(spec: Spec, levels: Iterable[LevelAsked], pairs: int, folder: Path, crew: Crew) -> Sweep:
    """Returns the sweep in a folder, new or begun before, which a crew is to run.

    Raises InputError where it cannot run, or the folder holds another sweep.
    """
    return prepared(plan_for(spec, levels, pairs, folder), folder, crew)


def prepared(plan: Plan, folder: Path, crew: Crew) -> Sweep:
    """Returns the sweep of a plan, and writes the plan as it was decided.

    Raises InputError where it cannot run.
    """
    decided = replace(plan, spec=crew.decide(plan.spec, map(plan.at, plan.levels)))
    keep(decided, read_plan(folder), folder, PLAN)
    return Sweep(decided, folder, crew)
