"""The key and the line by which a text is found on a screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Input, Label, Static

from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing.text_search import Hit

#: The key of screens on which texts can be found.
FIND = Binding("slash", "find", "find a text", id="screen.find", key_display="/", show=False)
#: The keys of the line.
HINT = "enter ↓ next · ↑ previous · esc done"


class Find(Dialog[str]):
    """A line at the foot of a screen. Its result is the text that stands in it at the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "done", "done"),
        Binding("down", "step(1)", "next"),
        Binding("up", "step(-1)", "previous"),
    ]

    def __init__(self, find: Callable[[str, int], Hit | None], text: str) -> None:
        """Makes the line with a text in it.

        `find` goes to the next thing on the screen that has a text, or with -1 to the one before,
        and returns it, or None where nothing has the text.
        """
        super().__init__()
        self._find, self._text = find, text

    def compose(self) -> ComposeResult:
        """Lays out the field between the key that opened it and what was found."""
        with Horizontal(id="find"):
            yield Label("/")
            yield Input(value=self._text, compact=True, id="sought")
            yield Static(HINT, id="found", markup=False)

    def on_mount(self) -> None:
        """Holds the field's cursor still, because a blinking one costs bytes while nobody types."""
        self.query_one(Input).cursor_blink = False

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        """Takes back what was said of another text."""
        if event.value != self._text:
            self._text = event.value
            self.query_one("#found", Static).update(HINT)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        """Goes to the next thing that has the text."""
        self.action_step(1)

    def action_step(self, step: int) -> None:
        """Goes to the next thing that has the text, or to the one before, and tells which."""
        if self._text:
            hit = self._find(self._text, step)
            said = "nothing has it" if hit is None else hit.words
            self.query_one("#found", Static).update(f"{said} · enter ↓ ↑ · esc done")

    def action_done(self) -> None:
        """Closes the line."""
        self.dismiss(self._text)


class Finding(Screen[None]):
    """The part of a screen that finds texts on it, with the key `FIND`."""

    _sought = ""
    """The text that was looked for last."""

    def find(self, text: str, step: int) -> Hit | None:
        """Goes to the next thing that has a text, or with -1 to the one before, and returns it."""
        raise NotImplementedError

    def action_find(self) -> None:
        """Opens the line, with the text that was looked for last."""
        self.app.push_screen(Find(self.find, self._sought), self._keep_sought)

    def _keep_sought(self, text: str | None) -> None:
        """Keeps the text for the next time."""
        self._sought = text or ""
