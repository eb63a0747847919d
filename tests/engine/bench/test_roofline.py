"""What the machine can do at best."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from engine.bench.measures import (
    Spread,
)
from engine.bench.roofline import CPU_SIDE, measure_limits
from tests.support.benches import EFFORT, Ticks


def test_limits_are_those_of_all_workers() -> None:
    """By a clock by which a timing takes a second: one product and one copy of each worker."""
    one, three = (measure_limits("cpu", workers, EFFORT, Ticks()) for workers in (1, 3))
    assert one.flop_per_s == Spread(*3 * [2.0 * CPU_SIDE**3])
    assert three.flop_per_s == Spread(*3 * [6.0 * CPU_SIDE**3])
    assert one.bytes_per_s.median == 2 * 256 * 2**20
    assert three.bytes_per_s.median == pytest.approx(one.bytes_per_s.median, rel=1e-6)
    assert three.versions["torch"] == version("torch") and three.names and three.workers == 3
