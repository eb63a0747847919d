"""Runs to which something happens while they run, and many runs that are killed: nothing is lost.

`python -m tests.support.faults.mishaps` and `… many` are the whole of it; docs/reliability.md has
their counts.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from engine.record.writing import replace
from tests.support.faults.asked import counts
from tests.support.faults.mishaps import KINDS
from tests.support.faults.shim import Power, Shim
from tests.support.faults.trial import attempt


@pytest.mark.parametrize("kinds", [[*KINDS][:4], [*KINDS][4:]], ids=["disks", "others"])
def test_nothing_is_lost_whatever_happens(kinds: list[str]) -> None:
    counted = r"in all: (\d+) tried, (\d+) lost"
    asked = ("--apart", "--each", "3", "--seed", "1")
    assert counts(counted, "tests.support.faults.mishaps", *kinds, *asked) == (12, 0)


def test_killed_sweeps_and_the_like_come_to_the_same_tables() -> None:
    counted = r"in all: (\d+) tried, (\d+) killed, (\d+) lost"
    tried, killed, lost = counts(counted, "tests.support.faults.many", "--each", "1")
    assert tried == 3 and killed > 0 and lost == 0


@pytest.mark.parametrize("names", [False, True])
def test_a_loss_of_power_takes_what_was_not_synced(names: bool, tmp_path: Path) -> None:
    """A file that is written anew for good survives; one that is not goes, or is empty."""

    def do() -> int:
        power = Power(tmp_path, names)
        with Shim(-1, synced=power.synced):
            replace(tmp_path / "kept", b"first")
            replace(tmp_path / "early", b"synced with the folder")
            replace(tmp_path / "kept", b"second")
            replace(tmp_path / "late", b"neither", durable=False)
            power.lose()
        return 0

    assert attempt(do).signal == signal.SIGKILL
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    late = {"late": b""} if names else {}
    assert found == {"kept": b"second", "early": b"synced with the folder", **late}
