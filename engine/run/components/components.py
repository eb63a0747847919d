"""Joins many models by few searches, where each search is a run directory of its own.

Models are trained once, two by two, each two from a seed of their own. Then `record.merging`
decides rounds of searches, which a crew runs (`crew`): this process, where the searches of a round
share their batches, or the workers of a cluster. What a search has left is measured by one
evaluator, and the next round is decided by that. So a command that was killed goes on where it was:
models that are there are taken, searches that have ended are kept, and the others resume from their
checkpoints.

Models that hold more than the weights that move, such as buffers, make a problem of each pair. In
one process the searches of such pairs run one after another.
"""

from __future__ import annotations

from dataclasses import replace as replaced
from functools import partial
from pathlib import Path

from engine.record import string_file
from engine.record.components_folder import (
    MODELS_TOLD,
    ComponentsPlan,
    PairCell,
    models_path,
    plan_for,
    read_plan,
)
from engine.record.components_tables import Components, ComponentsRow, PathMeasured, Searched
from engine.record.components_texts import texts
from engine.record.events import Outcome, RunFinished
from engine.record.finding import COMPONENTS
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.record.sweep_folder import keep
from engine.run.backends import decided_as
from engine.run.compare.evaluator import profiles
from engine.run.components import models
from engine.run.crew import Crew, Session, Work
from engine.run.folder_of_runs import FolderOfRuns
from engine.run.searching import Search

#: The measurement of a search that has left no string.
NO_PATH = PathMeasured(0, "", float("nan"), float("nan"))


class ComponentsRun(FolderOfRuns[PairCell, Searched, ComponentsRow]):
    """Models and the searches between them in their folder, which holds their plan."""

    def __init__(self, plan: ComponentsPlan, folder: Path, crew: Crew) -> None:
        """Reads how far it has come. A crew is to train the models and to run the searches."""
        self.plan = plan
        self._cells = {(cell.level, cell.models): cell for cell in plan.cells(folder)}
        super().__init__(plan, folder, crew)

    def work(self, session: Session) -> str | None:
        """See `FolderOfRuns`: makes the models, and runs round after round of searches.

        A search that somebody stopped alone is left to the next session.
        """
        failure, tried = self._make_models(session), set[PairCell]()
        while failure is None and not session.hurried():
            cells = tuple(cell for cell in self.todo() if cell not in tried)
            if not cells:
                break
            tried.update(cells)
            models.check(self.plan, self.folder, {each for cell in cells for each in cell.models})
            failure = self.crew.run(Work(session, cells, self._task_of, self.note))
            self.write_tables()
        return failure

    def found(self) -> Components | None:
        """Returns all that follows from the searches so far, or None before there are models."""
        return self.plan.found(self.folder, self.results())

    def todo(self) -> list[PairCell]:
        """Returns the cells that are decided and have not ended for good, or are not measured."""
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
            return f"{there} of {self.plan.models} models are trained; {self.goes_on}"
        left = len(self.todo())
        searches = f"{left} search has" if left == 1 else f"{left} searches have"
        return f"{searches} not ended, and others may follow; {self.goes_on}"

    def _make_models(self, session: Session) -> str | None:
        """Trains or reads the models where they are not there, and measures them.

        Returns the sentence of a failure. Where it is to stop, models are missing.
        """
        plan, folder = self.plan, self.folder
        missing = models.missing(plan, folder)
        if not missing and check_regular(models_path(folder)):
            return None
        if plan.given:
            problem = self.crew.problem(plan.training_spec(0))
            models.write_given(plan, folder, models.given(plan, problem), problem)
        else:
            failure = self.crew.run(Work(session, missing, partial(models.training, plan)))
            if failure is not None or session.hurried():
                return failure
        models.check(plan, folder, range(plan.models))
        telling = models.telling(plan, folder)
        return self.crew.run(Work(session, (MODELS_TOLD,), lambda _: telling))

    def _task_of(self, cell: PairCell) -> Search:
        """Returns the search in a cell."""
        return Search(
            self.plan.spec_of(cell.level, cell.pair, self.folder),
            self.place_of(cell),
            tuple(map(self.plan.model_place, cell.models)),
            partial(path_measured, points=self.plan.points),
        )


def path_measured(run: RunDir, end: RunFinished, cores: int, *, points: int) -> PathMeasured:
    """Returns the measurement of a search that has ended so, by so many cores of this machine.

    Raises InputError where data are missing.
    """
    if not check_regular(run.string):
        return NO_PATH
    connected = end.outcome is Outcome.CONNECTED
    return measured(string_file.read(run.string), points, connected, cores)


def measured(
    file: string_file.StringFile, points: int, connected: bool, cores: int | None = None
) -> PathMeasured:
    """Returns the highest losses on a string, on `points` places of each segment and at its peaks.

    So many `cores` of this machine measure them, all of them where it is None.

    Where it is not `connected`, the straight line between its ends is measured too, which may be
    lower than what a search without success has left. Raises InputError where its data are missing.
    """
    segments, dtype = profiles(file, points, cores)
    string, line = max(each.peak for each in segments), float("nan")
    beads = file.string.beads
    if not connected and len(beads) > 2:
        ends = replaced(file, string=replaced(file.string, beads=beads[[0, -1]]))
        (straight,), _ = profiles(ends, points, cores)
        line = straight.peak
    proven = file.header.audit.get("proven_bound") if connected else None
    return PathMeasured(
        points,
        str(dtype).removeprefix("torch."),
        string,
        line,
        float(proven) if isinstance(proven, int | float) else None,
    )


def start(asked: ComponentsPlan, folder: Path, crew: Crew) -> ComponentsRun:
    """Returns the components in a folder, new or begun before, which a crew is to run.

    Raises InputError, before anything is written, where a method does not fit the problem, a model
    cannot be read, or the folder holds something else.
    """
    return prepared(plan_for(asked, folder), folder, crew)


def prepared(plan: ComponentsPlan, folder: Path, crew: Crew) -> ComponentsRun:
    """Returns the components of a plan, and writes the plan as it was decided.

    Raises InputError where they cannot run.
    """
    plan.check(folder)
    searches = (plan.spec_of(level, 0, folder) for level in plan.levels)
    training = crew.decide(plan.training_spec(0), searches)
    if plan.given and not check_regular(models_path(folder)):
        models.given(plan, crew.problem(training))
    decided = replaced(plan, spec=decided_as(plan.spec, training))
    keep(decided, read_plan(folder), folder, COMPONENTS)
    return ComponentsRun(decided, folder, crew)
