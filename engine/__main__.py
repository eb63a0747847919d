"""The command `python -m engine DIR` runs or resumes the run, sweep or comparison of a folder.

It does so in this process. `python -m engine DIR AT_ONCE` says how many cells of a sweep are under
way at a time. With `--run-factories` behind, functions that the folder names are run whoever wrote
it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.record.finding import is_comparison, is_sweep, placed
from engine.record.signals import Signals
from engine.record.sweep_desk import Desk, exit_status_of, held
from engine.spec.trust import RUN_FACTORIES


def main(arguments: list[str]) -> int:
    """Runs the folder in `arguments` and returns the exit status.

    The status is 0 where the string connects, 3 where the search ended without a connection, 2 for
    bad input, 1 for an internal failure, and 128 + N where signal N ended it.
    """
    trusted = arguments[-1:] == [RUN_FACTORIES]
    match arguments[: len(arguments) - trusted]:
        case [folder, at_once] if at_once.isdecimal() and int(at_once):
            return _sweep(placed(Path(folder)).path, int(at_once), trusted=trusted)
        case [folder] if is_sweep(Path(folder)):
            return _sweep(placed(Path(folder)).path, None, trusted=trusted)
        case [folder]:
            return _run(Path(folder), trusted=trusted)
    print(f"usage: python -m engine DIR [AT_ONCE] [{RUN_FACTORIES}]", file=sys.stderr)
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


def _sweep(folder: Path, at_once: int | None, *, trusted: bool) -> int:
    """Runs a sweep, `at_once` cells at a time or as many as is usual, and returns its status.

    A comparison of methods runs its cells one after another.
    """
    with Signals() as signals:
        try:
            with held(folder):  # before the imports, which take seconds on a busy machine
                desk = Desk(folder)
                if is_comparison(folder):
                    from engine.run.compare import comparison

                    ended = comparison.run_folder(desk, signals, run_factories=trusted)
                    return ended.exit_status
                from engine.run.grid import AT_ONCE
                from engine.run.sweep import run_folder

                at_once = at_once or AT_ONCE
                return run_folder(desk, signals, at_once, run_factories=trusted).exit_status
        except (InputError, SaveError) as error:
            print(error, file=sys.stderr)
            return exit_status_of(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
