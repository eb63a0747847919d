"""Runs that are killed at some of their writes: each goes on to the same bits.

`python -m tests.support.faults.crashes` kills them at all; docs/reliability.md has its counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.faults.asked import counts

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("asked", [["--apart"], []], ids=["beads apart", "beads within"])
def test_a_killed_run_comes_to_the_same_bits(asked: list[str]) -> None:
    counted = r"(\d+) tried, (\d+) killed, (\d+) to the same bits"
    program = ("tests.support.faults.crashes", "--points", "15", *asked)
    tried, killed, same = counts(counted, *program)
    assert tried == same == 15 and killed > 10
