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


PEERS = ("neb", "bezier", "polychain", "simplex")


def test_a_killed_run_of_each_peer_comes_to_the_same_bits() -> None:
    each = [rf"{peer}: (\d+) tried, (\d+) killed, (\d+) to the same bits" for peer in PEERS]
    program = ("tests.support.faults.crashes", "--points", "4", "--methods", *PEERS)
    found = counts("(?s)" + ".*".join(each), *program)
    tried, killed, same = found[::3], found[1::3], found[2::3]
    assert tried == same == (4,) * len(PEERS)
    assert sum(killed) > 8
