"""Tells how a sweep stands from its folder alone. No torch here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from engine.errors import InputError
from engine.record.events import Outcome
from engine.record.lock import AT_REST, Life, life_of
from engine.record.many import Brief, ManyRuns
from engine.record.plans import AnyCell, AnyPlan, AnyRow, plan_file, read_any_plan
from engine.record.reading import Damaged, Stamp, stamp
from engine.record.rundir import RunDir
from engine.record.runs import tried
from engine.record.sweep_state import SweepState, read_state
from engine.record.sweep_tables import ENDINGS, LevelRow


@dataclass(frozen=True)
class CellState:
    """A cell of a sweep, and how its run stands."""

    cell: AnyCell
    brief: Brief

    @property
    def ended(self) -> bool:
        """Whether the cell has ended for good."""
        end = self.brief.ended
        return end is not None and end.outcome in ENDINGS


@dataclass(frozen=True)
class LevelState:
    """A row of a grid, such as a level: its cells, pair by pair, statistics, and the time left."""

    row: AnyRow
    cells: tuple[CellState, ...]
    eta_s: float | None
    """The seconds until all pairs of the level have ended, about; None where not known."""


@dataclass(frozen=True)
class SweepView:
    """The state of a sweep at one moment, as its folder shows it."""

    state: str
    """*preparing*, *running*, *paused*, *ended*, *unfinished* where no process is at work on cells
    that have not ended, *lost* where one of another machine was and is not heard any more, or
    *damaged* where the plan cannot be read."""
    plan: AnyPlan | None = None
    levels: tuple[LevelState, ...] = ()
    results: tuple[Any, ...] = ()
    """The numbers of the cells that have ended, of the plan's own kind."""
    left: int = 0
    """The number of cells that are to be searched and have not ended for good."""
    elapsed_s: float = 0.0
    """The running time of the newest session in seconds, without pauses."""
    eta_s: float | None = None
    """The seconds until the sweep has ended, about; None where not known."""
    said: str = ""
    """What the newest session said of its end; empty while it goes on."""
    exit_status: int = 0
    """The exit status of a command that watched the sweep: 0 while it goes on."""
    damaged: tuple[Damaged, ...] = ()
    """The faults of the sweep's own files, and of what is known of cells besides their events."""
    life: Life = AT_REST
    """Whether an engine is at work on it."""

    @property
    def going(self) -> bool:
        """Whether an engine is at work on the sweep."""
        return self.state in ("preparing", "running", "paused")

    @property
    def cells(self) -> tuple[CellState, ...]:
        """All cells, level by level."""
        return tuple(cell for level in self.levels for cell in level.cells)

    def count(self, *states: str) -> int:
        """Returns the number of cells in one of these states."""
        return sum(cell.brief.state in states for cell in self.cells)

    @property
    def ended(self) -> int:
        """The number of cells that have ended for good."""
        return sum(cell.ended for cell in self.cells)

    @property
    def asked(self) -> int:
        """The number of cells that are searched, as far as that is known."""
        return self.ended + self.left


