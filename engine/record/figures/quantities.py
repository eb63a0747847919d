"""Quantities along a path, as `dss-tui measure --what` has measured them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from engine.errors import InputError
from engine.record.figures.sheet import Sheet, cells_of, table
from engine.record.figures.source import Source, facts_of
from engine.record.quantity import Quantity, read_quantity
from engine.record.reading import LARGEST_JSON, check_regular, read_text
from engine.record.writing import is_folder
from engine.version import __version__

COLUMNS = ("quantity", "chart", "series", "bead", "place", "value")


def of_run(source: Source) -> Sheet:
    """Returns the sheet of all quantities in a run's folder.

    Raises InputError where none was measured.
    """
    found = [quantity for name in _names(source) if (quantity := read_quantity(source.run, name))]
    if not found:
        raise InputError(
            "holds no quantities yet; `dss-tui measure RUN --what all` measures them",
            file=source.path,
        )
    spec = source.run.load_spec()
    notes = {f"note on {each.name}": " ".join(each.notes) for each in found if each.notes}
    facts = facts_of(source, spec, [spec.seed], notes)
    return table("quantities", facts, COLUMNS, (row for each in found for row in _rows(each)))


def _names(source: Source) -> list[str]:
    """Returns the names of the quantities in a run's folder."""
    folder = source.run.measures
    with suppress(OSError):
        if is_folder(folder):
            return sorted(path.stem for path in folder.glob("[!.]*.json"))
    return []


def _rows(found: Quantity) -> Iterator[dict[str, Any]]:
    """Yields the values of a quantity, series by series."""
    for series in found.series:
        for bead, place, value in zip(found.beads, found.arc, series.values, strict=True):
            head = {"quantity": found.name, "chart": series.chart, "series": series.words}
            yield head | {"bead": bead, "place": place, "value": value}


def of_table(source: Source) -> Sheet:
    """Returns the sheet of a file that `dss-tui measure --what … --csv` wrote.

    Raises InputError where it is none.
    """
    if not check_regular(source.path):
        raise InputError("no such file", file=source.path)
    lines = cells_of(read_text(source.path, LARGEST_JSON).splitlines(), source.path)
    if not lines or lines[0][:2] != ["bead", "at"] or len(lines[0]) < 3:
        raise InputError(
            "is neither the sheet of a figure nor what `measure --what … --csv` wrote",
            file=source.path,
        )
    facts = {"version": f"dss-tui {__version__}", "of": f"table {source.path.name}"}
    head, *body = lines
    rows: list[dict[str, Any]] = []
    for column, name in enumerate(head[2:], 2):
        quantity, _, series = name.partition("_")
        for number, line in enumerate(body, 2):
            told = {"quantity": quantity, "chart": quantity, "series": series.replace("_", " ")}
            rows.append(told | _values(source, line, column, number, len(head)))
    return table("quantities", facts, COLUMNS, rows)


def _values(
    source: Source, line: list[str], column: int, number: int, width: int
) -> dict[str, float | None]:
    """Returns the bead, the place and a value in a line. Raises InputError."""
    try:
        if len(line) != width:
            raise ValueError(f"{len(line)} cells, not {width}")
        bead = int(line[0]) if line[0] else None
        value = float(line[column]) if line[column] else None
        return {"bead": bead, "place": float(line[1]), "value": value}
    except ValueError as error:
        raise InputError(f"line {number}: {error}", file=source.path) from None
