"""Runs several methods between the same ends, where each cell is a run directory of its own.

A crew trains the ends of the pairs, each pair's once, and runs the cells (`crew`). In one process
they run one after another, so that each has the machine to itself and its running time is its own.
On a cluster they run at once, one at a time on each worker. A comparison that was killed goes on:
ends that are there are taken, cells that have ended are kept, and those that were under way resume
from their checkpoints.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from functools import partial
from pathlib import Path

from engine.record import string_file
from engine.record.compare_folder import ComparePlan, EndsOfPair, MethodCell, plan_for, read_plan
from engine.record.compare_tables import (
    Compared,
    Measurement,
    MethodRow,
    csv_of_cells,
    csv_of_methods,
    json_of_comparison,
)
from engine.record.events import Outcome, RunFinished
from engine.record.finding import COMPARISON
from engine.record.findings import Totals
from engine.record.reading import check_regular
from engine.record.rundir import RunDir
from engine.record.sweep_folder import keep, measurement
from engine.record.writing import replace
from engine.run import trained_ends
from engine.run.backends import decided_as
from engine.run.cells import writer_of, written_spec
from engine.run.compare.evaluator import evaluated
from engine.run.crew import Crew, Session, Work
from engine.run.folder_of_runs import FolderOfRuns
from engine.run.searching import Search
from engine.run.tasks import Means
from engine.spec.ends import without_ends
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump

#: The totals of a search that had no ends to begin with.
NO_ENDS = Totals(0, 0, 0, 0, 0, (), 0, math.nan, math.nan, 0.0)
#: The number of cells of a comparison that are under way at a time in one process.
AT_ONCE = 1


@dataclass(frozen=True)
class Settle:
    """The task to decide what machines decide about a method, and to write that into a cell."""

    spec: Spec
    """The spec of the cell."""
    place: str
    """The place of the cell's run directory."""
    models: tuple[str, str]
    """The places of its ends."""

    @property
    def writes(self) -> tuple[str, ...]:
        """See `Task`."""
        return (f"{self.place}/run.yaml",)

    def reads(self, folder: Path) -> tuple[str, ...]:
        """See `Task`."""
        return (*self.models, *self.writes)

    def __call__(self, means: Means) -> None:
        """See `Task`."""
        run = RunDir(means.folder / self.place)
        asked = written_spec(run, self.spec, means.folder)
        replace(run.spec, dump(decided_as(asked, means.prepared.spec)).encode())


