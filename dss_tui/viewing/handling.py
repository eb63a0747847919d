"""Checks and carries out what a user asks of the runs in a list, and puts it into words."""

from __future__ import annotations

from collections.abc import Sequence

from dss_tui.viewing.words import bytes_of
from engine.errors import InputError
from engine.record.finding import is_sweep, placed, runs_folder
from engine.record.notes import LONGEST
from engine.record.renaming import check_name
from engine.record.rundir import RunDir
from engine.record.runs import Summary

#: The number of runs that the question before they are deleted names.
NAMED = 5

#: The states of a run that an engine holds, or is about to hold.
HELD = ("running", "paused", "starting", "preparing")


def question(runs: Sequence[Summary], held: Sequence[str]) -> str:
    """Returns the question before runs are deleted, with their number and their size.

    `held` are the names of runs that are asked for too, but kept because they run.
    """
    kept = f"\nKept is what runs: {', '.join(held)}" if held else ""
    if len(runs) == 1:
        return f"Delete {runs[0].name} and everything in it?{kept}"
    size = bytes_of(sum(run.size_bytes or 0 for run in runs))
    shown = ", ".join(run.name for run in runs[:NAMED]) + ", …" * (len(runs) > NAMED)
    return f"Delete {len(runs)} runs, {size} in all?\n{shown}{kept}"


def delete(names: Sequence[str]) -> list[str]:
    """Removes the folders of runs, and returns a sentence for each that could not be removed."""
    from dss_tui.viewing import session  # only now, because it loads what the list can do without

    problems = []
    for name in names:
        try:
            session.delete(placed(runs_folder() / name))
        except InputError as error:
            problems.append(str(error))
    return problems


def resume(run: RunDir, *, agreed: bool) -> str:
    """Goes on with a run or a sweep and returns "", or returns why it cannot go on.

    Raises Asked where the user is to agree first and has not `agreed`.
    """
    from dss_tui.viewing import session, sweeps  # only now, as above

    resumed = sweeps.resume if is_sweep(run.path) else session.resume
    return resumed(run, agreed=agreed)


def check_other_name(run: RunDir, name: str) -> None:
    """Raises InputError for a name that a run cannot be given; its own is fine."""
    if name != run.name:
        check_name(run, name)


def check_note(note: str) -> None:
    """Raises InputError for a note that is too long."""
    if len(note) > LONGEST:
        raise InputError(f"the note has {len(note)} characters; at most {LONGEST} are kept")
