"""The command `dss-tui resume` on many runs: a sweep, a comparison of methods, or components."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dss_tui.commands.cells import Hire, Tell, run_here
from engine.errors import InputError
from engine.record.finding import is_comparison, is_components
from engine.record.lock import is_live
from engine.record.ownership import check_going_on_with_plan
from engine.record.rundir import RunDir

if TYPE_CHECKING:
    from engine.run.folder_of_runs import FolderOfRuns


def resume_here(folder: RunDir, asked: argparse.Namespace) -> int:
    """Goes on with many runs in this process, prints lines, and returns the exit status.

    It is that of the command that began them. Raises InputError where they cannot go on.
    """
    _check(folder, asked)
    return run_here(
        partial(_begun, folder.path, run_factories=asked.run_factories),
        _teller(folder),
        None,
        as_json=asked.json,
    )


def _begun(folder: Path, hire: Hire, *, run_factories: bool) -> FolderOfRuns[Any, Any, Any]:
    """Returns the runs that a folder holds the plan of."""
    from engine.run.folder_of_runs import planned
    from engine.run.many import prepare_of

    prepare, at_once = prepare_of(folder)
    plan = planned(folder, run_factories=run_factories)
    return prepare(plan, folder, hire(at_once))


def launch(folder: RunDir, asked: argparse.Namespace) -> bool:
    """Launches an engine on many runs, unless one is at work on them, and returns whether it did.

    Raises InputError where they cannot go on.
    """
    from dss_tui.viewing import session

    _check(folder, asked)
    if is_live(folder):
        return False
    session.launch(folder, trusted=asked.run_factories)
    return True


def _check(folder: RunDir, asked: argparse.Namespace) -> None:
    """Raises InputError for limits, which are one run's, and where the user has to agree first."""
    if asked.overrides:
        raise InputError(
            "changes the limits of one run; resume one in its folder below this one, or begin "
            "another sweep",
            file=folder.path,
            key="--set",
        )
    check_going_on_with_plan(folder, run_factories=asked.run_factories, not_mine=asked.not_mine)


def _teller(folder: RunDir) -> Tell:
    """Returns what prints the tables of the runs in a folder."""
    if is_comparison(folder.path):
        from dss_tui.commands import compare

        return compare.tell
    if is_components(folder.path):
        from dss_tui.commands import components

        return components.tell
    from dss_tui.commands import sweep

    return sweep.tell
