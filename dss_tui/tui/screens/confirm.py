"""The dialog that asks a question with two or three answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.widgets import Button, Label

from dss_tui.tui.screens.dialog import Dialog


class Confirm(Dialog[str | None]):
    """A dialog whose result is the key of the chosen answer, or None for escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, answers: dict[str, str]) -> None:
        """Makes the dialog. `answers` maps keys to labels; the first one has the focus."""
        super().__init__()
        self._question, self._answers = question, answers

    def compose(self) -> ComposeResult:
        """Lays out the question over its answers."""
        with Vertical(classes="dialog"):
            yield Label(self._question, markup=False)
            with Horizontal(classes="buttons"):
                for key, label in self._answers.items():
                    yield Button(f"{label} \\[{key}]", id=f"answer-{key}")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Gives the answer that was clicked or confirmed."""
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def on_key(self, event: Key) -> None:
        """Gives the answer whose key was pressed, which the screen below never hears of."""
        if event.key in self._answers:
            event.stop()
            event.prevent_default()
            self.dismiss(event.key)
