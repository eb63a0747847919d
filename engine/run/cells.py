"""What runs of many cells share: their specs, writers and logs, a session, and how one ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from engine.errors import SaveError
from engine.record.commands import Command
from engine.record.events import Outcome, RunFinished, from_line
from engine.record.lines import last_line
from engine.record.reading import Damaged, check_regular
from engine.record.rundir import RunDir
from engine.record.signals import Signals
from engine.record.sweep_tables import ENDINGS
from engine.record.unfit import Unfit
from engine.record.writer import RunWriter
from engine.record.writing import made_folder, open_log, replace
from engine.run.loop import Pace
from engine.run.session import Ended, logging_to, run_session
from engine.spec.keys import Spec
from engine.spec.trust import check_of_plan
from engine.spec.yaml_file import dump
from engine.workers.pool import Workers

#: The pace of cells, which are short and many: checkpoints and snapshots of progress are rare.
PACE = Pace(checkpoint_s=60.0, progress_s=20.0)
#: The seconds between two looks of a paused cell at its commands.
PAUSED_CELL_S = 0.5
#: The reason in words for which a cell has its backend.
WHY = "as it was decided for all runs of the folder"


class CellOfRun(Protocol):
    """One of the runs of a folder."""

    @property
    def run(self) -> RunDir:
        """Its run directory."""

    def __hash__(self) -> int:
        """Returns a hash, since results are kept by cells."""


AnyCell = TypeVar("AnyCell", bound=CellOfRun)


def ending(run: RunDir) -> RunFinished | None:
    """Returns the event that ended a run, or None where it has not ended or was stopped."""
    try:
        line = last_line(run.events)
        record = from_line(line) if line is not None else None
    except (Damaged, Unfit):
        return None
    if record is None or not isinstance(record.event, RunFinished):
        return None
    return None if record.event.outcome is Outcome.STOPPED else record.event


def ended_for_good(run: RunDir) -> RunFinished | None:
    """Returns the event that ended a run that is not to be run again, or None.

    A run in which the engine failed is run again.
    """
    end = ending(run)
    return end if end is not None and end.outcome in ENDINGS else None


class Wishes(Protocol):
    """What all cells together are asked for."""

    stop: threading.Event
    """The event that is set once all cells are to stop."""

    @property
    def paused(self) -> bool:
        """Whether all cells are to pause."""

    def look(self) -> None:
        """Hears what is asked for now, unless that was done a moment ago."""


class CellWriter(RunWriter):
    """The writer of a cell, which also hears what all cells together are asked for."""

    def __init__(self, run: RunDir, wishes: Wishes) -> None:
        """Holds a cell's run."""
        super().__init__(run)
        self._wishes = wishes
        self._paused = False
        """Whether the cell was told that the whole sweep pauses."""

    def new_commands(self) -> list[Command]:
        """Returns the commands since the last call, with those to all cells."""
        commands = super().new_commands()
        self._wishes.look()
        if self._wishes.paused != self._paused:
            self._paused = self._wishes.paused
            commands.append("pause" if self._paused else "continue")
        return [*commands, "stop"] if self._wishes.stop.is_set() else commands


def writer_of(run: RunDir, wishes: Wishes) -> CellWriter:
    """Returns the writer of a cell's run.

    Raises InputError where another process runs it, and SaveError where its folder cannot be
    written.
    """
    try:
        return CellWriter(run, wishes)
    except OSError as error:
        raise SaveError(f"{run.path}: cannot be written: {error.strerror}") from error


def spec_of_cell(run: RunDir, planned: Spec) -> Spec:
    """Returns the spec in a cell's run.yaml, whose limits may have been changed, or the plan.

    Raises InputError, also where the file names other functions.
    """
    if not check_regular(run.spec):
        return planned
    found = run.load_spec()
    check_of_plan(found, planned, run.spec)
    return found


def written_spec(run: RunDir, planned: Spec, folder: Path) -> Spec:
    """Returns what `spec_of_cell` does, and writes the file where it is missing.

    `folder` is that of all runs, which holds the cell's. Raises InputError and SaveError.
    """
    made_folder(run.path, folder)
    spec = spec_of_cell(run, planned)
    if not check_regular(run.spec):
        replace(run.spec, dump(spec).encode())
    return spec


def session_of_cell(
    writer: RunWriter,
    spec: Spec,
    pool: Workers,
    signals: Signals,
    wait: Callable[[float], None],
    hurried: Callable[[], bool],
) -> Ended:
    """Runs a cell to the end of its session, whose devices others may share.

    `wait` waits some seconds while the cell pauses. Once `hurried` returns True, a stop does no
    more than to write the checkpoint. Raises InputError and SaveError.
    """
    return run_session(
        writer,
        spec,
        pool,
        signals,
        pace=PACE,
        wait=lambda seconds: wait(max(seconds, PAUSED_CELL_S)),
        hurried=hurried,
        why=WHY,
    )


class CellLogs(logging.Handler):
    """The handler that writes what a thread logs to the engine.log of the cell that it runs."""

    def __init__(self) -> None:
        """Makes the handler; no thread runs a cell yet."""
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._here = threading.local()

    @contextmanager
    def of(self, run: RunDir) -> Iterator[None]:
        """Makes this thread's log go to a cell's file within the block."""
        self._here.log = run.log
        try:
            yield
        finally:
            del self._here.log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record to the file of the thread's cell, if it runs one."""
        path: Path | None = getattr(self._here, "log", None)
        if path is not None:
            # A log that cannot be written, as on a full disk, must not hide the failure itself.
            with suppress(OSError, SaveError), open_log(path) as file:
                file.write(self.format(record) + "\n")


@contextmanager
def logging_cells(path: Path) -> Iterator[CellLogs]:
    """Sends the engine's log to a file of all cells and to each cell's own within the block."""
    cells, log = CellLogs(), logging.getLogger("engine")
    with logging_to(path):
        log.addHandler(cells)
        try:
            yield cells
        finally:
            log.removeHandler(cells)
