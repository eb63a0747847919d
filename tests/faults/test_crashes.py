"""Runs that are killed at some of their writes: each goes on to the same bits.

`python -m tests.support.faults.crashes` kills them at all; docs/reliability.md has its counts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("asked", [["--apart"], []], ids=["beads apart", "beads within"])
def test_a_killed_run_comes_to_the_same_bits(asked: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.faults.crashes", "--points", "15", *asked],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = re.search(r"(\d+) tried, (\d+) killed, (\d+) to the same bits", ended.stdout)
    assert counts is not None
    tried, killed, same = map(int, counts.groups())
    assert tried == same == 15 and killed > 10
