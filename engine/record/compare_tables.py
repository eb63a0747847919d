"""The tables of a comparison of methods: a line for each cell, and means for each method.

What describes a path was measured by one evaluator on the string that the search left; what tells
of the search's work is its own count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from math import nan
from typing import Any

from engine.record.events import Outcome, dump_json
from engine.record.marks import Count
from engine.record.sweep_tables import (
    REFUTED,
    UNCONNECTED,
    Row,
    Statistic,
    as_csv,
    figures,
    statistic,
)


@dataclass(frozen=True)
class Measurement:
    """The numbers of one string, all of them found by the same evaluator."""

    points: Count
    """The number of points on each segment, without the refinement of peaks."""
    precision: str
    """The precision of the measurement: float64, or float32 where that would take very long."""
    level: float
    """The level that the string is held against."""
    holds: bool
    """Whether no point exceeds the level by more than its tolerance."""
    peak: float
    """The highest value of the objective on the path."""
    barrier: float
    """The highest rise above the line between the values of the two ends, over arc length."""
    mean_loss: float
    """The mean of the objective over arc length."""
    normalized_length: float
    """The path's length divided by the distance of its ends."""
    turning: float
    """The sum of the angles in degrees by which the path turns at its inner beads."""
    beads: Count
    """The number of beads, the ends included."""


@dataclass(frozen=True)
class Compared:
    """The outcome and the numbers of one method between the ends of one pair."""

    method: str
    """The name of the method, or of the variant of one."""
    pair: int
    """The pair's number from 0."""
    seed: int
    outcome: Outcome
    """How the search ended."""
    connected: bool
    """Whether the search connected the ends and the evaluator found no point above the level."""
    certified: bool | None
    """True where the whole path is proven, false where a point above the level is known."""
    level: float
    peak: float
    barrier: float
    mean_loss: float
    normalized_length: float
    turning: float
    beads: int
    sample_gradients: int | None
    """Number of samples passed forward and back by the search itself, the ends' training left out.
    """
    forward_samples: int | None
    """Number of samples passed forward alone, matching and the search's own checks included."""
    bead_steps: int
    elapsed_s: float
    """Running time of the search in seconds; it had the machine to itself."""

    @property
    def refuted(self) -> bool:
        """Whether the search called its path connected, and the evaluator does not."""
        return self.outcome is Outcome.CONNECTED and not self.connected

    @property
    def peak_over_level(self) -> float:
        """The highest value on the path divided by the level."""
        return self.peak / self.level


@dataclass(frozen=True, kw_only=True)
class MethodRow(Row):
    """The results of one method on all pairs that have ended. Means are over connected pairs."""

    method: str
    level: Statistic
    peak_over_level: float
    """The highest peak of a connected pair, divided by its level; NaN where there is none."""
    barrier: Statistic
    mean_loss: Statistic
    turning: Statistic
    sample_gradients: Statistic
    forward_samples: Statistic
    elapsed_s: Statistic

    @property
    def label(self) -> str:
        """The method's name."""
        return self.method


#: The statistics of a method's row besides those of every row, by the fields of a cell.
AVERAGED = (
    "level",
    "barrier",
    "mean_loss",
    "turning",
    "sample_gradients",
    "forward_samples",
    "elapsed_s",
)


def by_method(cells: list[Compared], methods: Iterable[str]) -> list[MethodRow]:
    """Returns a row for each method: means over its connected pairs, and counts of the others."""
    return [_row(method, [each for each in cells if each.method == method]) for method in methods]


def _row(method: str, cells: list[Compared]) -> MethodRow:
    """Returns the row of one method."""
    good = [each for each in cells if each.connected]
    failed = Counter(
        REFUTED if each.refuted else each.outcome for each in cells if not each.connected
    )
    return MethodRow(
        method=method,
        peak_over_level=max((each.peak_over_level for each in good), default=nan),
        **figures(cells, good, failed) | {name: _over(good, name) for name in AVERAGED},
    )


def _over(cells: list[Compared], name: str) -> Statistic:
    """Returns the statistic of one quantity over the cells of which it is known."""
    values = [getattr(each, name) for each in cells]
    return statistic([float(value) for value in values if value is not None])


def csv_of_cells(cells: list[Compared]) -> str:
    """Returns the table of the cells as CSV, a line for each."""
    head = [column.name for column in fields(Compared)]
    return as_csv(head, [list(asdict(each).values()) for each in cells])


#: The quantities of `methods.csv` that have a mean and a standard error.
MEANS = ("level", "barrier", "mean_loss", "normalized_length", "turning", "beads")
COSTS = ("sample_gradients", "forward_samples", "elapsed_s")


def csv_of_methods(rows: list[MethodRow]) -> str:
    """Returns the table of the methods as CSV, a line for each."""
    means = [f"{name}_{part}" for name in (*MEANS, *COSTS) for part in ("mean", "standard_error")]
    medians = ["median_bead_steps", "median_sample_gradients", "median_forward_samples"]
    others = list(map(str, (*UNCONNECTED, REFUTED)))
    head = ["method", "pairs", "connected", "proven", *others, "peak_over_level", *means, *medians]
    return as_csv(head, [_line(row, medians) for row in rows])


def _line(row: MethodRow, medians: list[str]) -> list[Any]:
    """Returns the values of a method's line."""
    failed = {str(outcome): count for outcome, count in row.failed}
    statistics: list[Statistic] = [getattr(row, name) for name in (*MEANS, *COSTS)]
    return [
        row.method,
        row.pairs,
        row.connected,
        row.proven,
        *(failed.get(str(kind), 0) for kind in (*UNCONNECTED, REFUTED)),
        row.peak_over_level,
        *(value for each in statistics for value in (each.mean, each.standard_error)),
        *(getattr(row, name) for name in medians),
    ]


def json_of_comparison(rows: list[MethodRow], cells: list[Compared], ends: object) -> str:
    """Returns both tables and the `ends` of each pair as one JSON object, with a line's end."""
    methods = [asdict(row) | {"failed": dict(row.failed)} for row in rows]
    return dump_json({"methods": methods, "cells": cells, "ends": ends}) + "\n"
