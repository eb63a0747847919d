"""Joins many models by few searches, where each search is a run directory of its own.

Models are trained once, two by two, each two from a seed of their own. Then `record.merging`
decides rounds of searches, and the searches of a round run at once and share their batches, as
those of a sweep do. What a search has left is measured by one evaluator, and the next round is
decided by that. So a command that was killed goes on where it was: models that are there are taken,
searches that have ended are kept, and the others resume from their checkpoints.

Models that hold more than the weights that move, such as buffers, make a problem of each pair. The
searches of such pairs run one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from engine.methods.aligned import check_alignable
from engine.record import string_file
from engine.record.components_folder import (
    ComponentsPlan,
    PairCell,
    models_path,
    plan_for,
    read_plan,
)
from engine.record.components_tables import Components, ComponentsRow, PathMeasured, Searched
from engine.record.components_texts import texts
from engine.record.events import Outcome, dump_json
from engine.record.finding import COMPONENTS
from engine.record.reading import check_regular
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import measurement_path, write_plan
from engine.record.sweep_tables import ENDINGS
from engine.record.writing import replace
from engine.run.batched import Batched
from engine.run.cells import ending, logging_cells
from engine.run.compare.evaluator import profiles
from engine.run.components import models
from engine.run.crew import Work
from engine.run.folder_of_runs import FolderOfRuns, planned, starting
from engine.run.grid import AT_ONCE
from engine.run.prepare import Prepared, prepare
from engine.spec.keys import Spec
from engine.workers.pool import open_pool
from engine.workers.shared import SharedPool

#: The measurement of a search that has left no string.
NO_PATH = PathMeasured(0, "", float("nan"), float("nan"))


class ComponentsRun(FolderOfRuns[PairCell, Searched, ComponentsRow]):
    """Models and the searches between them in their folder, which holds their plan."""

    def __init__(self, plan: ComponentsPlan, folder: Path, prepared: Prepared) -> None:
        """Reads how far it has come. The models are trained with what was `prepared` for them."""
        self.plan, self._prepared = plan, prepared
        self._searching: Prepared | None = None
        """What was prepared for the searches of the newest part that shares a problem."""
        self._cells = {(cell.level, cell.models): cell for cell in plan.cells(folder)}
        super().__init__(plan, folder)

    def run(self, signals: Signals, at_once: int = AT_ONCE) -> End:
        """Runs until no search is left, somebody asks to stop, or the engine fails in one.

        `at_once` searches are under way at a time. Raises InputError where another process runs
        it, or where a search cannot run, and SaveError.
        """
        return self.held_session(signals, self.working(signals, at_once))

    def working(self, signals: Signals, at_once: int) -> Callable[[Desk], str | None]:
        """Returns what a session does at its desk: it trains models, and runs round after round."""

        def work(desk: Desk) -> str | None:
            self._read()
            with logging_cells(self.folder / "engine.log") as logs:
                desk.begin()
                nothing = Work(
                    self.folder, (), self._spec_of, self._ended_session, desk, logs, signals
                )
                self._measure_left()
                if not self._make_models(nothing, at_once):
                    return None
                while (todo := self.todo()) and not nothing.hurried():
                    for cells in self._bundles(todo):
                        failure = self._search(replaced(nothing, cells=cells), at_once)
                        if failure is not None:
                            return failure
                    self.write_tables()
                return None

        return work

    def found(self) -> Components | None:
        """Returns all that follows from the searches so far, or None before there are models."""
        return self.plan.found(self.folder, self.results())

    def todo(self) -> list[PairCell]:
        """Returns the cells that are decided and have not ended for good."""
        good = [each for cell, each in self._ended.items() if self.has_ended(cell)]
        found = self.plan.found(self.folder, good)
        return [] if found is None else [self._cells[key] for key in found.decided.left]

    def tables(self, rows: list[ComponentsRow], results: list[Searched]) -> dict[str, str]:
        """See `FolderOfRuns`; there are none before the models are there."""
        found = self.plan.found(self.folder, results)
        return {} if found is None else texts(found)

    @property
    def done(self) -> str:
        """See `FolderOfRuns`."""
        found = self.found()
        assert found is not None
        return f"Every search has ended; {found.brief}."

    @property
    def unfinished(self) -> str:
        """See `FolderOfRuns`."""
        if self.found() is None:
            there = self.plan.models_there(self.folder)
            return f"{there} of {self.plan.models} models are trained; the same command goes on"
        left = len(self.todo())
        searches = f"{left} search has" if left == 1 else f"{left} searches have"
        return f"{searches} not ended, and others may follow; the same command goes on"

    # ------------------------------------------------------------ models

    def _make_models(self, work: Work[PairCell], at_once: int) -> bool:
        """Trains or reads the models where they are not there; False once that is stopped."""
        if check_regular(models_path(self.folder)):
            return True
        plan, problem = self.plan, self._prepared.backend.problem
        if plan.given:
            models.write_given(plan, self.folder, models.given(plan, problem), problem)
        else:
            spec = self._prepared.spec
            with open_pool(self._prepared.backend, spec) as pool:
                shared = SharedPool(pool)
                shared.run_each(
                    range((plan.models + 1) // 2),
                    lambda two: self._train_two(two, shared, work),
                    at_once,
                    work.desk.stop,
                )
            if work.hurried():
                return False
        models.tell(plan, self.folder, problem)
        return True

    def _train_two(self, two: int, pool: SharedPool, work: Work[PairCell]) -> None:
        """Trains two models, unless the session is to end or pauses."""

        def stopped() -> bool:
            work.desk.look()
            while work.desk.paused and not work.hurried():
                pool.step_aside(0.1)
                work.desk.look()
            return work.hurried()

        models.train_two(self.plan, self.folder, two, pool, stopped)

    # ------------------------------------------------------------ searches

    @property
    def _alone(self) -> bool:
        """Whether each pair of models makes a problem of its own."""
        return bool(self._prepared.backend.problem.fixed)

    def _bundles(self, cells: Sequence[PairCell]) -> list[tuple[PairCell, ...]]:
        """Returns cells in parts that share a problem."""
        return [(cell,) for cell in cells] if self._alone else [tuple(cells)]

    def _search(self, work: Work[PairCell], at_once: int) -> str | None:
        """Runs cells that share a problem, and returns the sentence of a failure, or None."""
        if work.hurried():
            return None
        if self._searching is None or self._alone:
            self._searching = prepare(self._spec_of(work.cells[0]))
        return Batched(self._searching.backend, self._searching.spec, at_once).run(work)

    def _spec_of(self, cell: PairCell) -> Spec:
        """Returns the spec of a cell."""
        return self.plan.spec_of(cell.level, cell.pair, self.folder)

    def _ended_session(self, cell: PairCell) -> None:
        """Measures what a search has left, once it has ended, and keeps that."""
        self._measure(cell)
        self.note(cell)

    def _measure_left(self) -> None:
        """Measures what searches have left that ended just before their process did."""
        for cell in self._cells.values():
            if cell.run.events.exists() and not measurement_path(cell.run).exists():
                self._ended_session(cell)

    def _measure(self, cell: PairCell) -> None:
        """Writes the measurement of a search that has ended. Raises SaveError."""
        end = ending(cell.run)
        if end is None or end.outcome not in ENDINGS:
            return
        found = NO_PATH
        if check_regular(cell.run.string):
            file = string_file.read(cell.run.string)
            found = measured(file, self.plan.points, end.outcome is Outcome.CONNECTED)
        replace(measurement_path(cell.run), (dump_json(found) + "\n").encode())


def measured(file: string_file.StringFile, points: int, connected: bool) -> PathMeasured:
    """Returns the highest losses on a string, on `points` places of each segment and at its peaks.

    Where it is not `connected`, the straight line between its ends is measured too, which may be
    lower than what a search without success has left. Raises InputError where its data are missing.
    """
    segments, dtype = profiles(file, points)
    string, line = max(each.peak for each in segments), float("nan")
    beads = file.string.beads
    if not connected and len(beads) > 2:
        ends = replaced(file, string=replaced(file.string, beads=beads[[0, -1]]))
        (straight,), _ = profiles(ends, points)
        line = straight.peak
    proven = file.header.audit.get("proven_bound") if connected else None
    return PathMeasured(
        points,
        str(dtype).removeprefix("torch."),
        string,
        line,
        float(proven) if isinstance(proven, int | float) else None,
    )


def start(asked: ComponentsPlan, folder: Path) -> ComponentsRun:
    """Returns the components in a folder, new or begun before.

    Raises InputError, before anything is written, where a method does not fit the problem, a model
    cannot be read, or the folder holds something else.
    """
    return _prepared(plan_for(asked, folder), folder)


def _prepared(plan: ComponentsPlan, folder: Path) -> ComponentsRun:
    """Returns the components of a plan, and writes the plan as it was decided.

    Raises InputError where they cannot run.
    """
    plan.check(folder)
    prepared = prepare(plan.training_spec(0))
    problem = prepared.backend.problem
    check_alignable(plan.spec_of(plan.levels[0], 0, folder), problem)
    if plan.given and not check_regular(models_path(folder)):
        models.given(plan, problem)
    batching = {"batching": prepared.spec.search.batching}
    own: dict[str, Any] = {"search": plan.spec.search.model_copy(update=batching)}
    own |= {"endpoints": plan.spec.endpoints, "seed": plan.spec.seed}
    spec = prepared.spec.model_copy(update=own)
    decided = replaced(plan, spec=spec)
    begun = read_plan(folder)
    if begun is None or begun.told() != decided.told():
        write_plan(decided.text(), folder, COMPONENTS)
    return ComponentsRun(decided, folder, prepared)


def run_folder(
    desk: Desk, signals: Signals, at_once: int = AT_ONCE, *, run_factories: bool = False
) -> End:
    """Runs the components whose plan the folder of a desk holds, or goes on, and writes tables.

    The caller holds the folder. Raises InputError where they cannot run, and SaveError.
    """
    with starting(desk):
        begun = read_plan(desk.folder)
        plan = planned(begun, desk.folder, run_factories=run_factories)
        components = _prepared(plan, desk.folder)
    try:
        return components.session(desk, signals, components.working(signals, at_once))
    finally:
        components.write_tables()
