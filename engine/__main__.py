"""The command `python -m engine DIR` runs or resumes the run, or the many runs, of a folder.

It does so in this process. `python -m engine DIR AT_ONCE` says how many of many runs are under way
at a time, and `python -m engine DIR ADDRESS` hands them to the workers of a cluster. With
`--run-factories` behind, functions that the folder names are run whoever wrote it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.idle_threads import sleep_soon
from engine.record.finding import is_sweep, placed
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, End, exit_status_of, held
from engine.spec.trust import RUN_FACTORIES


def main(arguments: list[str]) -> int:
    """Runs the folder in `arguments` and returns the exit status.

    The status is 0 where the string connects, 3 where the search ended without a connection, 2 for
    bad input, 1 for an internal failure, and 128 + N where signal N ended it.
    """
    trusted = arguments[-1:] == [RUN_FACTORIES]
    match arguments[: len(arguments) - trusted]:
        case [folder, crew] if is_sweep(Path(folder)):
            return _sweep(placed(Path(folder)).path, crew, trusted=trusted)
        case [folder] if is_sweep(Path(folder)):
            return _sweep(placed(Path(folder)).path, None, trusted=trusted)
        case [folder]:
            return _run(Path(folder), trusted=trusted)
    print(f"usage: python -m engine DIR [AT_ONCE | ADDRESS] [{RUN_FACTORIES}]", file=sys.stderr)
    return 2


def _run(folder: Path, *, trusted: bool) -> int:
    """Runs a run directory and returns the exit status."""
    with Signals() as signals:
        from engine.run.session import exit_status, refuse, run

        directory = placed(folder)
        try:
            return exit_status(run(directory, signals, run_factories=trusted))
        except (InputError, SaveError) as error:
            print(error, file=sys.stderr)
            refuse(directory, error)
            return exit_status_of(error)


def _sweep(folder: Path, crew: str | None, *, trusted: bool) -> int:
    """Runs many runs, and returns the status.

    `crew` is the number of cells at a time, None for as many as is usual, or the address of a
    cluster.
    """
    with Signals() as signals:
        try:
            with held(folder):  # before the imports, which take seconds on a busy machine
                desk = Desk(folder)
                return _many(desk, signals, crew, trusted=trusted).exit_status
        except (InputError, SaveError) as error:
            print(error, file=sys.stderr)
            return exit_status_of(error)


def _many(desk: Desk, signals: Signals, crew: str | None, *, trusted: bool) -> End:
    """Runs what the plan in a desk's folder asks for, and returns how that has ended."""
    from engine.run.crews import crew_of
    from engine.run.folder_of_runs import run_planned
    from engine.run.many import prepare_of

    prepared, at_once = prepare_of(desk.folder)
    return run_planned(desk, signals, crew_of(crew, at_once), prepared, run_factories=trusted)


if __name__ == "__main__":
    sleep_soon()
    sys.exit(main(sys.argv[1:]))
