"""The command `dss-tui resume` on many runs: a sweep, a comparison of methods, or components."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from dss_tui.commands.cells import run_here
from engine.errors import InputError
from engine.record.finding import is_comparison, is_components
from engine.record.lock import is_live
from engine.record.ownership import check_going_on_with_plan
from engine.record.rundir import RunDir
from engine.record.signals import ending_at_once


def resume_here(folder: RunDir, asked: argparse.Namespace) -> int:
    """Goes on with many runs in this process, prints lines, and returns the exit status.

    It is that of the command that began them. Raises InputError where they cannot go on.
    """
    _check(folder, asked)
    with ExitStack() as stack:
        with ending_at_once():
            from engine.run.crews import crew_of
            from engine.run.folder_of_runs import planned
            from engine.run.many import prepare_of

            prepare, at_once = prepare_of(folder.path)
            plan = planned(folder.path, run_factories=asked.run_factories)
            begun = prepare(plan, folder.path, stack.enter_context(crew_of(None, at_once)))
        return run_here(begun, partial(_teller(folder), begun, as_json=asked.json))


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


def _teller(folder: RunDir) -> Callable[..., Any]:
    """Returns what prints the tables of the runs in a folder."""
    if is_comparison(folder.path):
        from dss_tui.commands import compare

        return compare.tell
    if is_components(folder.path):
        from dss_tui.commands import components

        return components.tell
    from dss_tui.commands import sweep

    return sweep.tell
