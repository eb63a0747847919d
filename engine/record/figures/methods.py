"""A comparison of methods: the length of their paths against what they have computed for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.errors import InputError
from engine.record.compare_folder import ComparePlan
from engine.record.compare_tables import Compared, MethodRow
from engine.record.events import Outcome
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of
from engine.record.rundir import RunDir
from engine.record.sweep_tables import Statistic
from engine.record.sweeps import LevelState, SweepReader

COLUMNS = (
    *("part", "method", "pair", "outcome", "connected"),
    *("sample_gradients", "gradients_low", "gradients_high"),
    *("normalized_length", "length_low", "length_high"),
    *("beads", "peak", "level", "pairs", "connected_pairs"),
)


def of_comparison(source: Source) -> Sheet:
    """Returns the sheet of a comparison. Raises InputError where no cell has ended yet."""
    view = SweepReader(RunDir(source.path)).look()
    plan = view.plan
    if not isinstance(plan, ComparePlan):
        fault = InputError("holds no comparison", file=source.path)
        raise view.damaged[0] if view.damaged else fault
    lines = [line for state in view.levels for line in _lines(plan, state)]
    if not lines:
        raise InputError("none of its searches has ended yet", file=source.path)
    seeds = range(plan.spec.seed, plan.spec.seed + plan.pairs)
    methods = {"method": ", ".join(plan.names), "pairs": f"{plan.pairs}"}
    more = methods | {"objective": plan.spec.search.level_on.words}
    return table("methods", facts_of(source, plan.spec, seeds, more), COLUMNS, lines)


def _lines(plan: ComparePlan, state: LevelState) -> Iterator[dict[str, Any]]:
    """Yields the pairs of a method that have ended, then their means."""
    for each in state.cells:
        end = each.brief.ended
        if end is not None and end.outcome is not Outcome.STOPPED:
            cell: Any = each.cell
            yield _pair(plan.result_of(cell, end))
    if isinstance(state.row, MethodRow) and state.row.connected:
        yield _mean(state.row)


def _pair(found: Compared) -> dict[str, Any]:
    """Returns the line of one pair."""
    names = ("method", "pair", "connected", "sample_gradients", "normalized_length", "beads")
    told = {name: getattr(found, name) for name in (*names, "peak", "level")}
    return {"part": "pair", "outcome": str(found.outcome)} | told


def _mean(row: MethodRow) -> dict[str, Any]:
    """Returns the line of a method's means over its connected pairs, with their standard errors."""
    return {
        "part": "mean",
        "method": row.method,
        **_with_errors("sample_gradients", "gradients", row.sample_gradients),
        **_with_errors("normalized_length", "length", row.normalized_length),
        "beads": row.beads.mean,
        "pairs": row.pairs,
        "connected_pairs": row.connected,
    }


def _with_errors(name: str, short: str, found: Statistic) -> dict[str, float]:
    """Returns a mean, and the mean minus and plus its standard error."""
    mean, error = found.mean, found.standard_error
    return {name: mean, f"{short}_low": mean - error, f"{short}_high": mean + error}
