"""What a run costs beside training: checkpoints, events, progress."""

from __future__ import annotations

import pytest

from engine.bench.costs import measure_costs, string_of
from engine.bench.measures import (
    Spread,
)
from engine.workers.pool import open_pool
from tests.support.benches import EFFORT, Ticks, prepared


def test_costs_are_of_a_whole_string() -> None:
    spec, backend = prepared("quadratic")
    with open_pool(backend, spec) as pool:
        method = string_of(spec, pool, beads=7)
        now, string = method.progress(), method.string()
        found = measure_costs(spec, pool, EFFORT, Ticks())
    assert now.beads == 7 and len(now.segments) == 6 and method.verdict is None
    assert string.beads.shape == (7, 33) and string.profiles.shape == (6, 33)
    assert found.beads == 100
    assert found.checkpoint_bytes > 2 * 100 * 33 * 4  # in the checkpoint and in the string
    assert found.progress_bytes > 99 * 33 * 8
    assert found.checkpoint_s == Spread(1, 1, 1)
    assert found.event_s == Spread(*3 * [1 / 200])
    assert found.progress_s == Spread(*3 * [1 / 5])


def test_strings_of_large_networks_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, backend = prepared("quadratic")
    monkeypatch.setattr("engine.bench.costs.WEIGHTS", 33 * 9)
    with open_pool(backend, spec) as pool:
        assert measure_costs(spec, pool, EFFORT, Ticks()).beads == 9
