"""The sheet of a figure: every number that it shows, and what they are of, as one CSV file.

The first lines are comments of the form `# name: value`, which say what the numbers are of; then
comes a table. A figure is drawn from its sheet alone, so a sheet can be drawn again, elsewhere too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

from engine.errors import InputError
from engine.record.reading import LARGEST_JSON, check_regular, read_text

Cell = float | str | None
"""A value of a table; None where there is none."""

#: The first line of a sheet, before the name of its kind.
MARK = "dss-tui figure"

#: The columns that hold words; all others hold numbers.
WORDS = frozenset(
    {"part", "quantity", "title", "chart", "series", "method", "outcome", "connected", "proven"}
    | {"graph", "kind", "models"}
)


@dataclass(frozen=True)
class Sheet:
    """The facts about a figure and its table."""

    kind: str
    """The name of the kind of figure, such as `path`."""
    facts: tuple[tuple[str, str], ...]
    """What the numbers are of, by names such as `preset`, in order."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def fact(self, name: str, default: str = "") -> str:
        """Returns the fact of that name, or a default where there is none."""
        return dict(self.facts).get(name, default)

    def numbers(self, column: str, **where: str) -> list[float]:
        """Returns the numbers in a column of the rows that hold these words; NaN for none."""
        found = self._column(column, where)
        return [nan if isinstance(cell, str) or cell is None else cell for cell in found]

    def words(self, column: str, **where: str) -> list[str]:
        """Returns the words in a column of the rows that hold these words; empty for none."""
        return ["" if cell is None else str(cell) for cell in self._column(column, where)]

    def distinct(self, column: str, **where: str) -> list[str]:
        """Returns the different words in a column, in the order in which they come."""
        return list(dict.fromkeys(self.words(column, **where)))

    def _column(self, column: str, where: Mapping[str, str]) -> Iterator[Cell]:
        """Yields the cells of a column, in the rows that hold these words."""
        place = self.columns.index(column)
        wanted = [(self.columns.index(name), word) for name, word in where.items()]
        for row in self.rows:
            if all(row[at] == word for at, word in wanted):
                yield row[place]

    def to_csv(self) -> str:
        """Returns the content of the CSV file."""
        text = io.StringIO()
        text.write(f"# {MARK}: {self.kind}\n")
        text.writelines(f"# {name}: {_in_a_line(value)}\n" for name, value in self.facts)
        write = csv.writer(text, lineterminator="\n").writerow
        write(self.columns)
        for row in self.rows:
            write([_told(cell) for cell in row])
        return text.getvalue()


def _in_a_line(text: str) -> str:
    """Returns a text in one line."""
    return " ".join(text.split())


def _told(cell: Cell) -> str:
    """Returns a cell as the file holds it; what is not finite is left out."""
    if cell is None or (isinstance(cell, float) and not isfinite(cell)):
        return ""
    return str(cell)


def table(
    kind: str,
    facts: Mapping[str, str],
    columns: Iterable[str],
    rows: Iterable[Mapping[str, object]],
) -> Sheet:
    """Returns a sheet of rows that name their cells; what a row does not name is left out."""
    columns = tuple(columns)
    told = tuple(tuple(_cell(row.get(column)) for column in columns) for row in rows)
    return Sheet(kind, tuple(facts.items()), columns, told)


def _cell(value: object) -> Cell:
    """Returns a plain value as a cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, int | str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if isfinite(number) else None


# ---------------------------------------------------------------- reading


def is_sheet(path: Path) -> bool:
    """Returns whether a file is the sheet of a figure. Raises InputError for no readable text."""
    return read_text(path, LARGEST_JSON).startswith(f"# {MARK}: ")


def read_sheet(path: Path, columns_of: Mapping[str, tuple[str, ...]]) -> Sheet:
    """Returns the sheet in a CSV file.

    Args:
        path: The file.
        columns_of: The columns of each kind of figure.

    Raises:
        InputError: There is no such file, or it is not the sheet of a figure; the sentence names
            the line.
    """
    if not check_regular(path):
        raise InputError("no such file", file=path)
    lines = read_text(path, LARGEST_JSON).splitlines()
    head = [line for line in lines if line.startswith("#")]
    facts = [_fact(line) for line in head]
    kind = dict(facts).get(MARK, "")
    if not facts or facts[0][0] != MARK or kind not in columns_of:
        raise InputError(
            f"is not the sheet of a figure: its first line is not `# {MARK}: KIND`", file=path
        )
    columns, body = columns_of[kind], cells_of(lines[len(head) :], path)
    if not body or tuple(body[0]) != columns:
        raise InputError(
            f"has other columns than those of a figure {kind}: {','.join(columns)}", file=path
        )
    rows = (
        _row(cells, columns, path, len(head) + number) for number, cells in enumerate(body[1:], 2)
    )
    return Sheet(kind, tuple(facts[1:]), columns, tuple(rows))


def cells_of(lines: Iterable[str], path: Path) -> list[list[str]]:
    """Returns the cells of each line of a table in a file.

    Raises InputError where that is no table, such as one with a cell of more characters than any
    number or name has.
    """
    try:
        return list(csv.reader(lines))
    except csv.Error as error:
        raise InputError(
            f"holds no table of numbers ({error}); write it again", file=path
        ) from None


def _fact(line: str) -> tuple[str, str]:
    """Returns the name and the value in a comment."""
    name, _, value = line.removeprefix("#").partition(":")
    return name.strip(), value.strip()


def _row(cells: list[str], columns: tuple[str, ...], path: Path, line: int) -> tuple[Cell, ...]:
    """Returns the cells of a line. Raises InputError."""
    if len(cells) != len(columns):
        raise InputError(f"line {line} has {len(cells)} cells, not {len(columns)}", file=path)
    return tuple(
        _read(text, column, path, line) for text, column in zip(cells, columns, strict=True)
    )


def _read(text: str, column: str, path: Path, line: int) -> Cell:
    """Returns the value of a cell. Raises InputError where a number is none."""
    if not text:
        return None
    if column in WORDS:
        return text
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise InputError(f"line {line}: {column} is {text!r}, not a number", file=path)
    return int(text) if text.lstrip("-").isdigit() else number
