"""The command line of a program in whose registries further kinds are listed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN_ALL = """
import contextlib, io, json, sys
from dss_tui.cli import main
ended = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            status = main(arguments)
    ended.append([status, out.getvalue() if status == 0 else err.getvalue()])
print(json.dumps(ended))
"""


def command_lines(registered: str, *commands: list[str]) -> list[tuple[int, str]]:
    """Returns each command's exit status and what it printed, on stderr where it failed.

    All run one after another in an interpreter of their own, which begins with the lines of code
    that register kinds, so that no other test sees those kinds.
    """
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-c", registered + RUN_ALL, json.dumps(commands)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    return [(status, said) for status, said in json.loads(ran.stdout.splitlines()[-1])]
