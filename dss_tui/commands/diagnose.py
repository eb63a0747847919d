"""The command `dss-tui diagnose`: prints the findings of a run without a connection."""

from __future__ import annotations

from dataclasses import asdict

from rich.padding import Padding

from dss_tui.viewing import diagnosis
from dss_tui.viewing.console import Console
from engine.errors import InputError
from engine.record.events import RunFinished, dump_json
from engine.record.finding import find, resume_command
from engine.record.records import finished, read_records


def diagnose(name: str, *, as_json: bool) -> int:
    """Prints why a run did not connect and returns the exit status of its outcome.

    Raises InputError where the run is not found or has not ended.
    """
    run = find(name)
    ended = finished(read_records(run))
    if ended is None:
        raise InputError(
            f"has not ended; `{resume_command(run)}` goes on with it, or wait for it",
            file=run.path,
        )
    if as_json:
        print(dump_json(asdict(ended)))
    else:
        _report(ended)
    return ended.outcome.exit_status


def _report(ended: RunFinished) -> None:
    """Prints the outcome and the diagnosis for a person."""
    console = Console(highlight=False)
    for line in diagnosis.words(ended):
        indent = len(line) - len(line.lstrip())
        console.print(Padding(line.lstrip(), (0, 0, 0, indent)), markup=False)
