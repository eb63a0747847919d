"""What runs the cells of a folder: this process, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol

from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.run.cells import AnyCell, CellLogs
from engine.spec.keys import Spec


@dataclass(frozen=True)
class Work(Generic[AnyCell]):
    """Cells that have not ended, and what their crew needs besides."""

    folder: Path
    """The folder of all runs, which holds the plan."""
    cells: tuple[AnyCell, ...]
    """The cells in the order in which they should begin. They share a problem."""
    spec_of: Callable[[AnyCell], Spec]
    """Returns the spec of a cell whose run has not begun; the same device and backend for all."""
    ended: Callable[[AnyCell], None]
    """Is called when the session of a cell has ended."""
    desk: Desk
    logs: CellLogs
    signals: Signals

    def hurried(self) -> bool:
        """Returns whether all cells are to stop."""
        return self.signals.received is not None or self.desk.stop.is_set()


class Crew(Protocol):
    """Those who run cells."""

    def run(self, work: Work[AnyCell]) -> str | None:
        """Runs the cells until all ended or are to stop, and returns the sentence of a failure.

        Raises InputError and SaveError for what a cell raises, when the others have stopped.
        """
