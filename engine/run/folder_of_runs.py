"""Many runs in one folder, whatever they are: how far they have come, and a session on them.

A sweep, a comparison of methods and components are such folders. They differ in which cells they
run, and in the tables that they make of how these ended.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from engine.errors import InputError, SaveError
from engine.record.events import Outcome, RunFinished
from engine.record.finding import resume_command
from engine.record.plans import AnyPlan, plan_file, read_any_plan
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End, exit_status_of, held
from engine.record.sweep_folder import measurement_path
from engine.record.sweep_tables import ENDINGS
from engine.record.writing import replace
from engine.run.cells import AnyCell, ending, logging_cells
from engine.run.crew import Crew, Session
from engine.spec.trust import check_run

log = logging.getLogger("engine")


class ResultOfRun(Protocol):
    """The numbers of a cell that has ended."""

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""

    @property
    def connected(self) -> bool:
        """Whether its ends are connected."""


AnyResult = TypeVar("AnyResult", bound=ResultOfRun)
AnyRow_co = TypeVar("AnyRow_co", covariant=True)


class PlanOfRuns(Protocol[AnyCell, AnyResult, AnyRow_co]):
    """What the runs of a folder are planned by."""

    def cells(self, folder: Path, /) -> Iterator[AnyCell]:
        """Yields all cells that may run."""

    def result_of(self, cell: AnyCell, end: RunFinished, /) -> AnyResult | None:
        """Returns the numbers of a cell that has ended, or None before they are known."""

    def rows(self, folder: Path, results: Sequence[AnyResult], /) -> Sequence[AnyRow_co]:
        """Returns the rows of the tables."""

    def left(self, folder: Path, results: Sequence[AnyResult], /) -> int:
        """Returns the number of cells that are to run and have not ended for good."""


class FolderOfRuns(ABC, Generic[AnyCell, AnyResult, AnyRow_co]):
    """Many runs in their folder, as far as they have come."""

    def __init__(
        self, plan: PlanOfRuns[AnyCell, AnyResult, AnyRow_co], folder: Path, crew: Crew
    ) -> None:
        """Reads how far the runs of a folder have come, which a crew is to run."""
        self._plan, self.folder, self.crew = plan, folder, crew
        self._ended: dict[AnyCell, AnyResult] = {}
        self._read()

    @property
    def cells(self) -> int:
        """The number of cells that are to run, as far as that is known."""
        return self.count() + self._plan.left(self.folder, self.results())

    def count(self, *outcomes: Outcome) -> int:
        """Returns how many cells have ended so far, or how many of them with one of `outcomes`."""
        ended = list(self._ended.values())  # at one go: threads add to it
        return sum(result.outcome in (outcomes or ENDINGS) for result in ended)

    @property
    def unfinished(self) -> str:
        """A sentence on the cells that have not ended."""
        left = self._plan.left(self.folder, self.results())
        return f"{left} of {self.cells} cells have not ended; {self.goes_on}"

    @property
    def goes_on(self) -> str:
        """A clause that names the command which goes on."""
        return f"`{resume_command(RunDir(self.folder))}` goes on"

    def results(self) -> list[AnyResult]:
        """Returns how the cells ended that have, in the order of the plan."""
        ended = dict(self._ended)
        return [ended[cell] for cell in self._plan.cells(self.folder) if cell in ended]

    def write_tables(self) -> list[AnyRow_co]:
        """Writes the tables into the folder, and returns their rows. Raises SaveError."""
        results = self.results()
        rows = list(self._plan.rows(self.folder, results))
        for name, text in self.tables(rows, results).items():
            replace(self.folder / name, text.encode())
        return rows

    @abstractmethod
    def tables(self, rows: list[Any], results: list[AnyResult]) -> Mapping[str, str]:
        """Returns the content of each table's file, by its name."""

    def note(self, cell: AnyCell) -> None:
        """Reads how a cell has ended, if it has, and keeps that."""
        self._ended.pop(cell, None)
        end = ending(cell.run)
        result = None if end is None else self._result_of(cell, end)
        if result is not None:
            self._ended[cell] = result

    def _result_of(self, cell: AnyCell, end: RunFinished) -> AnyResult | None:
        """Returns the numbers of a cell that has ended, whose damaged measurement is removed."""
        try:
            return self._plan.result_of(cell, end)
        except Damaged as damaged:
            if damaged.path != measurement_path(cell.run) or not check_regular(damaged.path):
                raise
            log.warning("%s is damaged, and measured again", damaged.path)
            damaged.path.unlink()
            return self._plan.result_of(cell, end)

    def _read(self) -> None:
        """Reads how all cells have ended."""
        for cell in self._plan.cells(self.folder):
            self.note(cell)

    def has_ended(self, cell: AnyCell) -> bool:
        """Returns whether a cell has ended for good."""
        return cell in self._ended and self._ended[cell].outcome in ENDINGS

    # ------------------------------------------------------------ a session

    @abstractmethod
    def work(self, session: Session) -> str | None:
        """Runs what has not ended, and returns the sentence of a failure, or None.

        Raises InputError and SaveError.
        """

    def run(self, signals: Signals) -> End:
        """Holds the folder for a session, as `session` has it.

        Raises InputError where another process holds it too.
        """
        with held(self.folder):
            return self.session(Desk(self.folder), signals)

    def session(self, desk: Desk, signals: Signals) -> End:
        """Runs cells until all have ended, somebody asks to stop, or the engine fails in one.

        The caller holds the folder and has a desk on it. Where the session ends early, the cells
        that are under way are stopped with their checkpoints written. What a cell raises is told at
        the desk and raised again when the others have stopped: InputError where another process
        runs it, or its checkpoint cannot be read; SaveError where its folder cannot be written.
        """
        try:
            end = self._end(self._logged(desk, signals), signals)
        except (InputError, SaveError) as error:
            desk.close(End(str(error), exit_status_of(error)))
            raise
        desk.close(end)
        return end

    def _logged(self, desk: Desk, signals: Signals) -> str | None:
        """Does the work of a session with the engine's log in the folder."""
        self._read()
        if self.is_done or signals.received is not None:
            return None
        with logging_cells(self.folder / "engine.log") as logs:
            desk.begin()
            return self.work(Session(self.folder, desk, logs, signals))

    def place_of(self, cell: AnyCell) -> str:
        """Returns the place of a cell's run directory below the folder, with slashes."""
        return cell.run.path.relative_to(self.folder).as_posix()

    def _end(self, failure: str | None, signals: Signals) -> End:
        """Returns how a session has ended that was not refused."""
        if failure is not None:
            return End(failure, 1)
        if self.is_done:
            return End(self.done, 0)
        return End(self.unfinished, 3 if signals.received is None else 128 + signals.received)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._plan.left(self.folder, self.results())

    @property
    def done(self) -> str:
        """The sentence of a session after which nothing is left to do."""
        connected = sum(result.connected for result in self.results())
        return f"Every cell has ended, {connected} connected."


