"""The tables of a sweep: a line for each cell, and means for each level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite, nan
from statistics import fmean, median, stdev
from typing import Any, Protocol

from engine.record.events import Outcome, dump_json
from engine.spec.grid import LevelAsked, text_of

#: The outcomes of a cell that is not run again. A cell in which the engine failed is run again.
ENDINGS = (
    Outcome.CONNECTED,
    Outcome.NOT_CONNECTED,
    Outcome.ENDPOINT_NOT_TRAINED,
    Outcome.LIMIT_REACHED,
)
#: The outcomes without a connection that the tables count.
UNCONNECTED = (*ENDINGS[1:], Outcome.FAILED)
#: What a string counts as whose search called it connected, but on which the evaluator has found a
#: point above the level.
REFUTED = Outcome("refuted")


@dataclass(frozen=True)
class Result:
    """The outcome and the numbers of a cell that has ended."""

    level: float | str
    """The level that was asked for: a number, or `lowest` or the like, as `text_of` writes it."""
    pair: int
    """The pair's number from 0."""
    seed: int
    outcome: Outcome
    beads: int
    """Number of beads on the string, the ends included."""
    normalized_length: float
    """The string's length divided by the distance of its ends."""
    max_peak: float
    """The highest loss found on the string."""
    depth: int
    """The largest depth of splits."""
    bead_steps: int
    """Number of steps of all beads together, endpoints and failed tries included."""
    elapsed_s: float
    """Running time in seconds, waits for other cells included."""
    certified: bool | None = None
    """True where the whole path is proven, false where a point above the level is known."""
    sample_gradients: int | None = None
    """Number of samples passed forward and back, the ends' training included; None: not known."""
    forward_samples: int | None = None
    """Number of samples passed forward alone; None where that is not known."""
    level_found: float | None = None
    """The level that came about in the search; None where a number was asked for."""
    normalized_length_weights: float | None = None
    """The normalized length over the weights alone, without biases; None where it is not known."""

    @property
    def connected(self) -> bool:
        """Whether the search connected its ends."""
        return self.outcome is Outcome.CONNECTED


@dataclass(frozen=True)
class Statistic:
    """The mean and standard error of one quantity over the connected pairs of one row.

    The mean is NaN where no pair is connected, the error where fewer than two are.
    """

    mean: float
    standard_error: float
    """The standard deviation of the samples divided by the root of their number."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The results of the pairs in one row of a grid, as far as they have ended."""

    pairs: int
    """Number of pairs that have ended."""
    connected: int
    """Number of those that are connected."""
    proven: int
    """Number of the connected ones whose whole path is proven to stay below the level."""
    failed: tuple[tuple[Outcome, int], ...]
    """The number of pairs that ended otherwise, by outcome."""
    normalized_length: Statistic
    """The statistic of the strings' lengths, each divided by the distance of its ends."""
    beads: Statistic
    """The statistic of the numbers of beads, the ends included."""
    median_bead_steps: float
    """The median number of bead-steps over all pairs, connected or not."""
    median_sample_gradients: float = nan
    """The median number of sample gradients over the pairs of which it is known; else NaN."""
    median_forward_samples: float = nan
    """The median number of forward samples over the pairs of which it is known; else NaN."""

    @property
    def label(self) -> str:
        """What the row is called."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class LevelRow(Row):
    """The results of the pairs at one level, as far as they have ended."""

    level: float | str
    """The level that was asked for, as in `Result`."""
    level_found: Statistic = Statistic(nan, nan)
    """The statistic of the levels that came about; NaN where a number was asked for."""
    normalized_length_weights: Statistic = Statistic(nan, nan)
    """The statistic of normalized lengths over the weights alone; NaN where they are not known."""

    @property
    def label(self) -> str:
        """The level that was asked for, in words."""
        return self.level if isinstance(self.level, str) else f"{self.level:g}"


def as_told(level: LevelAsked) -> float | str:
    """Returns a level as tables tell it: a number, or how it comes about."""
    return level if isinstance(level, float) else text_of(level)


def by_level(results: list[Result], levels: Iterable[LevelAsked]) -> list[LevelRow]:
    """Returns a row for each level: means over its connected pairs, and counts of the others."""
    return [
        _row(level, [each for each in results if each.level == level])
        for level in map(as_told, levels)
    ]


def _row(level: float | str, results: list[Result]) -> LevelRow:
    """Returns the row of one level."""
    good = [each for each in results if each.outcome is Outcome.CONNECTED]
    return LevelRow(
        level=level,
        level_found=statistic([e.level_found for e in good if e.level_found is not None]),
        **figures(results, good, Counter(each.outcome for each in results if each not in good)),
        normalized_length_weights=statistic(
            [e.normalized_length_weights for e in good if e.normalized_length_weights is not None]
        ),
    )


class Ended(Protocol):
    """The numbers of a cell that has ended, whichever table it stands in."""

    @property
    def beads(self) -> int:
        """Number of beads on the string, the ends included."""

    @property
    def normalized_length(self) -> float:
        """The string's length divided by the distance of its ends."""

    @property
    def certified(self) -> bool | None:
        """True where the whole path is proven."""

    @property
    def bead_steps(self) -> int:
        """Number of steps of all beads together."""

    @property
    def sample_gradients(self) -> int | None:
        """Number of samples passed forward and back."""

    @property
    def forward_samples(self) -> int | None:
        """Number of samples passed forward alone."""


