"""What runs the cells of a sweep: the protocol, and what every crew does with a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.errors import SaveError
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk
from engine.record.sweep_folder import Cell, Plan
from engine.record.writing import replace
from engine.run.loop import Pace
from engine.spec.keys import Spec
from engine.spec.yaml_file import dump

#: The pace of cells, which are short and many: checkpoints and snapshots of progress are rare.
PACE = Pace(checkpoint_s=60.0, progress_s=20.0)
#: The reason in words for which a cell has its backend.
WHY = "as it was decided for the whole sweep"


@dataclass(frozen=True)
class Work:
    """The cells of a sweep that have not ended, and what their crew needs besides."""

    plan: Plan
    """The plan, with everything decided."""
    folder: Path
    """The sweep's folder."""
    cells: tuple[Cell, ...]
    """The cells in the order in which they should begin."""
    desk: Desk
    signals: Signals
    note: Callable[[Cell], None]
    """A function that is called with each cell whose session has ended, from any thread."""

    def hurried(self) -> bool:
        """Returns whether all cells are to stop."""
        return self.signals.received is not None or self.desk.stop.is_set()


class Crew(Protocol):
    """Those who run the cells of a sweep."""

    def run(self, work: Work) -> str | None:
        """Runs the cells until all ended or are to stop, and returns the sentence of a failure.

        Raises InputError and SaveError for what a cell raises, when the others have stopped.
        """


Prepare = Callable[[Plan], tuple[Plan, Crew]]
"""Decides everything about a plan, and returns it with the crew for it. Raises InputError."""


def spec_of_cell(plan: Plan, cell: Cell) -> Spec:
    """Returns the spec in a cell's run.yaml, whose limits may have been changed.

    Writes the file first where it is missing. Raises InputError and SaveError.
    """
    if cell.run.spec.exists():
        return cell.run.load_spec()
    spec = plan.at(cell.level, cell.pair)
    try:
        cell.run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(cell, error) from error
    replace(cell.run.spec, dump(spec).encode())
    return spec


def unwritable(cell: Cell, error: OSError) -> SaveError:
    """Returns the error for a cell whose folder cannot be written."""
    return SaveError(f"{cell.run.path}: cannot be written: {error.strerror}")
