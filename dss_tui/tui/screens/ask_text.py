"""The dialog that asks for a line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label, Static

from dss_tui.tui.screens.dialog import Dialog
from engine.errors import InputError


class AskText(Dialog[str | None]):
    """A dialog whose result is the text that was typed, or None for escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back")]

    def __init__(self, question: str, value: str, check: Callable[[str], None]) -> None:
        """Makes the dialog, with `value` in its field at first.

        `check` raises InputError for a text that cannot be taken, which is told in place.
        """
        super().__init__()
        self._question, self._value, self._check = question, value, check

    def compose(self) -> ComposeResult:
        """Lays out the question over the field, what is wrong with it, and the keys."""
        with Vertical(classes="dialog"):
            yield Label(self._question, markup=False)
            yield Input(value=self._value, select_on_focus=False, compact=True, id="text")
            yield Static(id="problem", markup=False)
            yield Label("enter keeps it, escape goes back", classes="hint")

    @on(Input.Changed)
    def _changed(self) -> None:
        """Takes back what was said of an earlier text."""
        self.query_one("#problem", Static).update("")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Gives the text, or says what is wrong with it."""
        try:
            self._check(event.value)
        except InputError as error:
            self.query_one("#problem", Static).update(str(error))
            return
        self.dismiss(event.value)
