"""Rows of results in a file, one JSON object a line, so that an interrupted run keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Rows:
    """The rows of one benchmark, found again when it is run again with the same options."""

    def __init__(self, path: Path, asked: Row) -> None:
        """Opens or begins a file, whose first line says what was `asked` for.

        Raises SystemExit where a file was begun with something else.
        """
        self.path = path
        self._rows: list[Row] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            self._append({"asked": asked})
            return
        first, *rest = map(json.loads, _whole_lines(path))
        if first != {"asked": json.loads(json.dumps(asked))}:
            raise SystemExit(f"{path} holds results of {first['asked']}; give another --out")
        self._rows = rest

    def find(self, **keys: object) -> Row | None:
        """Returns the row with these keys, if there is one."""
        return next((row for row in self._rows if keys.items() <= row.items()), None)

    def every(self, **keys: object) -> list[Row]:
        """Returns all rows with these keys."""
        return [row for row in self._rows if keys.items() <= row.items()]

    def add(self, row: Row) -> Row:
        """Writes a row, and returns it as it is read again."""
        self._append(row)
        self._rows.append(json.loads(json.dumps(row)))
        return self._rows[-1]

    def _append(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _whole_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a file, and cuts off the last one where it was not written to its end."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    yield from whole.splitlines()
