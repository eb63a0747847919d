"""The commands `dss-tui ls` and `dss-tui stop`: list the runs, and stop one."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from dss_tui.viewing.words import age, bytes_of, multiple
from engine.errors import InputError
from engine.record.commands import send
from engine.record.events import Outcome
from engine.record.finding import find, resume_command, runs, runs_folder
from engine.record.lock import is_live
from engine.record.rundir import RunDir
from engine.record.runs import Summary, summarize

#: The seconds to wait for an engine to stop, which takes a round of training and a checkpoint.
STOP_WAIT_S = 60.0


def ls() -> int:
    """Prints a line for each run under the runs folder, oldest first."""
    found = runs()
    if not found:
        print(f"no runs in {runs_folder()}; `dss-tui run digits` makes one", file=sys.stderr)
        return 0
    console = Console() if sys.stdout.isatty() else Console(width=200)
    table = Table(box=None, pad_edge=False)
    for title in ("run", "state", "beads", "max peak / level", "age", "size"):
        table.add_column(title, justify="left" if title in ("run", "state") else "right")
    summaries = [summarize(run) for run in found]
    for summary in summaries:
        table.add_row(*_row(summary))
    console.print(table)
    for damaged in (fault for summary in summaries for fault in summary.damaged):
        print(damaged, file=sys.stderr)
    return 0


def _row(run: Summary) -> tuple[str, ...]:
    """Returns the cells of a run's line."""
    peak = multiple(run.peak_over_level, run.tolerance)
    beads = "–" if run.beads is None else str(run.beads)
    return run.name, run.state, beads, peak, age(run.age_s), bytes_of(run.size_bytes)


def stop(name: str) -> int:
    """Asks a run to stop, waits until it has, and returns 0.

    Raises InputError where it is not running.
    """
    run = find(name)
    if not is_live(run):
        raise InputError("is not running; nothing to stop", file=run.path)
    send(run, "stop")
    return _wait_until_stopped(run)


def _wait_until_stopped(run: RunDir) -> int:
    """Waits until a run has ended, at most STOP_WAIT_S, says how, and returns 0."""
    until = time.monotonic() + STOP_WAIT_S
    while is_live(run):
        if time.monotonic() > until:
            print(f"{run.path}: asked to stop; it is still finishing its step", file=sys.stderr)
            return 0
        time.sleep(0.1)
    state = summarize(run).state
    if state == str(Outcome.STOPPED):
        print(f"{run.path}: stopped; `{resume_command(run)}` goes on")
    else:
        print(f"{run.path}: it had ended by itself: {state}")
    return 0
