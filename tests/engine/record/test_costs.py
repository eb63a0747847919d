"""Sums of what searches have computed."""

from __future__ import annotations

from engine.record.costs import NOTHING, Costs


def test_costs_add_up_each_kind_by_itself() -> None:
    assert Costs(3, 50) + Costs(forward_samples=7) + NOTHING == Costs(3, 57)
