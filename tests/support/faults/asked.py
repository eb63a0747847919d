"""The programs of this folder as a test asks them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def counts(counted: str, module: str, *words: str) -> tuple[int, ...]:
    """Runs a program, which must end well, and returns the numbers that a pattern finds."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = re.search(counted, ended.stdout)
    assert found is not None, ended.stdout
    return tuple(map(int, found.groups()))
