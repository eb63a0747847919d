"""The dialog that chooses the columns of the list of runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from dss_tui.tui.keymap import moving
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing.run_columns import COLUMNS


class ColumnChooser(Dialog[frozenset[str]]):
    """A dialog whose result is the set of the columns that are to be shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,C", "done", "done"),
        Binding("space", "choose", "show or hide"),
    ]

    def __init__(self, chosen: Collection[str]) -> None:
        """Makes the dialog, with the columns that are chosen now."""
        super().__init__()
        self._chosen = set(chosen)

    def compose(self) -> ComposeResult:
        """Lays out a line for each column over the keys."""
        with Vertical(classes="dialog"):
            yield Label("Columns, as far as they fit")
            yield ColumnList(*(self._option(each.key) for each in COLUMNS if each.key != "name"))
            yield Label("space shows or hides, escape is done", classes="hint")

    def _option(self, key: str) -> Option:
        """Returns the line of a column, whose state shows without colour."""
        mark = "x" if key in self._chosen else " "
        return Option(Content(f"[{mark}] {key}"), id=key)

    def action_choose(self) -> None:
        """Shows or hides the column under the cursor."""
        self.query_one(ColumnList).action_select()

    @on(OptionList.OptionSelected)
    def _toggled(self, event: OptionList.OptionSelected) -> None:
        """Shows or hides a column."""
        key = str(event.option_id)
        self._chosen ^= {key}
        event.option_list.replace_option_prompt(key, self._option(key).prompt)

    def action_done(self) -> None:
        """Gives the columns."""
        self.dismiss(frozenset(self._chosen))


class ColumnList(OptionList):
    """The list of the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [*moving("first", "last")]
