"""Runs and sweeps to which something happens while they run: nothing is lost.

`python -m tests.support.faults.mishaps` is the whole of it; docs/reliability.md has its counts.
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

COUNTED = r"in all: (\d+) tried, (\d+) hit, (\d+) lost"
#: Kinds of mishaps by what is to be seen of them.
DISKS = ("power", "power-names-first", "full-once", "full-from-there-on", "read-only", "closed")
LITTLE = ("descriptors", "no-memory", "little-memory")
OTHERS = ("clock", "two", "moved", "deleted")


@pytest.mark.parametrize("kinds", [DISKS, LITTLE, OTHERS], ids=["disks", "little", "others"])
def test_nothing_of_a_run_is_lost_whatever_happens(kinds: tuple[str, ...]) -> None:
    asked = ("--apart", "--each", "2", "--seed", "1")
    tried, hit, lost = counts(COUNTED, "tests.support.faults.mishaps", *kinds, *asked)
    assert (tried, lost) == (2 * len(kinds), 0) and hit > 0  # when they hit depends on the machine


def test_nothing_of_a_sweep_is_lost_whatever_happens() -> None:
    kinds = ("power", "read-only", "little-memory", "clock")
    asked = ("--of", "sweep", "--each", "1")
    tried, hit, lost = counts(COUNTED, "tests.support.faults.mishaps", *kinds, *asked)
    assert (tried, lost) == (len(kinds), 0) and hit > 0


def test_every_kind_is_in_the_sample() -> None:
    assert {*DISKS, *LITTLE, *OTHERS} == KINDS.keys()


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
