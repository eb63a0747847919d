"""The dialog that shows a text, or the answer of a command, and scrolls where it is long."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label, Static

from dss_tui.tui.copying import copy
from dss_tui.tui.screens.dialog import Dialog
from dss_tui.viewing.process import answer


class Reading(VerticalScroll):
    """A text that arrows, pages, j and k scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]


class Said(Dialog[None]):
    """A dialog with a title over a text. Given a command, it shows what that prints."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close"),
        Binding("y", "copy", "copy", id="said.copy"),
    ]

    def __init__(self, title: str, words: str, command: tuple[str, ...] = ()) -> None:
        """Makes the dialog.

        `words` is the text, or what stands there until `command`, arguments of dss-tui, has ended.
        """
        super().__init__()
        self._title, self._words, self._command = title, words, command

    def compose(self) -> ComposeResult:
        """Lays out the title, the text and the keys."""
        with Vertical(classes="dialog"):
            yield Label(self._title, markup=False, id="title")
            with Reading():
                yield Static(self._words, id="words", markup=False)
            yield Label("↑↓ scroll   y copy   esc close", id="keys")

    def on_mount(self) -> None:
        """Puts the cursor into the text and begins the command."""
        self.query_one(Reading).focus()
        if self._command:
            self._run()

    @work(exclusive=True)
    async def _run(self) -> None:
        """Runs the command, whose process ends with this dialog, and shows its answer."""
        status, said = await answer(*self._command)
        self._words = said or f"it ended with status {status} and said nothing"
        self.query_one("#words", Static).update(self._words)

    def action_copy(self) -> None:
        """Puts the text onto the clipboard."""
        copy(self.app, self._words)
