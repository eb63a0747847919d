"""What runs of many cells share: how a cell hears commands, where it logs, and how it ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from engine.errors import SaveError
from engine.record.commands import Command
from engine.record.events import Outcome, RunFinished, from_line
from engine.record.lines import last_line
from engine.record.reading import Damaged
from engine.record.rundir import RunDir
from engine.record.unfit import Unfit
from engine.record.writer import RunWriter
from engine.record.writing import open_log
from engine.run.session import logging_to


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
