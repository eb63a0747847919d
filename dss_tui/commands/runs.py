"""The commands `dss-tui ls` and `dss-tui stop`: list the runs and sweeps, and stop one."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dss_tui.viewing.console import Console
from dss_tui.viewing.run_columns import BY_KEY
from engine.errors import InputError
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.finding import (
    find_any,
    resume_command,
    runs_and_sweeps,
    runs_folder,
)
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.runs import Summary
from engine.record.sweep_summary import summarize_any

#: The seconds to wait for an engine to stop, which takes a round of training and a checkpoint.
STOP_WAIT_S = 60.0

#: The columns of `dss-tui ls`.
LISTED = ("name", "state", "beads", "peak/level", "age", "size", "note")


def ls() -> int:
    """Prints a line for each run and each sweep under the runs folder, oldest first."""
    found = runs_and_sweeps()
    if not found:
        print(f"no runs in {runs_folder()}; `dss-tui run digits` makes one", file=sys.stderr)
        return 0
    console = Console() if sys.stdout.isatty() else Console(width=200)
    summaries = [summarize_any(run) for run in found]
    console.print(_table(summaries))
    for summary in summaries:
        if summary.state == "lost":
            print(f"{summary.name}: {summary.life.words}", file=sys.stderr)
    for damaged in (fault for summary in summaries for fault in summary.damaged):
        print(damaged, file=sys.stderr)
    return 0


def _table(summaries: Sequence[Summary]) -> Table:
    """Returns a table with a row for each run."""
    table = Table(box=None, pad_edge=False)
    titles = {"name": "run", "peak/level": "max peak / level"}
    columns = [BY_KEY[key] for key in LISTED]
    for column in columns:
        title = titles.get(column.key, column.key)
        table.add_column(title, justify="right" if column.right else "left")
    for summary in summaries:
        table.add_row(*(Text(column.cell(summary)) for column in columns))
    return table


def stop(name: str) -> int:
    """Asks a run or a sweep to stop, waits until it has, and returns 0.

    Raises InputError where it is not running.
    """
    run = find_any(name)
    if not is_live(run):
        raise InputError("is not running; nothing to stop", file=run.path)
    send(run, "stop")
    return _wait_until_stopped(run)


def _wait_until_stopped(run: RunDir) -> int:
    """Waits until an engine has ended, at most STOP_WAIT_S, says how, and returns 0."""
    until = time.monotonic() + STOP_WAIT_S
    while is_live(run):
        if time.monotonic() > until:
            print(f"{run.path}: asked to stop; it is still finishing its step", file=sys.stderr)
            return 0
        time.sleep(0.1)
    print(f"{run.path}: {_ended(run)}")
    return 0


def _ended(run: RunDir) -> str:
    """Returns how a run or a sweep has ended, and what goes on with it."""
    found = summarize_any(run)
    if found.pairs is not None and found.state != "ended":
        ended, pairs = found.pairs
        return f"stopped; {ended} of {pairs} searches have ended; `{resume_command(run)}` goes on"
    if found.state == str(Outcome.STOPPED):
        return f"stopped; `{resume_command(run)}` goes on"
    return f"it had ended by itself: {found.state}"
