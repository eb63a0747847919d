"""Puts quantities along a string into tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from engine.record.quantity import Quantity, Series

#: The number of places that a table shows at most; those are evenly far apart.
PLACES = 16
#: The number of columns that a table of a few models has at most, which are chosen likewise.
COLUMNS = 8
#: The number of series from which on each has a line of its own, with its lowest and highest value.
MANY = 7


def number(value: float) -> str:
    """Returns a number in four digits, or a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.4g}"


def heading(found: Quantity) -> str:
    """Returns the line above what was measured of a quantity."""
    beads = sum(bead is not None for bead in found.beads)
    between = len(found.beads) - beads
    points = f", {between} points between" if between else ""
    return f"{found.name}: {found.title} ({beads} beads{points}, {found.precision})"


def tables(found: Quantity) -> list[Table]:
    """Returns the tables of a quantity: what is told of a few models, then chart by chart."""
    charts = [chart_table(found, chart) for chart in found.charts]
    told = models_table(found)
    return charts if told is None else [told, *charts]


def models_table(found: Quantity) -> Table | None:
    """Returns the table of a few models side by side, or None where there is none."""
    if found.table is None:
        return None
    heads, rows = found.table.heads, found.table.rows
    columns = _shown(len(heads), COLUMNS)
    made = _table("", [heads[column] for column in columns])
    for row in (rows[place] for place in _shown(len(rows))):
        made.add_row(Text(row.words), *(_brief(row.values[column], columns) for column in columns))
    return made


def _brief(value: float, columns: Sequence[int]) -> str:
    """Returns a number in four digits, or in two where a table has many columns."""
    if len(columns) < MANY or math.isnan(value):
        return number(value)
    return f"{value:.2g}"


def chart_table(found: Quantity, chart: str) -> Table:
    """Returns the table of a chart: a line for each place, or for each of many series."""
    series = found.of_chart(chart)
    if len(series) >= MANY:
        return _by_series(chart, series)
    made = _table(f"{chart}\nbead", ["at", *(each.words for each in series)])
    for place in _shown(len(found.beads)):
        bead = found.beads[place]
        made.add_row(
            "·" if bead is None else str(bead),
            f"{found.arc[place]:.3f}",
            *(number(each.values[place]) for each in series),
        )
    return made


def _by_series(chart: str, series: Sequence[Series]) -> Table:
    """Returns the table of a chart with a line for each of its series."""
    made = _table(chart, ["first end", "last end", "lowest", "highest"])
    for each in series:
        there = [value for value in each.values if not math.isnan(value)] or [math.nan]
        told = (each.values[0], each.values[-1], min(there), max(there))
        made.add_row(Text(each.words), *map(number, told))
    return made


def _shown(places: int, most: int = PLACES) -> list[int]:
    """Returns the numbers of the places that a table shows, both ends among them."""
    if places <= most:
        return list(range(places))
    return [round(step * (places - 1) / (most - 1)) for step in range(most)]


def _table(first: str, heads: Iterable[str]) -> Table:
    """Returns an empty table without lines around it, with words on the left."""
    made = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    made.add_column(Text(first), no_wrap=True)
    for head in heads:
        made.add_column(Text(head), justify="right", vertical="bottom")
    return made


def notes(found: Quantity, *, cut: bool) -> list[str]:
    """Returns the sentences below the tables of a quantity.

    With `cut`, they tell where tables leave places out.
    """
    left_out = len(found.beads) > PLACES
    if not (cut and left_out):
        return list(found.notes)
    said = f"{PLACES} of {len(found.beads)} places are shown; --csv and --json have all."
    return [*found.notes, said]


def as_csv(quantities: Mapping[str, Quantity]) -> str:
    """Returns the values at each place as CSV, a column for each series of each quantity."""
    first = next(iter(quantities.values()))
    columns = [(f"{q.name}_{s.key}", s.values) for q in quantities.values() for s in q.series]
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["bead", "at", *(name for name, _ in columns)])
    for place, (bead, at) in enumerate(zip(first.beads, first.arc, strict=True)):
        values = [values[place] for _, values in columns]
        told = ["" if math.isnan(value) else value for value in values]
        write(["" if bead is None else bead, at, *told])
    return text.getvalue()
