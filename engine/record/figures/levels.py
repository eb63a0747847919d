"""Length and beads against the level: means, the paper's points, and laws through both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import isfinite
from typing import Any

from engine.errors import InputError
from engine.record.figures.fits import power_law
from engine.record.figures.sheet import Sheet, table
from engine.record.figures.source import Source, facts_of
from engine.record.rundir import RunDir
from engine.record.sweep_folder import Plan
from engine.record.sweep_tables import LevelRow
from engine.record.sweeps import SweepReader, measured
from engine.spec.published import Published, published_for

COLUMNS = ("part", "quantity", "level", "value", "low", "high", "pairs", "connected_pairs")

#: The quantities that are shown, by the fields of the tables. The paper has points of the last two.
WEIGHTS_ALONE = "normalized_length_weights"
QUANTITIES = ("normalized_length", "beads")

Line = dict[str, Any]
"""A row of the table by the names of its columns."""


def of_sweep(source: Source) -> Sheet:
    """Returns the sheet of a sweep. Raises InputError where no pair has ended yet."""
    view = SweepReader(RunDir(source.path)).look()
    if not isinstance(view.plan, Plan):
        fault = view.damaged[0] if view.damaged else InputError("holds no sweep", file=source.path)
        raise fault
    rows = [level.row for level in view.levels if isinstance(level.row, LevelRow)]
    if not any(row.pairs for row in rows):
        raise InputError("none of its pairs has ended yet", file=source.path)
    spec = view.plan.spec
    published = published_for(spec)
    lines, laws = lines_of(rows, published)
    facts = facts_of(
        source,
        spec,
        range(spec.seed, spec.seed + view.plan.pairs),
        {
            "pairs": f"{view.plan.pairs} at each level",
            "tolerance": f"{spec.search.tolerance!r}",
            "alpha": f"{spec.search.alpha!r}",
            "objective": spec.search.level_on.words,
            **(_facts_of(published) if published is not None else {}),
            **laws,
        },
    )
    return table("levels", facts, COLUMNS, lines)


def _facts_of(published: Published) -> dict[str, str]:
    """Returns what is said of the paper's points."""
    return {"published": published.source, "published level": published.held}


def lines_of(
    rows: Sequence[LevelRow], published: Published | None
) -> tuple[list[Line], dict[str, str]]:
    """Returns the rows of the table, and the laws through the points in words, by their names.

    `low` and `high` are a mean minus and plus its standard error; of a law they are the edges of
    its confidence band. Rows of the part `outcome` count the pairs by how they ended.
    """
    lines: list[Line] = []
    laws: dict[str, str] = {}
    shown = (WEIGHTS_ALONE, *QUANTITIES) if _has_biases(rows) else QUANTITIES
    for quantity in shown:
        points = list(_measured(rows, quantity))
        theirs = list(_published(published, quantity)) if quantity in QUANTITIES else []
        for part, found in (("measured", points), ("published", theirs)):
            lines += found
            law = power_law([line["level"] for line in found], [line["value"] for line in found])
            if law is None:
                continue
            laws[f"{part} {quantity}"] = law.words
            lines += (
                {"part": f"{part} law", "quantity": quantity}
                | {"level": x, "value": y, "low": low, "high": high}
                for x, y, low, high in zip(law.x, law.y, law.low, law.high, strict=True)
            )
    return [*lines, *chain.from_iterable(map(_outcomes, rows))], laws


def _has_biases(rows: Sequence[LevelRow]) -> bool:
    """Returns whether lengths over weights alone are other ones."""
    return any(
        isfinite(row.normalized_length_weights.mean)
        and row.normalized_length_weights != row.normalized_length
        for row in rows
    )


def _measured(rows: Sequence[LevelRow], quantity: str) -> Iterator[Line]:
    """Yields the means of a quantity at each level that has connected pairs."""
    counts = {_level_of(row): row for row in rows}
    for each in measured(rows, quantity):
        row = counts[each.level]
        yield {
            "part": "measured",
            "quantity": quantity,
            "level": each.level,
            "value": each.mean,
            "low": each.mean - each.error,
            "high": each.mean + each.error,
            "pairs": row.pairs,
            "connected_pairs": row.connected,
        }


def _level_of(row: LevelRow) -> float:
    """Returns the level of a row, or the mean of those that came about."""
    return row.level_found.mean if isinstance(row.level, str) else row.level


def _published(published: Published | None, quantity: str) -> Iterator[Line]:
    """Yields the paper's points of a quantity."""
    for point in published.points if published is not None else ():
        mean, error = getattr(point, quantity)
        yield {
            "part": "published",
            "quantity": quantity,
            "level": point.level,
            "value": mean,
            "low": mean - error,
            "high": mean + error,
        }


def _outcomes(row: LevelRow) -> Iterator[Line]:
    """Yields the number of the pairs of each outcome at a level."""
    level = _level_of(row)
    if not row.pairs or not isfinite(level):
        return
    counted = {"pairs": row.pairs, "connected_pairs": row.connected, "level": level}
    yield {"part": "outcome", "quantity": "connected", "value": row.connected} | counted
    for outcome, count in row.failed:
        yield {"part": "outcome", "quantity": str(outcome), "value": count} | counted
