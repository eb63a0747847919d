"""`python -m engine RUN_DIR`: run a run directory, or go on with it, in this process."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import InputError, SaveError
from engine.record.rundir import RunDir
from engine.record.signals import Signals


def main(arguments: list[str]) -> int:
    """The exit status (interfaces: 0 connected, 3 not, 2 bad input, 1 failure, 128+N signal)."""
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
