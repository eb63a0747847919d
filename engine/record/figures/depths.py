"""How many beads lie at each depth of splits: of a run, or of a sweep's connected pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from engine.errors import InputError
from engine.record.events import Outcome
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of
from engine.record.progress import read_progress
from engine.record.rundir import RunDir
from engine.record.sweep_folder import Plan
from engine.record.sweep_tables import LevelRow
from engine.record.sweeps import LevelState, SweepReader

COLUMNS = ("level", "depth", "value", "connected_pairs")


def of_run(source: Source) -> Sheet:
    """Returns the sheet of a run. Raises InputError where it has no beads yet."""
    progress = read_progress(source.run)
    counts = () if progress is None else progress.counters.beads_per_depth
    if progress is None or not counts:
        raise InputError("has no beads yet", file=source.path)
    spec = source.run.load_spec()
    level = progress.level if isfinite(progress.level) else None
    rows = ({"level": level, "depth": depth, "value": n} for depth, n in enumerate(counts))
    return table("depths", facts_of(source, spec, [spec.seed]), COLUMNS, rows)


def of_sweep(source: Source) -> Sheet:
    """Returns the sheet of a sweep: the mean number of beads at each depth, level by level.

    Raises InputError where no pair has connected yet.
    """
    view = SweepReader(RunDir(source.path)).look()
    if not isinstance(view.plan, Plan):
        raise view.damaged[0] if view.damaged else InputError("holds no sweep", file=source.path)
    rows = [row for level in view.levels for row in _of_level(level)]
    if not rows:
        raise InputError("none of its pairs has connected yet", file=source.path)
    spec = view.plan.spec
    seeds = range(spec.seed, spec.seed + view.plan.pairs)
    return table("depths", facts_of(source, spec, seeds), COLUMNS, rows)


def _of_level(state: LevelState) -> Iterator[dict[str, Any]]:
    """Yields the mean number of beads at each depth over the connected pairs of a level."""
    ends = [cell.brief.ended for cell in state.cells]
    counts = [
        end.totals.beads_per_depth
        for end in ends
        if end is not None and end.outcome is Outcome.CONNECTED
    ]
    row = state.row
    if not counts or not isinstance(row, LevelRow):
        return
    level = row.level_found.mean if isinstance(row.level, str) else row.level
    for depth in range(max(map(len, counts))):
        mean = fmean(_at(each, depth) for each in counts)
        yield {"level": level, "depth": depth, "value": mean, "connected_pairs": len(counts)}


def _at(counts: Sequence[int], depth: int) -> int:
    """Returns the number of beads at a depth."""
    return counts[depth] if depth < len(counts) else 0
