"""The command `python -m engine RUN_DIR` runs or resumes the run of a folder in this process."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.record.rundir import RunDir
from engine.record.signals import Signals


def main(arguments: list[str]) -> int:
    """Runs the run directory in `arguments` and returns the exit status.

    The status is 0 where the string connects, 3 where the search ended without a connection, 2 for
    bad input, 1 for an internal failure, and 128 + N where signal N ended it.
    """
    if len(arguments) != 1:
        print("usage: python -m engine RUN_DIR", file=sys.stderr)
        return 2
    with Signals() as signals:
        from engine.run.session import exit_status, refuse, run

        directory = RunDir(Path(arguments[0]))
        try:
            return exit_status(run(directory, signals))
        except (InputError, SaveError) as error:
            print(error, file=sys.stderr)
            refuse(directory, error)
            return 2 if isinstance(error, InputError) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