class Comparison(FolderOfRuns[MethodCell, Compared, MethodRow]):
    """A comparison of methods in its folder, which holds its plan."""

    def __init__(self, plan: ComparePlan, folder: Path, crew: Crew, training: Spec) -> None:
        """Reads how far it has come. A crew is to train the ends and to run the cells.

        `training` is the spec of the training of any ends, with everything decided.
        """
        self.plan, self._training = plan, training
        self._decided: dict[str, Spec] = {}
        """A spec of each method of which the backend is known."""
        self._of_pair: dict[int, list[MethodCell]] = defaultdict(list)
        for cell in plan.cells(folder):
            self._of_pair[cell.pair].append(cell)
        super().__init__(plan, folder, crew)

    def ends(self) -> list[EndsOfPair | None]:
        """Returns what is told of the ends of each pair, None where they are not there yet."""
        return [self._ends(pair) for pair in range(self.plan.pairs)]

    def _ends(self, pair: int) -> EndsOfPair | None:
        """Returns what is told of the ends of a pair, or None where they are not there yet."""
        return trained_ends.read_told(self.folder / self.plan.told_of(pair))

    def tables(self, rows: list[MethodRow], results: list[Compared]) -> dict[str, str]:
        """See `FolderOfRuns`: a line for each cell, a line for each method, and both."""
        return {
            "compare.csv": csv_of_cells(results),
            "methods.csv": csv_of_methods(rows),
            "compare.json": json_of_comparison(rows, results, self.ends()),
        }

    # ------------------------------------------------------------ at work

    def work(self, session: Session) -> str | None:
        """See `FolderOfRuns`: takes as many pairs together as the crew does tasks at once."""
        every = range(self.plan.pairs)
        step = self.crew.at_once or len(every)
        for first in every[::step]:
            pairs = every[first : first + step]
            for part in (self._make_ends, self._check_ends, self._settle, self._search):
                failure = part(session, pairs)
                if failure is not None or session.hurried():
                    return failure
        return None

    def _make_ends(self, session: Session, pairs: range) -> str | None:
        """Trains or reads the ends of pairs where they are not there."""
        plan = self.plan
        missing = tuple(pair for pair in pairs if self._ends(pair) is None)
        if not plan.models or not missing:
            return self.crew.run(Work(session, missing, self._training_of))
        problem = self.crew.problem(self._training)
        found = trained_ends.given(plan.models, self._training, problem)
        trained_ends.write(found, problem, self.folder, (*plan.models_of(0), plan.told_of(0)))
        return None

    def _check_ends(self, session: Session, pairs: range) -> None:
        """Raises InputError where an end of a cell that is not done is not what was written."""
        for pair in sorted({cell.pair for cell in self._todo(pairs)}):
            plan = self.plan
            trained_ends.check_whole(plan.models_of(pair), plan.told_of(pair), session.folder)

    def _training_of(self, pair: int) -> trained_ends.TrainEnds:
        """Returns the task to train the ends of a pair."""
        plan = self.plan
        spec = decided_as(plan.ends_spec(pair), self._training)
        return trained_ends.TrainEnds(spec, plan.models_of(pair), plan.told_of(pair))

    def _settle(self, session: Session, pairs: range) -> str | None:
        """Decides the backends of methods, each by its first cell that is to be searched."""
        first = {cell.method: cell for cell in reversed(list(self._todo(pairs)))}
        cells = tuple(cell for name, cell in first.items() if not self._is_decided(name))
        return self.crew.run(Work(session, cells, self._settling_of))

    def _settling_of(self, cell: MethodCell) -> Settle:
        """Returns the task to decide the backend of a cell's method by this cell."""
        return Settle(self._spec_of(cell), self.place_of(cell), self.plan.models_of(cell.pair))

    def _is_decided(self, name: str) -> bool:
        """Returns whether the backend of a method is known, by the first cell that tells it."""
        cells = (cell for cell in self.plan.cells(self.folder) if cell.method == name)
        for cell in cells if name not in self._decided else ():
            spec = cell.run.load_spec() if check_regular(cell.run.spec) else None
            if spec is not None and "auto" not in (spec.search.batching, spec.mini_batches):
                self._decided[name] = spec
                break
        return name in self._decided

    def _search(self, session: Session, pairs: range) -> str | None:
        """Runs the cells of pairs, and ends those that have no ends to begin with."""
        for cell in (cell for pair in pairs for cell in self._of_pair[pair]):
            told = self._ends(cell.pair)
            if told is not None and not told.trained and not self.has_ended(cell):
                self._end_without_ends(cell, session, told.sentence)
        return self.crew.run(Work(session, tuple(self._todo(pairs)), self._task_of, self.note))

    def _todo(self, pairs: range) -> Iterator[MethodCell]:
        """Yields the cells of pairs that are to be searched or measured, pair by pair."""
        for pair in pairs:
            told = self._ends(pair)
            if told is not None and told.trained:
                yield from (cell for cell in self._of_pair[pair] if not self._is_done(cell))

    def _end_without_ends(self, cell: MethodCell, session: Session, why: str) -> None:
        """Writes the end of a search that has no ends. Raises InputError and SaveError."""
        written_spec(cell.run, self._spec_of(cell), self.folder)
        with writer_of(cell.run, session.desk) as writer:
            writer.record(RunFinished(Outcome.ENDPOINT_NOT_TRAINED, why, NO_ENDS), 0.0)
        self.note(cell)

    def _task_of(self, cell: MethodCell) -> Search:
        """Returns the search in a cell."""
        return Search(
            self._spec_of(cell),
            self.place_of(cell),
            self.plan.models_of(cell.pair),
            partial(path_evaluated, points=self.plan.points),
        )

    def _spec_of(self, cell: MethodCell) -> Spec:
        """Returns the spec of a cell, with the backend of its method as far as that is known.

        All pairs of a method are then computed alike.
        """
        spec = self.plan.spec_of(cell.method, cell.pair, self.folder)
        if self._is_decided(cell.method):
            return decided_as(spec, self._decided[cell.method])
        return spec

    def _is_done(self, cell: MethodCell) -> bool:
        """Returns whether a cell has ended for good, and its string is measured if it left one."""
        if not self.has_ended(cell):
            return False
        measured = measurement(Measurement, cell.run)
        return measured is not None or not check_regular(cell.run.string)

    @property
    def is_done(self) -> bool:
        """Whether every cell has ended, and is measured."""
        return all(map(self._is_done, self.plan.cells(self.folder)))


def path_evaluated(run: RunDir, end: RunFinished, cores: int, *, points: int) -> Measurement | None:
    """Returns the numbers of the string that a search has left, or None where it left none.

    So many cores of this machine measure it. Raises InputError where data are missing.
    """
    if not check_regular(run.string):
        return None
    return evaluated(string_file.read(run.string), points, cores)


def start(asked: ComparePlan, folder: Path, crew: Crew) -> Comparison:
    """Returns the comparison in a folder, new or begun before, which a crew is to run.

    Raises InputError, before anything is written, where a method does not fit the problem, or the
    folder holds another comparison.
    """
    return prepared(plan_for(asked, folder), folder, crew)


def prepared(plan: ComparePlan, folder: Path, crew: Crew) -> Comparison:
    """Returns the comparison of a plan, and writes the plan as it was decided.

    Raises InputError where it cannot run.
    """
    plan.check(folder)
    own = without_ends(plan.ends_spec(0)) if plan.models else plan.ends_spec(0)
    searches = (plan.spec_of(name, 0, folder) for name in plan.names)
    training = crew.decide(own, searches)
    if plan.models:
        trained_ends.given(plan.models, training, crew.problem(training))
    update = {"device": training.device, "workers": training.workers}
    decided = replaced(plan, spec=plan.spec.model_copy(update=update))
    keep(decided, read_plan(folder), folder, COMPARISON)
    return Comparison(decided, folder, crew, training)