Prepare = Callable[[Any, Path, Crew], FolderOfRuns[Any, Any, Any]]
"""Returns the runs of a plan in a folder, and writes the plan as a crew's machine decides it."""


def run_planned(
    desk: Desk,
    signals: Signals,
    crew: AbstractContextManager[Crew],
    prepared: Prepare,
    *,
    run_factories: bool = False,
) -> End:
    """Runs what the plan in the folder of a desk asks for, or goes on, and writes its tables.

    The caller holds the folder. Functions that the plan names are run where the folder is this
    user's own, or with `run_factories`.

    Args:
        desk: The desk on the folder.
        signals: What may ask this process to end.
        crew: Gives those who run the cells (`crews.crew_of`).
        prepared: Returns the runs of a plan, and writes the plan as it was decided.
        run_factories: Whether functions are run that somebody else may have put there.

    Raises:
        InputError: It cannot run, which is told at the desk too.
        SaveError: A file cannot be written.
    """
    with ExitStack() as stack:
        with starting(desk):
            plan = planned(desk.folder, run_factories=run_factories)
            runs = prepared(plan, desk.folder, stack.enter_context(crew))
        try:
            return runs.session(desk, signals)
        finally:
            runs.write_tables()


@contextmanager
def starting(desk: Desk) -> Iterator[None]:
    """Tells at a desk what cannot run, where that raises InputError within the block."""
    try:
        yield
    except InputError as error:
        desk.close(End(f"It cannot run: {error}.", exit_status_of(error)))
        raise


def planned(folder: Path, *, run_factories: bool) -> AnyPlan:
    """Returns the plan in a folder.

    Raises InputError where there is none, and where it names functions that somebody else may have
    put there and `run_factories` is false.
    """
    plan = read_any_plan(folder)
    if plan is None:
        raise InputError("holds no plan of runs", file=folder)
    check_run(plan.spec, plan_file(folder), run_factories=run_factories)
    return plan
