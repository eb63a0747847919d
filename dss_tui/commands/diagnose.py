"""The command `dss-tui diagnose`: prints the findings of a run without a connection."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.padding import Padding

from engine.errors import InputError
from engine.record.events import Diagnosis, Outcome, RunFinished, dump_json
from engine.record.finding import find, resume_command
from engine.record.records import finished, read_records
from engine.spec.level import in_brackets

#: The number of lines of the worst peak's history that are printed.
LISTED = 12


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
    console.print(ended.sentence, markup=False)
    found = ended.diagnosis
    if found is None:
        if ended.outcome is not Outcome.CONNECTED:
            console.print("No whole string was measured, so there is no more to say.")
        return
    for line in _facts(found):
        console.print(Padding(line, (0, 0, 0, 2)), markup=False)
    console.print(found.words, markup=False)


def _facts(found: Diagnosis) -> list[str]:
    """Returns the lines with the numbers of a diagnosis."""
    lines = [
        f"lowest barrier  {found.barrier:.6g} = {found.barrier / found.level:.4g} × level"
        f"{in_brackets(found.level, found.tolerance)}, between "
        f"beads {found.left} and {found.right} at t = {found.t:.3f}, depth {found.depth}"
    ]
    if found.stuck_level is not None:
        lines.append(f"stuck level     {found.stuck_level:.6g}")
    lines += [f"retries         {retry}" for retry in found.retries]
    lines += [f"gave up         {reason}" for reason in found.reasons]
    lines.append("worst peak as the search went on:")
    step = max(1, len(found.trace) // LISTED)
    for beads, depth, place, loss in found.trace[::step]:
        lines.append(
            f"  {beads:4.0f} beads  depth {depth:3.0f}  at {place:4.0%} of the string  {loss:.5g}"
        )
    return lines