class SweepReader:
    """Reads the folder of a sweep at each call of `look`."""

    def __init__(self, folder: RunDir) -> None:
        """Reads the plan of a sweep."""
        self.folder = folder
        self._plan: AnyPlan | None = None
        self._fault: Damaged | None = None
        self._cells: tuple[AnyCell, ...] = ()
        self._runs = ManyRuns(())
        self._planned_at: Stamp | None = None
        self._seen: tuple[Brief, ...] | None = None
        self._marks: tuple[object, ...] = ()
        """What was known of cells besides their events when the rows were made."""
        self._rows: tuple[AnyRow, ...] = ()
        self._faults_of_cells: list[Damaged] = []
        """The faults of what is known of cells besides their events."""
        self._results: tuple[Any, ...] = ()
        self._left = 0
        """The number of cells that were left to be searched when the rows were made."""

    def look(self) -> SweepView:
        """Returns the state of the sweep now, whatever its files hold."""
        faults: list[Damaged] = []
        life = life_of(self.folder)  # first: what was written before the end is then seen below
        tried(self._read_plan, faults)
        session = tried(lambda: read_state(self.folder.path), faults)
        briefs = self._runs.look()
        if self._plan is None:
            return SweepView("damaged", damaged=tuple(faults))
        plan: Any = self._plan
        pairs = zip(self._cells, briefs, strict=True)
        ended = [(cell, brief.ended) for cell, brief in pairs if _has_ended(brief)]
        folder = self.folder.path
        marks = plan.marks(folder, [cell for cell, _ in ended])
        if self._seen is None or marks != self._marks or any(map(_differs, briefs, self._seen)):
            self._faults_of_cells = []
            results = [
                tried(partial(plan.result_of, cell, end), self._faults_of_cells)
                for cell, end in ended
            ]
            known = [result for result in results if result is not None]
            self._results = tuple(known)
            self._rows = tuple(plan.rows(folder, known))
            self._left = plan.left(folder, known)
            self._seen, self._marks = briefs, marks
        return self._view(self._plan, life, session, (*faults, *self._faults_of_cells))

    def _read_plan(self) -> None:
        """Reads the plan where its file is new. Raises Damaged where it cannot be read."""
        path = plan_file(self.folder.path)
        now = stamp(path)
        if now is None:
            raise Damaged(path, "it is missing")
        if now != self._planned_at:
            self._planned_at, self._fault = now, None
            try:
                plan = read_any_plan(self.folder.path)
            except InputError as error:
                why = str(InputError(error.what, key=error.key))  # the path is told anyway
                self._fault = error if isinstance(error, Damaged) else Damaged(path, why)
            else:
                self._take(plan)
        if self._fault is not None:
            raise self._fault

    def _take(self, plan: AnyPlan | None) -> None:
        """Takes a plan that was read."""
        self._plan, self._seen = plan, None
        self._cells = tuple(plan.cells(self.folder.path)) if plan is not None else ()
        self._runs = ManyRuns(cell.run for cell in self._cells)

    def _view(
        self, plan: AnyPlan, life: Life, session: SweepState | None, faults: tuple[Damaged, ...]
    ) -> SweepView:
        """Returns the view of a sweep whose cells were looked at."""
        assert self._seen is not None
        cells = tuple(map(CellState, self._cells, self._seen))
        now = time.time()
        until = now if session is None or life.live else session.at
        elapsed_s = 0.0 if session is None else session.elapsed_now_s(until)
        began = session.began if session is not None and life.live else None
        over = None if session is None or life.live or session.state != "ended" else session
        done = not self._left
        parts = zip(self._rows, _parts(cells, plan.pairs), strict=True)
        if not plan.every_cell_runs:
            began = None
        etas = partial(_eta_s, began=began, elapsed_s=elapsed_s, now=now)
        levels = tuple(LevelState(row, part, etas(part)) for row, part in parts)
        return SweepView(
            _state_of(session, life, done=done),
            plan,
            levels,
            self._results,
            self._left,
            elapsed_s,
            0.0 if done else etas(cells),
            life.words if over is None else over.sentence,
            0 if done else _status_of(over),
            faults,
            life,
        )


def _has_ended(brief: Brief) -> bool:
    """Returns whether a run has ended otherwise than by a stop, after which it goes on."""
    return brief.ended is not None and brief.ended.outcome is not Outcome.STOPPED


def _differs(one: Brief, other: Brief) -> bool:
    """Returns whether two briefs are not the same object, which is so for what has changed."""
    return one is not other


def _state_of(session: SweepState | None, life: Life, *, done: bool) -> str:
    """Returns the state of a sweep in one of the words of `SweepView.state`."""
    if not life.live:
        left = "unfinished" if life.lost is None else "lost"
        return "ended" if done else left
    if session is None:
        return "preparing"
    return "running" if session.state == "ended" else session.state


def _status_of(session: SweepState | None) -> int:
    """Returns the exit status of a session that is over, 0 where there is none."""
    return 0 if session is None else (session.exit_status or 0)


def _parts(cells: tuple[CellState, ...], pairs: int) -> list[tuple[CellState, ...]]:
    """Returns the cells of each level."""
    return [cells[start : start + pairs] for start in range(0, len(cells), pairs)]


def _eta_s(
    cells: tuple[CellState, ...], began: float | None, elapsed_s: float, now: float
) -> float | None:
    """Returns the seconds until all of the cells have ended, as fast as this session has been.

    A cell that is under way counts as half done. Returns None where this session has not ended any,
    and 0 where all have ended.
    """
    left = sum(not cell.ended for cell in cells)
    if not left:
        return 0.0
    ours = [cell for cell in cells if began is not None and cell.brief.began_s >= began]
    ended = sum(cell.ended for cell in ours)
    if not ended:
        return None
    since = min(elapsed_s, now - min(cell.brief.began_s for cell in ours))
    half_done = (len(ours) - ended) / 2
    return (left - half_done) * max(0.0, since) / (ended + half_done)


@dataclass(frozen=True)
class Measured:
    """The mean of one quantity at one level, with its standard error."""

    level: float
    """The level, or the mean of those that came about."""
    mean: float
    error: float
    """The standard error, or 0 where it is not known."""


def measured(rows: Sequence[LevelRow], quantity: str) -> tuple[Measured, ...]:
    """Returns the means of `normalized_length` or `beads` that are finite, by level."""
    levels = (row.level_found.mean if isinstance(row.level, str) else row.level for row in rows)
    found = zip(levels, (getattr(row, quantity) for row in rows), strict=True)
    return tuple(
        Measured(level, each.mean, each.standard_error if isfinite(each.standard_error) else 0.0)
        for level, each in found
        if isfinite(each.mean) and isfinite(level)
    )
