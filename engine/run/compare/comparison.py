"""Runs several methods between the same ends, where each cell is a run directory of its own.

Cells run one after another, so that each has the machine to itself and its running time is its own.
A comparison that was killed goes on: ends that are there are taken, cells that have ended are kept,
and the one that was under way resumes from its checkpoint.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from time import sleep

from engine.methods.aligned import check_alignable
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
from engine.record.events import Outcome, RunFinished, dump_json
from engine.record.finding import COMPARISON
from engine.record.findings import Totals
from engine.record.reading import check_regular, read_json
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End
from engine.record.sweep_folder import measurement_path, write_plan
from engine.record.writer import RunWriter
from engine.record.writing import replace
from engine.run import trained_ends as ends
from engine.run.cells import ending, logging_cells, writer_of, written_spec
from engine.run.compare.evaluator import evaluated
from engine.run.folder_of_runs import FolderOfRuns, planned, starting
from engine.run.prepare import Prepared, prepare
from engine.run.session import run_written
from engine.spec.ends import without_ends
from engine.spec.keys import Spec
from engine.workers.pool import open_pool

log = logging.getLogger("engine")

#: The totals of a search that had no ends to begin with.
NO_ENDS = Totals(0, 0, 0, 0, 0, (), 0, math.nan, math.nan, 0.0)


class Comparison(FolderOfRuns[MethodCell, Compared, MethodRow]):
    """A comparison of methods in its folder, which holds its plan."""

    def __init__(self, plan: ComparePlan, folder: Path, prepared: Prepared) -> None:
        """Reads how far it has come. The ends are trained with what was `prepared` for them."""
        self.plan, self._prepared = plan, prepared
        super().__init__(plan, folder)

    def ends(self) -> list[EndsOfPair | None]:
        """Returns what is told of the ends of each pair, None where they are not there yet."""
        pairs = range(self.plan.pairs)
        return [ends.read(self.plan.ends_of(self.folder, pair)) for pair in pairs]

    def run(self, signals: Signals) -> End:
        """Runs until every cell has ended, somebody asks to stop, or the engine fails in a cell.

        Raises InputError where another process runs it, or where a cell cannot run, and SaveError.
        """
        return self.held_session(signals, self.working(signals))

    def working(self, signals: Signals) -> Callable[[Desk], str | None]:
        """Returns what a session does at its desk: it runs the cells that have not ended."""
        return lambda desk: self._work(desk, signals)

    def tables(self, rows: list[MethodRow], results: list[Compared]) -> dict[str, str]:
        """See `FolderOfRuns`: a line for each cell, a line for each method, and both."""
        return {
            "compare.csv": csv_of_cells(results),
            "methods.csv": csv_of_methods(rows),
            "compare.json": json_of_comparison(rows, results, self.ends()),
        }

    # ------------------------------------------------------------ at work

    def _work(self, desk: Desk, signals: Signals) -> str | None:
        """Runs the cells that have not ended, and returns the sentence of a failure, or None."""

        def stopped() -> bool:
            desk.look()
            return signals.received is not None or desk.stop.is_set()

        with logging_cells(self.folder / "engine.log") as logs:
            desk.begin()
            for pair in range(self.plan.pairs):
                if stopped() or not self._make_ends(pair, stopped):
                    return None
                for cell in self.plan.cells(self.folder):
                    if cell.pair != pair or self._is_done(cell):
                        continue
                    while desk.paused and not stopped():
                        sleep(0.1)
                    if stopped():
                        return None
                    with logs.of(cell.run):
                        failure = self._run(cell, desk, signals, stopped)
                    self.note(cell)
                    if failure is not None:
                        return failure
        return None

    def _make_ends(self, pair: int, stopped: Callable[[], bool]) -> bool:
        """Trains or reads the ends of a pair where they are not there; False once stopped."""
        files = self.plan.ends_of(self.folder, pair)
        if ends.read(files) is not None:
            return True
        problem, spec = self._prepared.backend.problem, self._prepared.spec
        if self.plan.models:
            found: ends.Trained | None = ends.given(self.plan.models, spec, problem)
        else:
            own = spec.model_copy(update={"seed": self.plan.spec.seed + pair})
            with open_pool(self._prepared.backend, own) as pool:
                found = ends.trained(own, pool, stopped)
        if found is None:
            return False
        ends.write(found, problem, files)
        return True

    def _run(
        self, cell: MethodCell, desk: Desk, signals: Signals, stopped: Callable[[], bool]
    ) -> str | None:
        """Runs a cell to the end of its session, and returns the sentence of a failure, or None.

        Its string is measured where the search has ended. Raises InputError and SaveError.
        """
        written_spec(cell, self._spec_of, self.folder)
        with writer_of(cell, desk) as writer:
            if ending(cell.run) is None:
                failure = self._search(cell, writer, signals, stopped)
                if failure is not None:
                    return failure
        if ending(cell.run) is not None and check_regular(cell.run.string):
            found = evaluated(string_file.read(cell.run.string), self.plan.points)
            replace(measurement_path(cell.run), (dump_json(found) + "\n").encode())
        return None

    def _search(
        self, cell: MethodCell, writer: RunWriter, signals: Signals, stopped: Callable[[], bool]
    ) -> str | None:
        """Searches in a cell, and returns the sentence of a failure, or None."""
        told = ends.read(self.plan.ends_of(self.folder, cell.pair))
        assert told is not None
        if not told.trained:
            end = RunFinished(Outcome.ENDPOINT_NOT_TRAINED, told.sentence, NO_ENDS)
            writer.record(end, 0.0)
            return None
        ended = run_written(writer, signals, run_factories=True, hurried=stopped)
        if ended.outcome is Outcome.FAILED:
            return f"{cell.run.path}: {ended.sentence}"
        return None

    def _spec_of(self, cell: MethodCell) -> Spec:
        """Returns the spec of a cell.

        The backend is that of the method's first cell, so that all pairs are computed alike.
        """
        spec = self.plan.spec_of(cell.method, cell.pair, self.folder)
        first = RunDir(cell.run.path.parent / "pair-0000")
        if spec.search.batching == "auto" and check_regular(first.spec):
            search = {"batching": first.load_spec().search.batching}
            spec = spec.model_copy(update={"search": spec.search.model_copy(update=search)})
        return spec

    def _is_done(self, cell: MethodCell) -> bool:
        """Returns whether a cell has ended for good, and its string is measured if it left one."""
        if not self.has_ended(cell):
            return False
        measured = read_json(Measurement, measurement_path(cell.run))
        return measured is not None or not check_regular(cell.run.string)

    @property
    def is_done(self) -> bool:
        """Whether every cell has ended, and is measured."""
        return all(map(self._is_done, self.plan.cells(self.folder)))


def start(asked: ComparePlan, folder: Path) -> Comparison:
    """Returns the comparison in a folder, new or begun before.

    Raises InputError, before anything is written, where a method does not fit the problem, or the
    folder holds another comparison.
    """
    return _prepared(plan_for(asked, folder), folder)


def _prepared(plan: ComparePlan, folder: Path) -> Comparison:
    """Returns the comparison of a plan, and writes the plan as it was decided.

    Raises InputError where it cannot run.
    """
    plan.check(folder)
    own = plan.ends_spec(0)
    if plan.models:
        own = without_ends(own)
    prepared = prepare(own)
    for name in plan.names:
        check_alignable(plan.spec_of(name, 0, folder), prepared.backend.problem)
    if plan.models:
        ends.given(plan.models, prepared.spec, prepared.backend.problem)
    update = {"device": prepared.spec.device, "workers": prepared.spec.workers}
    spec = plan.spec.model_copy(update=update)
    decided = ComparePlan(spec, plan.variants, plan.pairs, plan.models, plan.points)
    begun = read_plan(folder)
    if begun is None or begun.told() != decided.told():
        write_plan(decided.text(), folder, COMPARISON)
    return Comparison(decided, folder, prepared)


def run_folder(desk: Desk, signals: Signals, *, run_factories: bool = False) -> End:
    """Runs the comparison whose plan the folder of a desk holds, or goes on, and writes its tables.

    The caller holds it. Raises InputError where it cannot run, and SaveError.
    """
    with starting(desk):
        begun = read_plan(desk.folder)
        plan = planned(begun, desk.folder, run_factories=run_factories)
        comparison = _prepared(plan, desk.folder)
    try:
        return comparison.session(desk, signals, comparison.working(signals))
    finally:
        comparison.write_tables()
