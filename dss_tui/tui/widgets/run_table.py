"""The table of the runs in the runs folder, with a row for each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from dss_tui.tui.keymap import moving
from dss_tui.viewing.run_columns import BY_KEY, COLUMNS, Column, fitting
from engine.record.runs import Summary

#: The mark before the name of a marked run, and the room of it before every other name.
MARKED, UNMARKED = "◆ ", "  "

#: The direction of sorting, in the head of the column.
RISING, FALLING = "↑", "↓"

#: The widest that a column is shown, and the blanks around each.
WIDEST, BLANKS = {"name": 40, "note": 60}, 2

#: The width that a note is given at least, and the columns that the scroll bar takes.
LEAST_NOTE, BAR = 8, 2


@dataclass(frozen=True)
class Sorting:
    """The column by which the runs are sorted, and the direction."""

    key: str = "age"
    falls: bool = False

    def by(self, key: str) -> Sorting:
        """Returns the sorting by a column, in the other direction where it is that one already."""
        if key == self.key:
            return replace(self, falls=not self.falls)
        return Sorting(key, BY_KEY[key].falls)


class RunTable(DataTable[Text]):
    """The table of runs, with as many columns as fit and the direction of sorting in the head."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "watch", id="runs.watch"),
        *moving("scroll_top", "scroll_bottom"),
        Binding("h", "cursor_left", show=False),
        Binding("l", "cursor_right", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        """Makes an empty table with an id."""
        super().__init__(id=id, cursor_type="row")
        self._heads: tuple[tuple[str, str, int], ...] = ()
        self._rows: dict[str, tuple[str, ...]] = {}

    @property
    def run_name(self) -> str | None:
        """The name of the run under the cursor, or None in an empty table."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys of the columns that are shown."""
        return tuple(key for key, _, _ in self._heads)

    def show(
        self,
        runs: Sequence[Summary],
        marked: Collection[str],
        chosen: Collection[str],
        sorting: Sorting,
    ) -> None:
        """Shows runs in this order, and draws only what has changed.

        `marked` are the names of the marked ones, `chosen` the columns that the user wants to see.
        The cursor stays on its run.
        """
        texts = {run.name: {each.key: each.cell(run) for each in COLUMNS} for run in runs}
        for name, cells in texts.items():
            cells["name"] = (MARKED if name in marked else UNMARKED) + name
        heads = self._fitting(list(texts.values()), chosen, sorting)
        rows = {name: tuple(cells[key] for key, _, _ in heads) for name, cells in texts.items()}
        if heads == self._heads and list(rows) == list(self._rows):
            self._update(rows)
        else:
            self._rebuild(heads, rows)
        self._heads, self._rows = heads, rows

    def _fitting(
        self, texts: Sequence[dict[str, str]], chosen: Collection[str], sorting: Sorting
    ) -> tuple[tuple[str, str, int], ...]:
        """Returns key, title and width of each column that fits."""
        titles = {each.key: each.key for each in COLUMNS}
        titles[sorting.key] += FALLING if sorting.falls else RISING
        titles["name"] = UNMARKED + titles["name"]
        natural = {
            key: min(
                max([cell_len(title), *(cell_len(cells[key]) for cells in texts)]),
                WIDEST.get(key, 1000),
            )
            for key, title in titles.items()
        }
        room = self.size.width - BAR
        natural["name"] = max(1, min(natural["name"], room - BLANKS))
        least = natural | {"note": min(natural["note"], LEAST_NOTE)}
        keys = fitting({key: width + BLANKS for key, width in least.items()}, chosen, room)
        left = room - sum(least[key] + BLANKS for key in keys)
        widths = least | {"note": min(natural["note"], least["note"] + left)}
        return tuple((key, titles[key], widths[key]) for key in keys)

    def _rebuild(
        self, heads: Sequence[tuple[str, str, int]], rows: dict[str, tuple[str, ...]]
    ) -> None:
        """Draws the whole table anew, with the cursor on the run where it was."""
        name, at, top = self.run_name, self.cursor_row, self.scroll_offset.y
        self.clear(columns=True)
        for key, title, width in heads:
            self.add_column(_cell(BY_KEY[key], title, width), key=key, width=width)
        for each, row in rows.items():
            cells = zip(heads, row, strict=True)
            self.add_row(*(_cell(BY_KEY[key], text, n) for (key, _, n), text in cells), key=each)
        names = list(rows)
        row_number = names.index(name) if name in rows else min(at, max(0, len(names) - 1))
        self.move_cursor(row=row_number, scroll=False)
        self.call_after_refresh(self._scroll_back, top)

    def _scroll_back(self, top: int) -> None:
        """Scrolls to where the table was, and to the cursor if that is elsewhere."""
        self.scroll_to(y=top, animate=False)
        self.move_cursor(row=self.cursor_row)

    def _update(self, rows: dict[str, tuple[str, ...]]) -> None:
        """Draws the cells that have changed."""
        for name, row in rows.items():
            if row == self._rows[name]:
                continue
            for (key, _, width), old, new in zip(self._heads, self._rows[name], row, strict=True):
                if old != new:
                    self.update_cell(name, key, _cell(BY_KEY[key], new, width))


def _cell(column: Column, text: str, width: int) -> Text:
    """Returns a cell of a column, cut with a sign where it is wider than the column."""
    if cell_len(text) > width:
        text = set_cell_size(text, max(0, width - 1)).rstrip() + "…"
    return Text(text, justify="right" if column.right else "left", no_wrap=True)