def figures(
    cells: Sequence[Ended], connected: Sequence[Ended], failed: Mapping[Outcome, int]
) -> dict[str, Any]:
    """Returns the fields of a `Row`: of the cells that have ended, and of the connected ones.

    `failed` counts the others by outcome.
    """
    later = sorted(failed.keys() - set(Outcome) - {REFUTED})
    kinds = (*UNCONNECTED, REFUTED, *later)
    return {
        "pairs": len(cells),
        "connected": len(connected),
        "proven": sum(each.certified is True for each in connected),
        "failed": tuple((kind, failed[kind]) for kind in kinds if failed.get(kind)),
        "normalized_length": statistic([each.normalized_length for each in connected]),
        "beads": statistic([float(each.beads) for each in connected]),
        "median_bead_steps": median_of([each.bead_steps for each in cells]),
        "median_sample_gradients": median_of([each.sample_gradients for each in cells]),
        "median_forward_samples": median_of([each.forward_samples for each in cells]),
    }


def statistic(values: list[float]) -> Statistic:
    """Returns the statistic of some values.

    The error is NaN where a value is infinite, as the normalized length of a closed string is.
    """
    sane = len(values) > 1 and all(map(isfinite, values))
    error = stdev(values) / len(values) ** 0.5 if sane else nan
    return Statistic(fmean(values) if values else nan, error)


def median_of(values: Sequence[int | None]) -> float:
    """Returns the median of the values that are known, or NaN where there are none."""
    known = [value for value in values if value is not None]
    return float(median(known)) if known else float("nan")


def csv_of(results: list[Result]) -> str:
    """Returns the table of the cells as CSV, a line for each."""
    head = [column.name for column in fields(Result)]
    return as_csv(head, [list(asdict(each).values()) for each in results])


def csv_of_levels(rows: list[LevelRow]) -> str:
    """Returns the table of the levels as CSV, a line for each."""
    head = [
        "level",
        "pairs",
        "connected",
        *map(str, UNCONNECTED),
        "normalized_length_mean",
        "normalized_length_standard_error",
        "beads_mean",
        "beads_standard_error",
        "median_bead_steps",
        "proven",
        "median_sample_gradients",
        "median_forward_samples",
        "level_found_mean",
        "level_found_standard_error",
        "normalized_length_weights_mean",
        "normalized_length_weights_standard_error",
    ]
    return as_csv(head, [_line(row) for row in rows])


def _line(row: LevelRow) -> list[Any]:
    """Returns the values of a level's line."""
    failed = dict(row.failed)
    return [
        row.level,
        row.pairs,
        row.connected,
        *(failed.get(outcome, 0) for outcome in UNCONNECTED),
        row.normalized_length.mean,
        row.normalized_length.standard_error,
        row.beads.mean,
        row.beads.standard_error,
        row.median_bead_steps,
        row.proven,
        row.median_sample_gradients,
        row.median_forward_samples,
        row.level_found.mean,
        row.level_found.standard_error,
        row.normalized_length_weights.mean,
        row.normalized_length_weights.standard_error,
    ]


def as_csv(head: list[str], lines: list[list[Any]]) -> str:
    """Returns a table as CSV, in which what is not known or not finite is left out."""

    def told(value: Any) -> str:
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return ""
        return dump_json(value) if isinstance(value, bool) else str(value)

    return "".join(",".join(map(told, line)) + "\n" for line in [head, *lines])


def json_of(rows: list[LevelRow], results: list[Result]) -> str:
    """Returns both tables as one JSON object, with a line's end."""
    levels = [asdict(row) | {"failed": dict(row.failed)} for row in rows]
    return dump_json({"levels": levels, "cells": [asdict(each) for each in results]}) + "\n"
