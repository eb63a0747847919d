"""The table of the presets, with a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from dss_tui.tui.keymap import moving
from engine.spec.catalogue import Listed

#: The widths of the name and of the task at most, and the blanks around each column.
NAME, TASK, BLANKS = 26, 21, 2

#: The width of the table from which on it shows the tasks, and the columns of the scroll bar.
WITH_TASKS, BAR = 76, 2


class PresetTable(DataTable[Text]):
    """The table of presets: the name, whether it is the user's own, the task and a description."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "start", id="presets.start_chosen"),
        *moving("scroll_top", "scroll_bottom"),
    ]

    def __init__(self, *, id: str) -> None:
        """Makes an empty table with an id."""
        super().__init__(id=id, cursor_type="row")
        self._entries: dict[str, Listed] = {}
        self._widths: dict[str, int] = {}

    @property
    def entry(self) -> Listed | None:
        """The preset under the cursor, or None in an empty table."""
        if not self.row_count:
            return None
        key = self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value
        return self._entries.get(str(key))

    @property
    def names(self) -> list[str]:
        """The names of the presets in the table, in order."""
        return [each.name for each in self._entries.values()]

    def show(self, entries: Sequence[Listed], chosen: str | None = None) -> None:
        """Shows presets, with the cursor on the one of the reference `chosen` if it is there."""
        before = list(self._entries.values()), self._widths
        self._entries = {each.reference: each for each in entries}
        self._widths = self._columns()
        if before != (list(entries), self._widths):
            self._rebuild()
        if chosen in self._entries:
            self.move_cursor(row=list(self._entries).index(chosen))

    def _rebuild(self) -> None:
        """Draws the whole table anew."""
        self.clear(columns=True)
        for title, width in self._widths.items():
            self.add_column(title, key=title, width=width)
        for reference, each in self._entries.items():
            cells = _cells(each)
            self.add_row(
                *(_cut(cells[title], n) for title, n in self._widths.items()), key=reference
            )

    def _columns(self) -> dict[str, int]:
        """Returns the width of each column, by its title."""
        # Before the first layout it has no width; it will be as wide as the application.
        entries, room = self._entries.values(), (self.size.width or self.app.size.width) - BAR
        columns = {"preset": min(NAME, max([6, *(cell_len(each.name) for each in entries)]))}
        if any(each.own for each in entries):
            columns["own"] = 3
        if room >= WITH_TASKS:
            columns["task"] = TASK
        left = room - sum(columns.values()) - BLANKS * (len(columns) + 1)
        return columns | {"description": max(8, left)}


def _cells(entry: Listed) -> dict[str, Text]:
    """Returns the cells of a preset by the titles of their columns."""
    spec = entry.spec
    return {
        "preset": Text(entry.name),
        "own": Text("own" if entry.own else ""),
        "task": Text(spec.task if spec is not None else "", style="dim"),
        "description": Text(f"✕ {entry.fault}" if spec is None else spec.description),
    }


def _cut(text: Text, width: int) -> Text:
    """Returns a text in one line of a width, with a sign at its end where it was cut."""
    text.truncate(width, overflow="ellipsis")
    return text
