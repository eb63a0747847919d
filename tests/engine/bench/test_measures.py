"""Figures of a measurement: spreads, ratios by turns, shares of the machine's limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.bench.measures import (
    Action,
    Spread,
    Versus,
    by_turns,
    count_for,
    spread,
)
from tests.support.benches import LIMITS, ROW, Ticks, report


def does(units: int) -> Callable[[], Action]:
    return lambda: lambda: units


def test_ratios_are_of_the_times_of_each_turn() -> None:
    """30 of ours in 2, 3 and 5 s against 8 of the plain loop in 4, 1 and 2 s."""
    found = by_turns(does(30), does(8), 3, Ticks(2, 4, 3, 1, 5, 2))
    assert found == Versus(
        ours=Spread(10, 6, 15),
        plain=Spread(4, 2, 8),
        ratio=Spread(1.5, 1.25, 7.5),
        units=90,
        plain_units=24,
    )


def test_spread_of_an_even_number_of_repeats() -> None:
    assert spread([4.0, 1.0, 9.0, 2.0]) == Spread(3.0, 1.0, 9.0)


@pytest.mark.parametrize(("unit_s", "count"), [(0.001, 300), (0.04, 8), (0.29, 1), (7.0, 1)])
def test_a_timing_takes_about_as_long_as_asked(unit_s: float, count: int) -> None:
    now = 0.0

    def prepare(rounds: int) -> Action:
        def action() -> int:
            nonlocal now
            now += rounds * unit_s
            return rounds

        return action

    assert count_for(0.3, prepare, lambda: now) == count


def test_shares_follow_from_limits_and_steps() -> None:
    """500 bead-steps a second of 4 000 operations, of 8 million a second at best."""
    limits = LIMITS.__class__(
        "cpu", 2, ("x",), 2, None, {}, Spread(6e6, 5e6, 8e6), Spread(9e5, 8e5, 1e6)
    )
    row = replace(ROW, bead_steps=replace(ROW.bead_steps, ours=Spread(500, 1, 900)))
    (found,) = report(training=(row,)).against(limits).training
    assert found.arithmetic == pytest.approx(0.25)
    assert found.memory == pytest.approx(0.15)  # of 300 bytes each, of 1 MB/s
